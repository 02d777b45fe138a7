"""DVC's two locks, kept by its protocol: ours waits, with a message, and never holds the first while a step works.

`.dvc/tmp/lock` is a flock that guards the ledger for a moment; `.dvc/tmp/rwlock` is a JSON file that says which
process reads and writes which paths, edited under a flock of its own. Entries of others are never touched, those of
dead processes aside: they go whenever the file is written. As numbers of processes are used again, an entry of ours has
the moment at which its process began behind the command, and one of another's counts only while its number belongs to
a process that can be DVC's or ours.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from frostline.runner.digests.hashing import replace_quickly
from frostline.runner.running.processes import PROC, start_of

POLL_S = 0.1
BEGAN = " #"  # stands between the command and the moment at which its process began
PROGRAMS = ("python", "pypy", "dvc", "project", "frostline")
Say = Callable[[str], None]


class PathsBusy(Exception):
    """Another process works on a path."""


@contextmanager
def flocked(file: Path, say: Say, what: str) -> Iterator[None]:
    """Hold an exclusive flock on `file`; say once what is waited for."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as stream:
        told = False
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    say(f"waiting for {what} ({file}), which another process holds")
                    told = True
                time.sleep(POLL_S)
        try:
            yield
        finally:
            fcntl.flock(stream, fcntl.LOCK_UN)


class Locks:
    """The locks of one project.

    Args:
        tmp: `.dvc/tmp`.
        say: where waiting is announced.
        idle: True under `dvc repro`, which holds the locks itself: then nothing is locked.
    """

    def __init__(self, tmp: Path, say: Say, *, idle: bool = False) -> None:
        self.tmp = tmp
        self.say = say
        self.idle = idle

    @contextmanager
    def ledger(self) -> Iterator[None]:
        """Guard the ledger files for a moment."""
        if self.idle:
            yield
            return
        with flocked(self.tmp / "lock", self.say, "DVC's lock"):
            yield

    @contextmanager
    def paths(self, owner: str, *, read: Iterable[Path], write: Iterable[Path], patient: bool = True) -> Iterator[None]:
        """Hold paths while a step works on them; wait until nobody else does.

        Args:
            patient: False raises PathsBusy instead of waiting: who holds other paths would wait for one who waits.
        """
        if self.idle:
            yield
            return
        info = {"pid": os.getpid(), "cmd": f"{owner}{BEGAN}{start_of(os.getpid())}"}
        reads, writes = [str(path) for path in read], [str(path) for path in write]
        told = False
        while (blocker := self._enter(info, reads, writes)) is not None:
            if not patient:
                raise PathsBusy(blocker[0])
            if not told:
                path, other = blocker
                command = str(other["cmd"]).rpartition(BEGAN)[0] or other["cmd"]
                self.say(f"waiting for {path}, which process {other['pid']} ({command}) works on")
                told = True
            time.sleep(POLL_S)
        try:
            yield
        finally:
            self._leave(info, reads, writes)

    def _enter(self, info: dict[str, Any], reads: list[str], writes: list[str]) -> tuple[str, dict[str, Any]] | None:
        """Put the paths in, or give the path and the process that stand against it."""
        with flocked(self.tmp / "rwlock.lock", self.say, "DVC's path lock"):
            table = _without_the_dead(self._load())
            blocker = _blocker(table["write"], info, [*reads, *writes]) or _blocker(table["read"], info, writes)
            if blocker is not None:
                self._save(table)
                return blocker
            for path in reads:
                readers = table["read"].setdefault(path, [])
                if info not in readers:
                    readers.append(info)
            for path in writes:
                table["write"][path] = info
            self._save(table)
        return None

    def _leave(self, info: dict[str, Any], reads: list[str], writes: list[str]) -> None:
        with flocked(self.tmp / "rwlock.lock", self.say, "DVC's path lock"):
            table = _without_the_dead(self._load())
            for path in reads:
                readers = [reader for reader in table["read"].get(path, []) if reader != info]
                if readers:
                    table["read"][path] = readers
                else:
                    table["read"].pop(path, None)
            for path in writes:
                if table["write"].get(path) == info:
                    del table["write"][path]
            self._save(table)

    def _load(self) -> dict[str, Any]:
        try:
            table = json.loads((self.tmp / "rwlock").read_text(encoding="utf-8") or "{}")
        except (FileNotFoundError, ValueError):
            table = {}
        return {"write": dict(table.get("write", {})), "read": dict(table.get("read", {}))}

    def _save(self, table: dict[str, Any]) -> None:
        kept = {key: value for key, value in table.items() if value}
        replace_quickly(self.tmp / "rwlock", json.dumps(kept).encode())


def _without_the_dead(table: dict[str, Any]) -> dict[str, Any]:
    """The table without the entries of processes that are no more."""
    known: dict[tuple[int, str], bool] = {}

    def lives(info: dict[str, Any]) -> bool:
        key = int(info["pid"]), str(info["cmd"])
        if key not in known:
            known[key] = _is_holder(*key)
        return known[key]

    readers = {path: [info for info in infos if lives(info)] for path, infos in table["read"].items()}
    return {
        "write": {path: info for path, info in table["write"].items() if lives(info)},
        "read": {path: infos for path, infos in readers.items() if infos},
    }


def _blocker(table: dict[str, Any], info: dict[str, Any], wanted: list[str]) -> tuple[str, dict[str, Any]] | None:
    """The first holder of a path that overlaps a wanted one."""
    for path, held in table.items():
        against = [holder for holder in (held if isinstance(held, list) else [held]) if holder != info]
        if against and any(_overlap(path, other) for other in wanted):
            return path, against[0]
    return None


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(other + os.sep) or other.startswith(one + os.sep)


def is_alive(pid: int) -> bool:
    """Whether a process of this number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_holder(pid: int, command: str) -> bool:
    """Whether the process that made an entry still lives."""
    began = command.rpartition(BEGAN)[2] if BEGAN in command else ""
    if began.isdecimal():
        return start_of(pid) == began
    return is_alive(pid) and (not PROC.is_dir() or _may_be_dvcs(pid))


def _may_be_dvcs(pid: int) -> bool:
    """Whether a process may be one of DVC's or ours, as far as it can be seen: a zombie is none."""
    if start_of(pid) is None:
        return False
    try:
        called = os.fsdecode((PROC / str(pid) / "cmdline").read_bytes().partition(b"\0")[0])
        names = (Path(called).name, (PROC / str(pid) / "exe").readlink().name)
    except PermissionError:
        return True  # another user's, who does not show it
    except OSError:
        return False  # it has just ended, or is a part of the system itself
    return any(program in name for name in names for program in PROGRAMS)
