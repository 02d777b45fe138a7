"""Durable writes: a reader sees the old content or the new one, never half of it. Standard library only.

Everything goes to a temporary name beside its destination, is flushed to the disk, and takes its name by rename.
What goes wrong is told by the destination: the temporary name is nobody's business and gone by then.
"""

from __future__ import annotations

import errno
import fcntl
import fnmatch
import json
import os
import shutil
import stat
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from frostline.errors import FrostlineError, UsageError

# Errors that only writing meets, so that one without a path is the destination's.
_REFUSED_WRITES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path`; parents are made. Raises OSError, with the old content still in place."""
    with new_file(path) as temporary:
        temporary.write_bytes(data)


def write_text_atomic(path: Path, text: str) -> None:
    """Write UTF-8 text with "\\n" line ends to `path`, as `write_bytes_atomic` does."""
    write_bytes_atomic(path, text.encode())


def write_parts_atomic(path: Path, parts: Iterable[str]) -> None:
    """Write one text that is given in parts, as `write_text_atomic` does, without ever holding it whole."""
    with new_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(parts)


def write_json_atomic(path: Path, value: Any) -> None:
    """Write JSON for people and diffs: sorted keys, two spaces, a newline at the end."""
    write_text_atomic(path, json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what is written there becomes `path` when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_name(path)
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)  # noqa: PTH105  (os.replace is what the fault tests make fail)
    except BaseException as error:
        _name_destination(error, temporary, path)
        with suppress(OSError):  # the first error matters more
            temporary.unlink(missing_ok=True)
        raise
    _flush_to_disk(path.parent)


@contextmanager
def set_apart(path: Path) -> Iterator[Path]:
    """Yield a path for a library to write; what it wrote becomes `path` when the block succeeds.

    It lies in a temporary folder of its own beside `path`: some libraries write under a name of theirs first, which a
    kill leaves behind, and give the file the mode 0600 whatever the umask says. It gets the mode of `open`.
    """
    folder = _temporary_name(path)
    folder.mkdir()
    try:
        file = folder / path.name
        file.touch()
        mode = stat.S_IMODE(file.stat().st_mode)
        yield file
        with suppress(PermissionError):  # of a file system that knows no modes
            file.chmod(mode)
        os.replace(file, path)  # noqa: PTH105
    finally:
        with suppress(OSError):  # the first error matters more
            remove_tree(folder)


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield an empty temporary directory beside `path`; it becomes `path` when the block succeeds.

    What stood at `path` is moved aside first and removed last, so a crash in between leaves one whole copy:
    the old one under its temporary name, or the new one in place.
    """
    path = path if path.name else path.resolve()  # `.` has no name to put a temporary one beside
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_name(path)
    try:
        temporary.mkdir()
        yield temporary
        for file in sorted(temporary.rglob("*")):
            if file.is_file():
                _flush_to_disk(file)
        replace_directory(temporary, path)
    except BaseException as error:
        _name_destination(error, temporary, path)
        with suppress(OSError):  # the first error matters more
            remove_tree(temporary)
        raise


def foreign_in(path: Path, ours: Collection[str]) -> str | None:
    """What would be lost if a folder of ours were put at `path`: the first file that no pattern of ours matches.

    Args:
        ours: patterns of the relative paths of what we write there; `*` stands for any characters, `/` too.
    Returns:
        Its relative path; the name of `path` itself where that is a file; None when nothing would be lost.
    """
    if path.is_symlink() or not path.exists():
        return None
    if not path.is_dir():
        return path.name
    for folder, _, names in os.walk(path):
        for name in sorted(names):
            relative = (Path(folder) / name).relative_to(path).as_posix()
            if not any(fnmatch.fnmatchcase(relative, pattern) for pattern in ours):
                return relative
    return None


def refuse_to_lose(path: Path, ours: Collection[str], what: str) -> None:
    """Raise UsageError when putting `what` at `path` would lose something that is no part of such a thing."""
    lost = foreign_in(path, ours)
    if lost is not None:
        holds = "is a file" if path.is_file() else f"holds '{lost}', which is no part of {what}"
        fix = "Name another place, or move that away first."
        raise UsageError(f"'{path}' {holds}: it is not replaced.", where=str(path), fix=fix)


def replace_directory(new: Path, path: Path) -> None:
    """Put the directory `new` in the place of `path`, whatever is there."""
    old = None
    if path.is_symlink() or path.exists():
        old = _temporary_name(path)
        os.replace(path, old)  # noqa: PTH105
    try:
        os.replace(new, path)  # noqa: PTH105
    except BaseException:
        if old is not None:
            os.replace(old, path)  # noqa: PTH105
        raise
    _flush_to_disk(path.parent)
    if old is not None:
        remove_tree(old)


@contextmanager
def held(directory: Path) -> Iterator[bool]:
    """Hold a directory for this process: True, or False when another one holds it. It is made where it is missing.

    A kill lets go of it. Where the file system knows no locks, nothing is held and the answer is True.
    """
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = True
        except OSError as error:
            is_ours = error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
        yield is_ours
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove a file, link or directory if it is there; read-only entries too. A link's target is left alone."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    elif path.is_dir():
        _make_writable(path)
        shutil.rmtree(path, ignore_errors=False)


def _make_writable(directory: Path) -> None:
    for folder, _, _ in os.walk(directory):
        if not os.access(folder, os.W_OK | os.X_OK):
            os.chmod(folder, 0o755)  # noqa: PTH101


def _name_destination(error: BaseException, temporary: Path, path: Path) -> None:
    """Put `path` wherever an error speaks of `temporary` or of what lies in it."""
    old, new = str(temporary), str(path)
    if isinstance(error, FrostlineError):
        error.message = error.message.replace(old, new)
        error.where = error.where and error.where.replace(old, new)
    elif isinstance(error, OSError):
        if isinstance(error.filename, str | os.PathLike):
            error.filename = os.fspath(error.filename).replace(old, new)
        elif error.filename is None and error.errno in _REFUSED_WRITES:
            error.filename = new
        if error.filename2 is not None:
            del error.filename2  # of a rename: the destination once more, or the name of what was moved aside
        error.strerror = error.strerror and error.strerror.replace(old, new)


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
