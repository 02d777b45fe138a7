"""Find and end processes: groups by number, strays by a mark in their environment. Linux's /proc where it is there.

Only processes that carry our mark, or lead a group that we started, are ever signalled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

MARKER = "FROSTLINE_STEP_MARK"
PROC = Path("/proc")


def start_of(pid: int) -> str | None:
    """When a process began, in the system's own ticks: with the number it names a process for ever. None: gone."""
    try:
        fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None if PROC.is_dir() or not _exists(pid) else "unknown"
    return None if fields[0] == b"Z" else fields[19].decode()


def marked_processes(markers: Iterable[str]) -> list[int]:
    """The processes that carry one of the marks, zombies aside."""
    needles = [f"{MARKER}={marker}".encode() for marker in markers]
    found = []
    for entry in os.listdir(PROC) if PROC.is_dir() else []:  # noqa: PTH208
        if entry.isdigit():
            with contextlib.suppress(OSError):
                content = (PROC / entry / "environ").read_bytes()
                if content and any(needle in content for needle in needles):
                    found.append(int(entry))
    return found


def end_groups(groups: Iterable[int], markers: Iterable[str], *, first: signal.Signals, grace_s: float) -> bool:
    """Send `first` to groups and marked processes, wait for the grace, kill what is left; whether anything lived.

    A Ctrl-C during the grace ends it.
    """
    listed, marks = list(groups), list(markers)
    if not signal_all(listed, marks, first):
        return False
    deadline = time.monotonic() + grace_s
    try:
        while time.monotonic() < deadline:
            if not signal_all(listed, marks, None):
                return True
            time.sleep(0.02)
    except KeyboardInterrupt:
        pass
    signal_all(listed, marks, signal.SIGKILL)
    while signal_all(listed, marks, None) and time.monotonic() < deadline + 2.0:
        time.sleep(0.01)
    return True


def signal_all(groups: list[int], markers: list[str], number: signal.Signals | None) -> bool:
    """Signal everything that lives (None: only look); whether there was anything."""
    alive = False
    for group in groups:
        if _group_lives(group):
            alive = True
            if number is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, number)
    for pid in marked_processes(markers):
        alive = True
        if number is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
    return alive


def _group_lives(group: int) -> bool:
    """Whether a group has a member that is no zombie."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    if not PROC.is_dir():
        return True
    for entry in os.listdir(PROC):  # noqa: PTH208
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = (PROC / entry / "stat").read_bytes().rpartition(b")")[2].split()
                if int(fields[2]) == group and fields[0] != b"Z":
                    return True
    return False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
