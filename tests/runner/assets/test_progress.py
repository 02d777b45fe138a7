"""How far a download is: one changing line on a terminal, few lines where they stay."""

from __future__ import annotations

from frostline.runner.assets.progress import MIB, Meter, size


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def download(meter: Meter, clock: Clock, *, seconds: int, total: int | None) -> None:
    """One MiB each eighth of a second."""
    meter.begin("data.bin", 0, total)
    for step in range(1, seconds * 8 + 1):
        clock.now = 100.0 + step / 8
        meter.at(step * MIB)
    meter.end(seconds * 8 * MIB)


def test_a_terminal_has_one_line_that_changes_and_one_that_stays() -> None:
    lines: list[str] = []
    shown: list[str] = []
    clock = Clock()

    download(Meter(lines.append, shown.append, clock=clock), clock, seconds=4, total=32 * MIB)

    assert len(shown) == 32
    assert shown[15] == "  data.bin: 16.0 MiB of 32.0 MiB (50 %), 8.0 MiB/s, 2 s left"
    assert lines == ["  32.0 MiB in 4.0 s (8.0 MiB/s)"]


def test_elsewhere_a_line_comes_now_and_then() -> None:
    lines: list[str] = []
    clock = Clock()

    download(Meter(lines.append, clock=clock), clock, seconds=40, total=1000 * MIB)

    assert len(lines) == 3
    assert lines[0].startswith("  data.bin: 120.0 MiB of 1000.0 MiB (12 %), 8.0 MiB/s, 2 min left")


def test_without_a_total_there_is_no_share_of_it() -> None:
    shown: list[str] = []
    clock = Clock()

    download(Meter(lambda line: None, shown.append, clock=clock), clock, seconds=1, total=None)

    assert shown[-1] == "  data.bin: 8.0 MiB, 8.0 MiB/s"


def test_sizes_are_told_as_people_read_them() -> None:
    assert [size(n) for n in (0, 1023, 1536, 5 * MIB, 3 * MIB * 1024)] == [
        "0 B", "1023 B", "1.5 KiB", "5.0 MiB", "3.00 GiB"
    ]  # fmt: skip
