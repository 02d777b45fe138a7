"""What was brought here, and from where: one small file for each asset, in local state.

A file with a declared checksum needs none of this. It is for what a checksum can't tell: an unpacked archive, a
folder out of a repository, a file whose source has no checksum. Local state may vanish: then nothing is known.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from frostline.digest import md5_bytes, md5_file, sha256_json
from frostline.runner.digests.hashing import replace_quickly
from frostline.runner.project.spec import Asset


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """One asset, as it was when it came."""

    told: str  # digest of what the project file said of it
    commit: str | None  # of a repository
    files: Mapping[str, list[int | str]]  # path in the folder, "" of a file -> size, mtime_ns, md5; target of a link


def told(asset: Asset) -> str:
    """A digest of what the project file says of an asset's content."""
    git = asset.git and [asset.git.repo, asset.git.path, asset.git.branch]
    return sha256_json([asset.urls, git, asset.extract, asset.sha256, asset.md5])


class Memory:
    """The records of one project.

    Args:
        folder: where they are; None: nothing is remembered.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def of(self, dest: PurePosixPath) -> Brought | None:
        """What is known of the asset at `dest`."""
        if self.folder is None:
            return None
        try:
            return Brought(**json.loads(self._file(dest).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def note(self, dest: PurePosixPath, brought: Brought) -> None:
        """Remember what was brought to `dest`."""
        if self.folder is not None:
            replace_quickly(self._file(dest), json.dumps(asdict(brought)).encode())

    def _file(self, dest: PurePosixPath) -> Path:
        assert self.folder is not None
        return self.folder / f"{md5_bytes(str(dest).encode())}.json"


def entries_of(path: Path) -> dict[str, list[int | str]]:
    """The files of a folder, or the one file, as `Brought` has them."""
    if path.is_symlink() or not path.is_dir():
        return {"": _entry(path)}
    found: dict[str, list[int | str]] = {}
    for folder, folders, files in os.walk(path):
        for name in (*files, *(inner for inner in folders if (Path(folder) / inner).is_symlink())):
            entry = Path(folder) / name
            found[entry.relative_to(path).as_posix()] = _entry(entry)
    return found


def is_as_brought(path: Path, entry: list[int | str]) -> bool:
    """Whether a file or link is what its entry says, by size and time, else by content."""
    try:
        status = path.lstat()
    except OSError:
        return False
    if stat.S_ISLNK(status.st_mode):
        return len(entry) == 1 and str(path.readlink()) == entry[0]
    if len(entry) != 3 or not stat.S_ISREG(status.st_mode) or status.st_size != entry[0]:
        return False
    return status.st_mtime_ns == entry[1] or md5_file(path) == entry[2]


def _entry(path: Path) -> list[int | str]:
    if path.is_symlink():
        return [str(path.readlink())]
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, md5_file(path)]
