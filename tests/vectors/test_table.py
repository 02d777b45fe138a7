"""Lookup, similarity, pruning and storage against brute force."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from frostline.digest import sha256_file
from frostline.errors import ConfigError, FrostlineError, ModelFileError, UsageError
from frostline.vectors import Vectors, open_vectors, write_vectors
from frostline.vectors.pruning import prune
from frostline.vectors.store import check_bytes, keep_vectors
from frostline.vectors.subwords import Subwords

RANDOM = np.random.default_rng(0)
WORDS = tuple(f"word{number}" for number in range(200))
TABLE = RANDOM.normal(size=(200, 8)).astype(np.float32)


def cosines(queries: np.ndarray, table: np.ndarray) -> np.ndarray:
    return np.array(
        [[float(q @ row) / (np.linalg.norm(q) * np.linalg.norm(row)) for row in table] for q in queries]
    )


def test_words_are_found_as_they_stand_and_else_in_lower_case() -> None:
    vectors = Vectors(("cat", "Cat", "dog"), np.eye(3, dtype=np.float32))

    assert vectors.numbers(["cat", "Cat", "CAT", "DOG", "cow", ""]).tolist() == [0, 1, 0, 2, -1, -1]
    assert "Dog" in vectors and "cow" not in vectors
    assert not vectors.vector("cow").any()
    assert vectors.have(["dog", "cow"]).tolist() == [True, False]


def test_the_most_similar_are_those_of_brute_force() -> None:
    vectors = Vectors(WORDS, TABLE)

    found = vectors.most_similar("word7", 5)

    expected = cosines(TABLE[7:8], TABLE)[0]
    order = [number for number in np.argsort(-expected).tolist() if number != 7][:5]
    assert [neighbour.word for neighbour in found] == [WORDS[number] for number in order]
    assert np.allclose([neighbour.similarity for neighbour in found], expected[order], atol=1e-5)
    assert vectors.most_similar(TABLE[7], 1)[0].word == "word7"
    assert vectors.similarity("word1", "word2") == pytest.approx(cosines(TABLE[1:2], TABLE[2:3])[0, 0], abs=1e-5)
    assert vectors.similarity("word1", "nothing") == 0.0


def test_asking_for_what_is_not_there_says_so() -> None:
    vectors = Vectors(WORDS, TABLE)

    with pytest.raises(UsageError, match="'nothing' has no vector"):
        vectors.most_similar("nothing")
    with pytest.raises(UsageError, match="should have"):
        vectors.most_similar([1.0, 2.0])
    for wrong in (np.nan, np.inf, -np.inf):
        with pytest.raises(UsageError, match="not finite"):
            vectors.most_similar([wrong, *[0.0] * 7])
    for none in (["a", "b"], [[1.0], [1.0, 2.0]], None, 3, object()):
        with pytest.raises(UsageError):
            vectors.most_similar(none)  # type: ignore[arg-type]
    assert all(neighbour.similarity == 0.0 for neighbour in vectors.most_similar(np.zeros(8)))


@pytest.mark.parametrize("n", [1, 20, 199, 200, 500])
def test_pruning_maps_words_to_the_nearest_that_are_kept(n: int) -> None:
    pruned = prune(Vectors(WORDS, TABLE), n)

    assert len(pruned) == 200 and len(pruned.table) == min(n, 200)
    nearest = [*range(min(n, 200)), *cosines(TABLE[n:], TABLE[:n]).argmax(axis=1).tolist()] if n < 200 else range(200)
    assert np.array_equal(pruned.vectors_of(WORDS), TABLE[list(nearest)])


def test_pruning_again_keeps_what_is_shared() -> None:
    once = prune(Vectors(WORDS, TABLE), 50)

    twice = prune(once, 20)

    assert len(twice.table) == 20
    assert np.array_equal(twice.vectors_of(WORDS[:20]), TABLE[:20])
    assert all(neighbour.word in WORDS[:20] for neighbour in twice.most_similar("word3", 5))


@pytest.mark.parametrize(("n", "n_rows"), [(3, 4), (6, 6)], ids=["a row more", "a row that is kept"])
def test_words_of_zeros_keep_zeros_when_others_are_pruned(n: int, n_rows: int) -> None:
    table = TABLE.copy()
    table[[4, 7, 190]] = 0
    vectors = Vectors(WORDS, table)

    pruned = prune(vectors, n)

    assert len(pruned.table) == n_rows
    assert not pruned.vectors_of([WORDS[4], WORDS[7], WORDS[190]]).any()
    assert pruned.similarity(WORDS[0], WORDS[7]) == 0.0
    others = [number for number in range(200) if number not in (4, 7, 190)]
    assert pruned.vectors_of([WORDS[number] for number in others]).any(axis=1).all()


def test_pruning_to_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 vectors"):
        prune(Vectors(WORDS, TABLE), 0)


def test_what_is_stored_comes_back_bit_for_bit_and_mapped(tmp_path: Path) -> None:
    buckets = RANDOM.normal(size=(11, 8)).astype(np.float32)
    vectors = Vectors((*WORDS, "straße"), TABLE, rows=np.r_[np.arange(200), 5],
                      subwords=Subwords(buckets=buckets, shortest=3, longest=4))  # fmt: skip

    digest = write_vectors(vectors, tmp_path / "one")
    again = write_vectors(open_vectors(tmp_path / "one"), tmp_path / "two")

    loaded = open_vectors(tmp_path / "one")
    asked = [*WORDS, "straße", "Straße", "unheard-of"]
    assert np.array_equal(loaded.vectors_of(asked), vectors.vectors_of(asked))
    assert isinstance(loaded.table, np.memmap) and not loaded.table.flags.writeable
    assert list(loaded.words) == list(vectors.words) and loaded.words[3:5] == ["word3", "word4"]
    assert digest == again == loaded.digest
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_a_folder_that_is_open_is_one_object(tmp_path: Path) -> None:
    write_vectors(Vectors(WORDS, TABLE), tmp_path / "v")

    assert open_vectors(tmp_path / "v") is open_vectors(tmp_path / "v")


def test_a_copy_on_one_file_system_shares_its_bytes(tmp_path: Path) -> None:
    write_vectors(Vectors(WORDS, TABLE), tmp_path / "v")

    vectors = open_vectors(tmp_path / "v")

    keep_vectors(vectors, tmp_path / "w")
    (tmp_path / "v" / "vectors.json").unlink()
    keep_vectors(vectors, tmp_path / "x")

    assert open_vectors(tmp_path / "w").digest == open_vectors(tmp_path / "x").digest == vectors.digest
    file = "vectors.safetensors"
    assert (tmp_path / "v" / file).stat().st_ino == (tmp_path / "w" / file).stat().st_ino
    assert (tmp_path / "v" / file).stat().st_ino != (tmp_path / "x" / file).stat().st_ino


@pytest.mark.parametrize("change", ["missing", "meta", "version", "cut", "words"])
def test_a_broken_folder_says_what_is_wrong_and_where(change: str, tmp_path: Path) -> None:
    folder = tmp_path / "v"
    write_vectors(Vectors(WORDS, TABLE), folder)
    if change == "missing":
        folder = tmp_path / "none"
    elif change == "meta":
        (folder / "vectors.json").write_text("{")
    elif change == "version":
        (folder / "vectors.json").write_text("{}")
    else:
        file = folder / ("vectors.safetensors" if change == "cut" else "words.arrow")
        file.write_bytes(file.read_bytes()[:-100])

    with pytest.raises(ModelFileError) as error:
        open_vectors(folder)

    assert error.value.where and error.value.fix


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    write_vectors(Vectors(WORDS, TABLE), tmp_path / "v")
    check_bytes(tmp_path / "v")
    file = tmp_path / "v" / "vectors.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")

    with pytest.raises(ModelFileError, match="were changed"):
        check_bytes(tmp_path / "v")


def test_every_byte_is_read_once_for_as_long_as_the_files_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_vectors(Vectors(WORDS, TABLE), tmp_path / "v")
    read: list[str] = []
    monkeypatch.setattr(
        "frostline.vectors.store.sha256_file", lambda file: read.append(file.name) or sha256_file(file)
    )
    monkeypatch.setattr("frostline.vectors.store.CLOCK_NS", 1 << 62)  # too fresh for a clock to tell another edit
    check_bytes(tmp_path / "v")
    monkeypatch.setattr("frostline.vectors.store.CLOCK_NS", 0)

    for _ in range(3):
        check_bytes(tmp_path / "v")

    assert read == ["vectors.safetensors", "words.arrow"] * 2
    for file in (tmp_path / "v" / "words.arrow", tmp_path / "v" / "vectors.safetensors"):
        before, content = file.stat(), file.read_bytes()
        while file.stat().st_ctime_ns == before.st_ctime_ns:  # until the file system's clock has ticked
            file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        with pytest.raises(ModelFileError, match="were changed"):
            check_bytes(tmp_path / "v")
        file.write_bytes(content)
        check_bytes(tmp_path / "v")


def test_files_that_are_gone_are_named(tmp_path: Path) -> None:
    write_vectors(Vectors(WORDS, TABLE), tmp_path / "v")
    (tmp_path / "v" / "words.arrow").unlink()

    with pytest.raises(ModelFileError, match="can't be read") as error:
        check_bytes(tmp_path / "v")

    assert error.value.where and error.value.fix


def test_only_vectors_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "thesis.tex").write_text("x")

    with pytest.raises(FrostlineError, match=r"thesis\.tex"):
        write_vectors(Vectors(WORDS, TABLE), tmp_path / "v")


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="199 words"):
        Vectors(WORDS[1:], TABLE)
    with pytest.raises(ValueError, match="row numbers go up to 200"):
        Vectors(WORDS, TABLE, rows=np.arange(1, 201))
