"""The private cache: bit-equal, bounded, whole after a kill, and dropped whenever its settings are other ones."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frostline.embedding import cache as cache_module
from frostline.embedding.cache import DATA, INDEX, ActivationCache
from tests.embedding.test_store import SETTINGS, entries


def fill(folder: Path) -> None:
    cache = ActivationCache(folder, SETTINGS)
    for key, values in entries():
        assert cache.put(key, values)
    cache.close()


def same(cache: ActivationCache, key: bytes, values: np.ndarray) -> bool:
    got = cache.get(key)
    return got is not None and got.numpy().tobytes() == values.tobytes()


def test_a_cache_is_found_again_by_the_next_process(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path / "c", SETTINGS)
    for key, values in entries():
        cache.put(key, values)
    cache.close()

    again = ActivationCache(tmp_path / "c", SETTINGS)

    assert len(again) == 6
    got = again.get(entries()[4][0])
    assert got is not None
    assert np.array_equal(got.numpy(), entries()[4][1])


def test_a_second_process_with_other_settings_leaves_the_first_its_values(tmp_path: Path) -> None:
    first = ActivationCache(tmp_path / "c", SETTINGS)
    for key, values in entries():
        first.put(key, values)

    second = ActivationCache(tmp_path / "c", {**SETTINGS, "precision": "other"})

    assert len(second) == 0
    assert all(same(first, key, values) for key, values in entries())


def test_a_cache_that_could_not_be_emptied_closes_no_file_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "c")

    def refuse(self: Path) -> None:
        raise PermissionError(self)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(PermissionError) as caught:
        ActivationCache(tmp_path / "c", {**SETTINGS, "precision": "other"})
    others = [os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT) for _ in range(4)]
    del caught
    gc.collect()

    for descriptor in others:
        os.close(descriptor)


@pytest.mark.parametrize("n_lost", [1, 30, 48])
def test_an_entry_that_a_kill_left_unfinished_is_ignored_and_written_again(tmp_path: Path, n_lost: int) -> None:
    fill(tmp_path / "c")
    index = tmp_path / "c" / INDEX
    os.truncate(index, index.stat().st_size - n_lost)

    cache = ActivationCache(tmp_path / "c", SETTINGS)
    assert len(cache) == 5
    key, values = entries()[5]
    assert cache.put(key, values)
    cache.close()

    again = ActivationCache(tmp_path / "c", SETTINGS)
    assert len(again) == 6
    assert same(again, key, values)


@pytest.mark.parametrize("harm", ["a flipped bit", "a hole", "cut short"])
def test_values_that_are_not_those_of_the_journal_are_never_read(tmp_path: Path, harm: str) -> None:
    fill(tmp_path / "c")
    data = tmp_path / "c" / DATA
    content = bytearray(data.read_bytes())
    start = 4 * sum(values.size for _, values in entries()[:4])  # of the fifth doc's 160 bytes
    if harm == "a flipped bit":
        content[start + 7] ^= 1
    elif harm == "a hole":
        content[start + 100 : start + 160] = bytes(60)
    else:
        del content[start + 100 :]
    data.write_bytes(content)

    again = ActivationCache(tmp_path / "c", SETTINGS)
    found = [key for key, values in entries() if again.get(key) is not None]
    refilled = all(again.put(key, values) for key, values in entries() if key not in found)

    expected = [key for key, _ in entries()[:4]] + ([] if harm == "cut short" else [entries()[5][0]])
    assert found == expected
    assert refilled
    assert all(same(again, key, values) for key, values in entries())


def test_a_cache_that_a_kill_ended_holds_nothing_that_is_not_whole(tmp_path: Path) -> None:
    for seed in range(2):
        command = [sys.executable, "-c", f"from tests.embedding import test_cache; test_cache.churn({seed}, sys.argv)"]
        command[2] = "import sys; " + command[2]
        process = subprocess.Popen([*command, str(tmp_path / "c")], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.read(1)  # it is at work
        process.stdout.read(40 + 30 * seed)
        process.send_signal(signal.SIGKILL)
        process.wait()

        cache = ActivationCache(tmp_path / "c", SETTINGS, max_bytes=CHURN_BYTES)
        assert len(cache) > 10
        for number in range(CHURN_KEYS):
            got = cache.get(number.to_bytes(16, "big"))
            assert got is None or np.array_equal(got.numpy(), churned(number))
        cache.close()


CHURN_BYTES, CHURN_KEYS = 40_000, 200


def churned(number: int) -> np.ndarray:
    return np.random.default_rng(number).standard_normal((1, 1 + number % 40, 16)).astype(np.float32)


def churn(seed: int, arguments: list[str]) -> None:
    """Put and drop without end; a letter is written for each doc."""
    cache = ActivationCache(Path(arguments[1]), SETTINGS, max_bytes=CHURN_BYTES)
    rng = random.Random(seed)
    while True:
        number = rng.randrange(CHURN_KEYS)
        key = number.to_bytes(16, "big")
        if cache.get(key) is None:
            cache.put(key, churned(number))
            os.write(1, b".")


@pytest.mark.parametrize("name", [INDEX, DATA])
def test_a_folder_in_the_place_of_a_file_makes_the_cache_anew(tmp_path: Path, name: str) -> None:
    fill(tmp_path / "c")
    (tmp_path / "c" / name).unlink()
    (tmp_path / "c" / name / "x").mkdir(parents=True)

    again = ActivationCache(tmp_path / "c", SETTINGS)

    key, values = entries()[4]
    assert again.get(key) is None
    assert again.put(key, values) and same(again, key, values)


@pytest.mark.parametrize("change", [{"encoder": "abd"}, {"window": 9}, {"layers": [1]}])
def test_a_cache_of_other_settings_is_dropped(tmp_path: Path, change: dict[str, object]) -> None:
    cache = ActivationCache(tmp_path / "c", SETTINGS)
    for key, values in entries():
        cache.put(key, values)
    cache.close()

    other = ActivationCache(tmp_path / "c", SETTINGS | change)

    assert len(other) == 0
    assert other.get(entries()[3][0]) is None


def test_a_cache_in_another_storage_is_dropped(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path / "c", SETTINGS)
    cache.put(*entries()[3])
    cache.close()

    assert len(ActivationCache(tmp_path / "c", SETTINGS, storage="bf16")) == 0


def test_the_doc_that_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path / "c", SETTINGS, max_bytes=3 * 400)
    docs = [(bytes([i]) * 16, np.full((1, 10, 10), i, dtype=np.float32)) for i in range(5)]
    for key, values in docs[:3]:
        cache.put(key, values)

    cache.get(docs[0][0])
    cache.put(*docs[3])
    cache.get(docs[0][0])
    cache.put(*docs[4])

    assert [key in cache for key, _ in docs] == [True, False, False, True, True]
    assert all(same(cache, key, values) for key, values in docs if key in cache)


def test_more_than_the_whole_cache_is_not_kept_and_drops_nothing(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path / "c", SETTINGS, max_bytes=300)
    cache.put(*entries()[4])

    assert not cache.put(b"x" * 16, np.zeros((1, 20, 5), dtype=np.float32))
    assert same(cache, *entries()[4])


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 11), st.booleans()), max_size=60), max_bytes=st.integers(100, 3000),
    reopened=st.integers(0, 59),
)  # fmt: skip
def test_it_never_grows_beyond_its_bound_and_never_gives_what_was_not_put(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool]], max_bytes: int, reopened: int
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    cache = ActivationCache(folder, SETTINGS, max_bytes=max_bytes)
    for number, (doc, is_put) in enumerate(steps):
        key, values = bytes([doc]) * 16, np.full((1, 3 + 5 * doc, 4), doc, dtype=np.float32)
        if is_put:
            known = key in cache
            assert cache.put(key, values) == (not known and values.nbytes <= max_bytes)
        got = cache.get(key)
        assert got is None or np.array_equal(got.numpy(), values)
        assert cache.n_bytes <= max_bytes
        assert (folder / DATA).stat().st_size <= max_bytes
        if number == reopened:
            before = len(cache)
            cache.close()
            cache = ActivationCache(folder, SETTINGS, max_bytes=max_bytes)
            assert len(cache) == before
    cache.close()


def test_the_journal_does_not_grow_without_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_IDLE_ENTRIES", 10)
    cache = ActivationCache(tmp_path / "c", SETTINGS, max_bytes=1000)
    for i in range(200):
        cache.put(i.to_bytes(16, "big"), np.full((1, 10, 10), i, dtype=np.float32))

    assert (tmp_path / "c" / INDEX).stat().st_size < 2500
    cache.close()
    again = ActivationCache(tmp_path / "c", SETTINGS, max_bytes=1000)
    assert len(again) == 2
    assert same(again, (199).to_bytes(16, "big"), np.full((1, 10, 10), 199, dtype=np.float32))


def test_a_full_disk_ends_the_storing_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ActivationCache(tmp_path / "c", SETTINGS)
    cache.put(*entries()[2])

    def no_space(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", no_space)
    assert not cache.put(*entries()[3])
    monkeypatch.undo()

    assert cache.get(entries()[2][0]) is not None
    assert cache.get(entries()[3][0]) is None
