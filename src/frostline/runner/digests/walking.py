"""The files of a folder that count, with what `stat` says of each: one pass, a few microseconds a file.

Follows links to files, leaves links to folders out (as DVC does) but tells of them, obeys `.dvcignore`. What is neither
file nor folder is an error, never waited for. Reads no contents.
"""

from __future__ import annotations

import os
import stat
from array import array
from dataclasses import dataclass, field
from pathlib import Path

from frostline.errors import StoreError
from frostline.runner.digests.ignores import ignores_above

Mark = tuple[int, int, int, int]  # size, mtime_ns, ctime_ns, inode
N_MARKS = 4
_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
_INODE_BITS = (1 << 63) - 1  # some file systems use the 64th bit, for which a signed column has no room


class DeadLink(StoreError):
    """A link that leads nowhere: what it stands for is lost."""


@dataclass(frozen=True, slots=True)
class FolderLink:
    """A link to a folder, in a folder that counts: no digest says anything of it."""

    target: str  # inside: the folder that it leads to, relative to the one that counts; else what the link itself says
    is_inside: bool  # what it leads to counts anyway, under its own name


@dataclass(slots=True)
class Tree:
    """The files of a folder, in an order that depends on their names alone: columns, as there may be a million."""

    names: list[str] = field(default_factory=list)  # posix, relative to the folder
    marks: array[int] = field(default_factory=lambda: array("q"))  # N_MARKS a file, as in Mark
    links: dict[str, FolderLink] = field(default_factory=dict)  # by name, as the files

    def mark(self, index: int) -> Mark:
        """Size, times and inode of one file."""
        size, mtime_ns, ctime_ns, inode = self.marks[N_MARKS * index : N_MARKS * (index + 1)]
        return size, mtime_ns, ctime_ns, inode

    @property
    def n_bytes(self) -> int:
        """Size of all files together."""
        return sum(self.marks[0::N_MARKS])


def walk(root: Path, relative: str) -> Tree:
    """The files that count in the folder `relative` to the root. Raises StoreError for what can't be hashed."""
    tree = Tree()
    pending = [("", ignores_above(root, relative))]
    base = str(root / relative)
    linked: list[str] = []
    walked = {"."}
    while pending:
        prefix, above = pending.pop()
        here = prefix.rstrip("/") if relative == "." else f"{relative}/{prefix}".rstrip("/")
        ignores = above.entering(root, here) if here else above
        hides = ignores.matcher(here)
        folders = []
        for entry in _entries(os.path.join(base, prefix) if prefix else base):  # noqa: PTH118  (called for each folder)
            try:
                is_folder = entry.is_dir()
                if hides(entry.name, is_folder):
                    continue
                if is_folder:
                    if entry.is_symlink():
                        linked.append(prefix + entry.name)
                    else:
                        folders.append((f"{prefix}{entry.name}/", ignores))
                    continue
                status = entry.stat()
            except FileNotFoundError:
                if entry.is_symlink():
                    raise _leads_nowhere(entry.path) from None
                continue  # it was there a moment ago: a temporary file of somebody's
            except OSError as error:
                raise unreadable(entry.path, error) from error
            if not stat.S_ISREG(status.st_mode):
                raise irregular(entry.path, status.st_mode)
            tree.names.append(prefix + entry.name)
            tree.marks.extend(mark_of(status))
        pending += reversed(folders)
        walked.update(folder[:-1] for folder, _ in folders)
    for name in linked:
        tree.links[name] = _folder_link(base, name, walked)
    return tree


def _folder_link(base: str, name: str, walked: set[str]) -> FolderLink:
    """Where a link leads; inside is what was walked, which leaves out what is ignored."""
    full = f"{base}/{name}"
    target = os.path.relpath(os.path.realpath(full), os.path.realpath(base))
    is_inside = target in walked
    return FolderLink(target if is_inside else os.readlink(full), is_inside)  # noqa: PTH115


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=_name)
    except OSError as error:
        raise unreadable(folder, error) from error


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def look(path: str) -> os.stat_result | None:
    """What `stat` says of a path, links followed; None when nothing is there.

    Raises DeadLink for a link that leads nowhere, StoreError for a path that may not be looked at, and for what is
    neither file nor folder.
    """
    try:
        status = os.stat(path)  # noqa: PTH116  (a Path costs more than the call)
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path):  # noqa: PTH114
            raise _leads_nowhere(path) from None
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise irregular(path, status.st_mode)
    return status


def mark_of(status: os.stat_result) -> Mark:
    """What tells a changed file from an unchanged one.

    The time of the last change of the inode is set by the system alone, so it tells of a file that was written in place
    and given its old time again. Of a read-only file with several names it tells nothing: a link out of the store
    shares its inode with all others, each of which moves that time.
    """
    ctime_ns = status.st_ctime_ns if status.st_nlink == 1 or status.st_mode & 0o222 else 0
    return status.st_size, status.st_mtime_ns, ctime_ns, status.st_ino & _INODE_BITS


def _leads_nowhere(path: str) -> DeadLink:
    return DeadLink(f"'{path}' is a link that leads nowhere.", fix="Remove it, or make its target.")


def irregular(path: str, mode: int) -> StoreError:
    """The error for a pipe, a socket or a device."""
    kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
    return StoreError(
        f"'{path}' is {kind}, no regular file, so it can't be hashed.",
        fix="Keep it outside the project's deps and outputs, or name it in .dvcignore.",
    )


def unreadable(path: str, error: OSError) -> StoreError:
    """The error for what the system doesn't let us read."""
    return StoreError(
        f"'{path}' can't be read: {error.strerror or error}.",
        fix="Make it readable (chmod u+r, of a folder u+rx), or name it in .dvcignore.",
    )
