"""The stopwatch and the sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from frostline.evaluation import Stopwatch, bytes_on_disk, peak_memory_mib
from frostline.evaluation import timing as module


class Clock:
    now = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_a_paused_stopwatch_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    watch = Stopwatch()
    clock.now = 2.0
    watch.pause()
    watch.pause()
    clock.now = 10.0
    watch.go_on()
    clock.now = 13.0

    assert watch.read(n_words=50).words_per_s == 10.0


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_bytes(b"4567")

    assert (bytes_on_disk(tmp_path), bytes_on_disk(tmp_path / "a"), bytes_on_disk(tmp_path / "no")) == (7, 3, 0)


def test_the_peak_memory_of_this_process_is_plausible() -> None:
    peak = peak_memory_mib()

    assert peak is not None and 5 < peak < 1e6
