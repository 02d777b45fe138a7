"""How far a download is: a line that changes on a terminal, a line now and then where lines stay.

Knows bytes and seconds only; where lines go is the caller's affair.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

SECONDS_BETWEEN_LOOKS = 0.1  # on a terminal
SECONDS_BETWEEN_LINES = 15.0  # where lines stay
SECONDS_OF_RATE = 5.0  # the rate is that of the last seconds
MIB = 1 << 20


class Meter:
    """Follows one file at a time.

    Args:
        say: takes lines that stay.
        live: takes a line that replaces the one before; None: there is no such place.
        clock: seconds.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        live: Callable[[str], None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.say = say
        self.live = live
        self.clock = clock
        self.begin("", 0, None)

    def begin(self, name: str, n_bytes: int, total: int | None) -> None:
        """A file of `total` bytes (None: not known) begins, or goes on, at `n_bytes`."""
        self.name, self.start, self.total = name, n_bytes, total
        self.began = self.shown = self.clock()
        self.marks = deque([(self.began, n_bytes)])

    def at(self, n_bytes: int) -> None:
        """So many bytes are here."""
        now = self.clock()
        if now - self.shown < (SECONDS_BETWEEN_LINES if self.live is None else SECONDS_BETWEEN_LOOKS):
            return
        self.shown = now
        self.marks.append((now, n_bytes))
        while len(self.marks) > 2 and now - self.marks[1][0] > SECONDS_OF_RATE:
            self.marks.popleft()
        (self.live or self.say)(f"  {self.name}: {self._line(now, n_bytes)}")

    def end(self, n_bytes: int) -> None:
        """The file is whole."""
        seconds = self.clock() - self.began
        rate = (n_bytes - self.start) / seconds if seconds > 0 else 0.0
        self.say(f"  {size(n_bytes)} in {seconds:.1f} s ({size(rate)}/s)")

    def _line(self, now: float, n_bytes: int) -> str:
        then, before = self.marks[0]
        rate = (n_bytes - before) / (now - then) if now > then else 0.0
        if self.total is None:
            return f"{size(n_bytes)}, {size(rate)}/s"
        parts = [f"{size(n_bytes)} of {size(self.total)} ({100 * n_bytes // max(self.total, 1)} %)", f"{size(rate)}/s"]
        if rate > 0:
            parts.append(f"{_duration((self.total - n_bytes) / rate)} left")
        return ", ".join(parts)


def size(n_bytes: float) -> str:
    """Bytes as people read them."""
    if n_bytes < 1024:
        return f"{n_bytes:.0f} B"
    if n_bytes < MIB:
        return f"{n_bytes / 1024:.1f} KiB"
    return f"{n_bytes / MIB:.1f} MiB" if n_bytes < 1024 * MIB else f"{n_bytes / MIB / 1024:.2f} GiB"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
