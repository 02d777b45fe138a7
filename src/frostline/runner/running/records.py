"""One line of JSON for each run of a step: when, where, how long, how much, with which versions, how it ended.

Lines are appended and never changed; one that a kill has cut short is passed over on reading. A file that has grown
large is set aside for a new one, and of those set aside the last is kept: so records take a bounded room. Read from the
end, as the newest are asked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from frostline.runner.keeping import gitfiles
from frostline.runner.running.executors.base import Outcome

if TYPE_CHECKING:
    from frostline.runner.project.spec import Step
    from frostline.runner.session import Session

MAX_BYTES = 16 << 20  # some 20,000 runs; the file set aside has as many
CHUNK_BYTES = 1 << 16
Line = dict[str, Any]


def append_record(file: Path, record: Line) -> None:
    """Add a record, whole, whatever other runners write at the same time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    data = (json.dumps(record, sort_keys=True, ensure_ascii=False) + "\n").encode()
    handle = _opened(file)
    try:
        n_bytes = os.fstat(handle).st_size
        if n_bytes and os.pread(handle, 1, n_bytes - 1) != b"\n":
            data = b"\n" + data  # a kill has cut the last line short
        os.write(handle, data)
        if n_bytes + len(data) > MAX_BYTES:
            file.replace(_set_aside(file))
    finally:
        os.close(handle)


def _opened(file: Path) -> int:
    """The file, held for this process alone; not one that another process has just set aside."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        with contextlib.suppress(OSError):  # a file system without locks: lines go in whole even so
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            if file.stat().st_ino == os.fstat(handle).st_ino:
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)


def _set_aside(file: Path) -> Path:
    return file.with_suffix(f".old{file.suffix}")


def read_records(file: Path) -> Iterator[Line]:
    """All records, oldest first."""
    return reversed(list(newest_records(file)))


def newest_records(file: Path) -> Iterator[Line]:
    """All records, newest first, read from the end of the file as far as they are asked for."""
    for one in (file, _set_aside(file)):
        try:
            stream = one.open("rb")
        except FileNotFoundError:
            continue
        with stream:
            for line in _lines_backwards(stream):
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if isinstance(record, dict):
                    yield record


def _lines_backwards(stream: BinaryIO) -> Iterator[bytes]:
    position = stream.seek(0, os.SEEK_END)
    rest = b""
    while position > 0:
        n_bytes = min(CHUNK_BYTES, position)
        position -= n_bytes
        stream.seek(position)
        rest, *lines = (stream.read(n_bytes) + rest).split(b"\n")
        yield from reversed(lines)
    yield rest


def machine() -> Line:
    """The part of a record that is the same for all steps of a run."""
    return {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "platform": sys.platform,
        "n_cpus": os.cpu_count(),
    }


def record_of(session: Session, step: Step, *, status: str, started: str, log: Path) -> Line:
    """The part of a record that says which step it was, and with which versions."""
    return {
        "step": step.name,
        "command": step.command,
        "profile": session.places.profile,
        "cell": dict(step.cell),
        "status": status,
        "started": started,
        "log": str(log.relative_to(session.root)),
        "threads": step.resources.cpus,
        "versions": {name: session.contexts.version(name) for name in step.requires},
    }


def surroundings(session: Session) -> Line:
    """The part that is the same for all steps of a run: commit and machine."""
    last_writers = session.graph.last_writers

    def is_made(path: PurePosixPath) -> bool:
        """Whether a path that git tracks is written by runs: an output, or a file of the ledger."""
        if path.parts[0] in ("dvc.yaml", "dvc.lock", "ledger") or path.name == ".gitignore":
            return True
        return any(one in last_writers for one in (path, *path.parents))

    return {**git_state(session.root, is_made), **machine()}


def git_state(root: Path, is_made: Callable[[PurePosixPath], bool]) -> Line:
    """The commit that is checked out, and whether sources differ from it.

    Args:
        is_made: whether a path is written by runs: its changes are results, no sources.
    """
    commit = gitfiles.current_commit(root)
    if commit is None:
        return {"git_commit": None, "git_dirty": None}
    return {"git_commit": commit, "git_dirty": any(not is_made(path) for path in gitfiles.changed_files(root))}


def measured(outcome: Outcome) -> Line:
    """The part of a record that says what a run took; what could not be measured is null."""
    line: Line = {
        "seconds": round(outcome.seconds, 3),
        "cpu_seconds": round(outcome.cpu_seconds, 3),
        "peak_memory_mib": round(outcome.peak_memory_mib, 1) or None,
        "exit_code": outcome.exit_code,
        "timed_out": outcome.timed_out,
    }
    if outcome.gpu_names:
        line |= {"gpus": list(outcome.gpu_names), "peak_gpu_mib": outcome.peak_gpu_mib}
    return line
