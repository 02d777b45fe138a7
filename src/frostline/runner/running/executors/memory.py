"""How much memory a job's processes have taken at most, read from Linux's /proc while they live.

What the system tells when a process has ended counts the memory of whoever started it too, so it says nothing of a
process smaller than the runner. Elsewhere than on Linux nothing is read, and that is all there is.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

PROC = Path("/proc")
_SCALE = 1024 if sys.platform != "darwin" else 1024 * 1024  # of ru_maxrss, to MiB


def own_peak_mib() -> float:
    """The most memory that this process has had: a child's figure is worth something only above it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _SCALE


def told_peak_mib(usage: resource.struct_rusage, floor_mib: float) -> float:
    """The peak of an ended process and those it waited for; 0 where it is no more than what its parent had."""
    peak = usage.ru_maxrss / _SCALE
    return peak if peak > floor_mib * 1.01 + 0.5 else 0.0


def largest_peak_mib(pid: int) -> float:
    """The peak of the largest living process among `pid` and all below it; 0 where none can be read."""
    return max((_peak_mib(one) for one in _tree(pid)), default=0.0)


def _tree(pid: int) -> list[int]:
    found, pending = [], [pid]
    while pending:
        found.append(one := pending.pop())
        try:
            threads = list((PROC / str(one) / "task").iterdir())
            pending += [int(word) for thread in threads for word in (thread / "children").read_text().split()]
        except (OSError, ValueError):
            continue  # it has ended
    return found


def _peak_mib(pid: int) -> float:
    try:
        status = (PROC / str(pid) / "status").read_bytes()
    except OSError:
        return 0.0
    at = status.find(b"VmHWM:")
    return int(status[at:].split(maxsplit=2)[1]) / 1024 if at >= 0 else 0.0
