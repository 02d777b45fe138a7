"""How long, how much memory, how big: the fields of timing.json, apart from the scores because they vary.

Reads /proc, the resource module and, where torch is already loaded, its CUDA counters; imports no torch itself.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What a training or an evaluation took. None: not known or not so here."""

    seconds: float
    words_per_s: float | None = None
    peak_memory_mib: float | None = None
    peak_gpu_mib: float | None = None
    n_words: int | None = None
    n_parameters: int | None = None
    bytes_on_disk: int | None = None
    threads: int | None = None
    precision: str | None = None
    device: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The object of timing.json; floats rounded to what a clock can tell."""
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(self).items()}


class Stopwatch:
    """Wall-clock seconds since it was made, without the stretches spent paused."""

    def __init__(self) -> None:
        self._since: float | None = time.perf_counter()
        self._before = 0.0

    def pause(self) -> None:
        """Stop counting until `go_on`. Pausing twice is pausing once."""
        self._before = self.seconds
        self._since = None

    def go_on(self) -> None:
        """Count again."""
        if self._since is None:
            self._since = time.perf_counter()

    @property
    def seconds(self) -> float:
        return self._before + (time.perf_counter() - self._since if self._since is not None else 0.0)

    def read(self, *, n_words: int | None = None, **fields: Any) -> Timing:
        """A Timing with the seconds so far, words per second, and this process's peak memory."""
        seconds = self.seconds
        rate = n_words / seconds if n_words is not None and seconds > 0 else None
        measured: dict[str, Any] = {"peak_memory_mib": peak_memory_mib(), "peak_gpu_mib": peak_gpu_mib()}
        return Timing(seconds=seconds, words_per_s=rate, n_words=n_words, **{**measured, **fields})


def peak_memory_mib() -> float | None:
    """The largest resident memory this process has had, in MiB; None where the system does not tell."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB; bytes on macOS
    return peak / MIB if sys.platform == "darwin" else peak / 1024


def peak_gpu_mib() -> float | None:
    """The most GPU memory torch has held in this process, in MiB; None without CUDA or before torch is loaded."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return float(torch.cuda.max_memory_allocated()) / MIB


def bytes_on_disk(path: Path) -> int:
    """Size of a file, or of all files below a folder; 0 when it is not there."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
