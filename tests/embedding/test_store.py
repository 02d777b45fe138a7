"""Stores of activations: bit-equal, deterministic, never half-written, bounded, and blind to nothing that matters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from frostline.embedding.cache import ActivationCache
from frostline.embedding.store import activation_key, open_activations, round_as_stored, write_activations
from frostline.errors import StoreError
from frostline.tokens import Doc

SETTINGS = {"encoder": "abc", "window": 8, "layers": [2]}
Entry = tuple[bytes, np.ndarray]


def entries(n: int = 6) -> list[Entry]:
    rng = np.random.default_rng(0)
    return [(bytes([i]) * 16, rng.standard_normal((2, i, 5)).astype(np.float32)) for i in range(n)]


@pytest.mark.parametrize("kind", ["store", "cache"])
def test_what_was_stored_comes_back_bit_for_bit(tmp_path: Path, kind: str) -> None:
    if kind == "store":
        write_activations(tmp_path / "a", SETTINGS, iter(entries()))
        found = open_activations(tmp_path / "a")
    else:
        found = ActivationCache(tmp_path / "a", SETTINGS)
        assert all(found.put(key, values) for key, values in entries())

    assert found.settings == SETTINGS
    assert len(found) == 6
    for key, values in entries():
        got = found.get(key)
        assert got is not None
        assert got.dtype == torch.float32
        assert np.array_equal(got.numpy(), values)
    assert found.get(b"?" * 16) is None


@pytest.mark.parametrize("kind", ["store", "cache"])
@pytest.mark.parametrize(("storage", "dtype"), [("bf16", torch.bfloat16), ("float16", torch.float16)])
def test_half_precision_keeps_what_was_computed_in_it(
    tmp_path: Path, kind: str, storage: str, dtype: torch.dtype
) -> None:
    exact = [(key, torch.from_numpy(values).to(dtype).float()) for key, values in entries()]
    if kind == "store":
        write_activations(tmp_path / "a", SETTINGS, exact, storage=storage)
        found = open_activations(tmp_path / "a")
    else:
        found = ActivationCache(tmp_path / "a", SETTINGS, storage=storage)
        for key, values in exact:
            found.put(key, values)

    for key, values in exact:
        got = found.get(key)
        assert got is not None
        assert got.dtype == torch.float32
        assert torch.equal(got, values)


def test_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_activations(tmp_path / name, SETTINGS, entries())

    names = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert names == ["data.bin", "index.npy", "settings.json"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_a_doc_that_comes_twice_is_stored_once(tmp_path: Path) -> None:
    write_activations(tmp_path / "a", SETTINGS, entries() + entries())

    assert len(open_activations(tmp_path / "a")) == 6


def test_a_store_of_nothing_can_be_opened(tmp_path: Path) -> None:
    write_activations(tmp_path / "a", SETTINGS, [])

    assert len(open_activations(tmp_path / "a")) == 0


def test_a_failure_while_writing_leaves_the_old_store(tmp_path: Path) -> None:
    def broken() -> Iterator[Entry]:
        yield entries()[3]
        raise KeyboardInterrupt

    write_activations(tmp_path / "a", SETTINGS, entries())
    with pytest.raises(KeyboardInterrupt):
        write_activations(tmp_path / "a", SETTINGS, broken())

    assert len(open_activations(tmp_path / "a")) == 6
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("harm", ["missing", "no settings", "no data", "short data", "other format", "broken index"])
def test_a_store_that_is_not_whole_is_refused(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "a"
    write_activations(path, SETTINGS, entries())
    if harm == "missing":
        path = tmp_path / "b"
    elif harm == "no settings":
        (path / "settings.json").unlink()
    elif harm == "no data":
        (path / "data.bin").unlink()
    elif harm == "short data":
        (path / "data.bin").write_bytes((path / "data.bin").read_bytes()[:-1])
    elif harm == "other format":
        text = (path / "settings.json").read_text()
        (path / "settings.json").write_text(text.replace('"format_version": 2', '"format_version": 9'))
    else:
        (path / "index.npy").write_bytes(b"broken")

    with pytest.raises(StoreError) as caught:
        open_activations(path)
    assert caught.value.fix


@pytest.mark.parametrize("storage", ["float32", "bf16"])
def test_a_doc_whose_bytes_were_changed_is_refused_and_the_others_are_not(tmp_path: Path, storage: str) -> None:
    write_activations(tmp_path / "a", SETTINGS, entries(), storage=storage)
    with (tmp_path / "a" / "data.bin").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x7f")

    found = open_activations(tmp_path / "a")

    for key, _ in entries()[:-1]:
        assert found.get(key) is not None
    with pytest.raises(StoreError, match="don't fit their checksum") as caught:
        found.get(entries()[-1][0])
    assert caught.value.where == str(tmp_path / "a" / "data.bin")
    assert "frostline embed" in str(caught.value.fix)


@pytest.mark.parametrize("column", ["first", "n_pieces", "key"])
def test_an_entry_that_points_elsewhere_is_refused(tmp_path: Path, column: str) -> None:
    write_activations(tmp_path / "a", SETTINGS, entries())
    index = np.load(tmp_path / "a" / "index.npy")
    index[column][[4, 5]] = index[column][[5, 4]]
    np.save(tmp_path / "a" / "index.npy", index)

    with pytest.raises(StoreError, match="checksum"):
        open_activations(tmp_path / "a").get(entries()[4][0])


def test_a_checksum_is_looked_at_once_in_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_activations(tmp_path / "a", SETTINGS, entries())
    found = open_activations(tmp_path / "a")
    key = entries()[3][0]
    first = found.get(key)
    monkeypatch.setattr("frostline.embedding.store._checksum", lambda *given: pytest.fail("again"))

    again = found.get(key)

    assert first is not None and again is not None and torch.equal(first, again)


def test_a_store_without_checksums_must_be_made_again(tmp_path: Path) -> None:
    write_activations(tmp_path / "a", SETTINGS, entries())
    file = tmp_path / "a" / "settings.json"
    file.write_text(file.read_text().replace('"format_version": 2', '"format_version": 1'))

    with pytest.raises(StoreError, match="have format 1, this frostline reads 2") as caught:
        open_activations(tmp_path / "a")

    assert "frostline embed" in str(caught.value.fix)


def test_a_reader_can_not_change_the_file(tmp_path: Path) -> None:
    write_activations(tmp_path / "a", SETTINGS, entries())
    before = (tmp_path / "a" / "data.bin").read_bytes()

    values = open_activations(tmp_path / "a").get(entries()[3][0])
    assert values is not None
    values.zero_()

    assert (tmp_path / "a" / "data.bin").read_bytes() == before


def test_values_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="same layers"):
        write_activations(tmp_path / "a", SETTINGS, [*entries(), (b"x" * 16, np.zeros((1, 2, 5), dtype=np.float32))])


def test_an_unknown_storage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="bf16"):
        write_activations(tmp_path / "a", SETTINGS, entries(), storage="b16")


def test_a_docs_key_knows_its_words_and_its_spaces() -> None:
    key = activation_key(Doc.from_words(["frost", "line", "!"]))
    others = [
        Doc.from_words(["frost", "line", "?"]),
        Doc.from_words(["frostline", "!"]),
        Doc.from_words(["fros", "tline", "!"]),
        Doc.from_words(["frost", "line", "!"], [True, False, False]),
        Doc.from_words(["frost", "line"]),
        Doc.from_words([]),
    ]

    assert len({key, *map(activation_key, others)}) == 7


def test_a_docs_key_knows_the_windows_that_were_chosen_for_it() -> None:
    doc = Doc.from_words(["frost", "line", "!"])
    chosen = [[], [(0, 3)], [(0, 2), (2, 3)], [(0, 2), (1, 3)]]

    keys = {activation_key(doc, np.array(spans, dtype=np.int64).reshape(-1, 2)) for spans in chosen}

    assert len({activation_key(doc), *keys}) == 5


@pytest.mark.parametrize("storage", ["float32", "bf16", "float16"])
def test_what_was_rounded_comes_back_to_the_bit(tmp_path: Path, storage: str) -> None:
    extreme = torch.tensor([[[1e30, -1e30, 1e-30, 0.1, -0.0, 65504.0]]])
    rounded = round_as_stored(extreme.clone(), storage)

    write_activations(tmp_path / "a", SETTINGS, [(b"x" * 16, rounded)], storage=storage)
    got = open_activations(tmp_path / "a").get(b"x" * 16)

    assert got is not None
    assert got.numpy().tobytes() == rounded.numpy().tobytes()
    assert got.isfinite().all()
    assert torch.equal(rounded, extreme) == (storage == "float32")


def test_a_docs_key_knows_nothing_else() -> None:
    plain = Doc.from_words(["frost", "line"])
    rich = Doc.from_words(["frost", "line"], [True, True], upos=["NOUN", "NOUN"], doc_id="x", group="news")

    assert activation_key(plain) == activation_key(rich)
    assert len(activation_key(plain)) == 16
