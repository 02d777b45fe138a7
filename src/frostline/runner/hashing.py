"""Content digests of files and folders in DVC's form, behind a stat cache: an unchanged tree costs only `stat`.

A file's digest is the MD5 of its bytes, a folder's that of the listing of its files with `.dir` behind it. The
cache lives in local state and may vanish at any time. Writes nothing else.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frostline.digest import md5_bytes, md5_file
from frostline.errors import StoreError
from frostline.runner.ignores import Ignores, ignores_above

CACHE_VERSION = 2
RACY_NS = 20_000_000  # a file written this shortly before it was hashed may change again in the same clock tick

Mark = tuple[int, int, int]  # size, mtime_ns, inode


@dataclass(frozen=True, slots=True)
class Digest:
    """What a path holds."""

    md5: str  # of a folder: ends in .dir
    n_bytes: int
    n_files: int | None = None  # folders only
    is_exec: bool = False  # files only

    @property
    def is_folder(self) -> bool:
        """Whether it is the digest of a folder."""
        return self.md5.endswith(".dir")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file met in a folder."""

    relpath: str  # posix, relative to the folder
    path: Path
    mark: Mark


def listing_bytes(files: dict[str, str]) -> bytes:
    """DVC's text for a folder: relative path -> md5, sorted by path."""
    entries = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return json.dumps(entries, sort_keys=True).encode()


def walk(folder: Path, root: Path, relative: str) -> Iterator[FoundFile]:
    """The files of a folder that count. Raises StoreError for what can't be hashed."""
    pending: list[tuple[str, str, Ignores]] = [(str(folder), "", ignores_above(root, relative))]
    while pending:
        place, prefix, above = pending.pop()
        here = f"{relative}/{prefix}".rstrip("/") if relative != "." else prefix.rstrip("/")
        ignores = above.entering(root, here or ".") if here else above
        with os.scandir(place) as entries:
            for entry in entries:
                name = prefix + entry.name
                full = f"{here}/{entry.name}" if here else entry.name
                is_directory = entry.is_dir()
                if ignores.hides(full, is_directory=is_directory):
                    continue
                if is_directory:
                    if not entry.is_symlink():  # DVC leaves linked folders inside a folder out
                        pending.append((entry.path, name + "/", ignores))
                else:
                    yield FoundFile(name, Path(entry.path), _mark_of(entry.path, entry))


def _mark_of(path: str, entry: os.DirEntry[str] | None = None) -> Mark:
    try:
        status = entry.stat() if entry is not None else os.stat(path)  # noqa: PTH116  (a Path costs more than the call)
    except FileNotFoundError as error:
        raise StoreError(f"'{path}' is a link that leads nowhere.", fix="Remove it, or make its target.") from error
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(
            f"'{path}' is no regular file, so it can't be hashed.", fix="Keep pipes and devices elsewhere."
        )
    return (status.st_size, status.st_mtime_ns, status.st_ino)


class Hasher:
    """Digests of paths under a root, remembered by size, time and inode.

    Args:
        root: the project's folder.
        state: the folder of the stat cache; None: remember nothing.
    """

    def __init__(self, root: Path, state: Path | None) -> None:
        self.root = root
        self.state = state
        self.seen: dict[str, Digest | None] = {}  # answers of this run
        self.files: dict[str, Any] = {}
        self.trees: dict[str, Any] = {}
        self.changed = False
        loaded = _load_json(state / "stat.json") if state else {}
        if loaded.get("version") == CACHE_VERSION:
            self.files, self.trees = loaded["files"], loaded["trees"]

    def digest(self, path: str) -> Digest | None:
        """The digest of a path relative to the root (or absolute); None when nothing is there."""
        if path not in self.seen:
            self.seen[path] = self._digest(path)
        return self.seen[path]

    def forget(self, path: str) -> None:
        """Look again at `path` the next time it is asked for. Paths around it are for those to forget who use them."""
        self.seen.pop(path, None)

    def save(self) -> None:
        """Write the stat cache, if there is news."""
        if self.changed and self.state is not None:
            value = {"version": CACHE_VERSION, "files": self.files, "trees": self.trees}
            replace_quickly(self.state / "stat.json", json.dumps(value).encode())
            self.changed = False

    def files_of(self, path: str) -> dict[str, str]:
        """Relative path -> md5 of the files in a folder whose digest was asked for."""
        return {found.relpath: md5 for found, md5 in self._hashed_files(path)}

    def _digest(self, path: str) -> Digest | None:
        full = self.root / path
        try:
            status = full.stat()
        except (FileNotFoundError, NotADirectoryError):
            if full.is_symlink():
                _mark_of(str(full))
            return None
        if stat.S_ISDIR(status.st_mode):
            return self._tree(path, full)
        mark = _mark_of(str(full))
        is_exec = bool(status.st_mode & 0o111)
        known = self.files.get(path)
        if known is not None and tuple(known[:3]) == mark:
            return Digest(known[3], mark[0], is_exec=is_exec)
        md5 = md5_file(full)
        if _may_be_remembered(full, mark):
            self.files[path] = [*mark, md5]
            self.changed = True
        return Digest(md5, mark[0], is_exec=is_exec)

    def _tree(self, path: str, full: Path) -> Digest:
        found = sorted(walk(full, self.root, path), key=lambda file: file.relpath)
        signature = md5_bytes(
            "\n".join(f"{file.relpath}\0{file.mark}" for file in found).encode("utf-8", "surrogateescape")
        )
        known = self.trees.get(path)
        if known is not None and known[0] == signature:
            return Digest(known[1], known[2], known[3])
        files, settled = self._hash_tree(path, found)
        oid = md5_bytes(listing_bytes(files)) + ".dir"
        digest = Digest(oid, sum(file.mark[0] for file in found), len(found))
        if settled:
            self.trees[path] = [signature, oid, digest.n_bytes, digest.n_files]
            self.changed = True
        return digest

    def _hash_tree(self, path: str, found: list[FoundFile]) -> tuple[dict[str, str], bool]:
        """MD5 of every file of a folder, and whether none may still be changing."""
        memory = self._tree_file(path)
        known = _load_json(memory) if memory else {}
        fresh: dict[str, Any] = {}
        for file in found:
            old = known.get(file.relpath)
            if old is not None and tuple(old[:3]) == file.mark:
                fresh[file.relpath] = old
            else:
                fresh[file.relpath] = [*file.mark, md5_file(file.path)]
        settled = all(file.relpath in known or _may_be_remembered(file.path, file.mark) for file in found)
        if memory and settled:
            replace_quickly(memory, json.dumps(fresh).encode())
        return {name: entry[3] for name, entry in fresh.items()}, settled

    def _hashed_files(self, path: str) -> Iterator[tuple[FoundFile, str]]:
        found = sorted(walk(self.root / path, self.root, path), key=lambda file: file.relpath)
        files, _ = self._hash_tree(path, found)
        for file in found:
            yield file, files[file.relpath]

    def _tree_file(self, path: str) -> Path | None:
        return self.state / "trees" / f"{md5_bytes(path.encode())}.json" if self.state else None


def _may_be_remembered(path: Path, mark: Mark) -> bool:
    """Whether the file is still as it was before hashing, and was not written just now."""
    try:
        return _mark_of(str(path)) == mark and time.time_ns() - mark[1] > RACY_NS
    except (OSError, StoreError):
        return False


def _load_json(path: Path) -> dict[str, Any]:
    """A local state file; an absent or spoilt one counts as empty."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def replace_quickly(path: Path, data: bytes) -> None:
    """Replace a file of local state in one move, without waiting for the disk: it can be made anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
