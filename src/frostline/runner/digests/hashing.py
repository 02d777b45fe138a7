"""Content digests of files and folders in DVC's form, behind a stat cache: an unchanged tree costs only `stat`.

A file's digest is the MD5 of its bytes, a folder's that of the listing of its files with `.dir` behind it. The
cache lives in local state and may vanish at any time. Writes nothing else. What only a change needs is loaded then.
"""

from __future__ import annotations

import json
import os
import stat
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frostline.console import say
from frostline.digest import md5_bytes
from frostline.errors import StoreError
from frostline.runner.digests.walking import DeadLink, FolderLink, Mark, Tree, look, mark_of, walk

if TYPE_CHECKING:
    from frostline.runner.digests.tree_memory import TreeMemory

CACHE_VERSION = 4
MUCH_BYTES = 2 << 30  # takes seconds to hash, so it is said
RACY_NS = 20_000_000  # a file written this shortly before it was hashed may change again in the same clock tick


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


@dataclass(slots=True)
class _Unread:
    """A path whose digest is not known without reading."""

    path: str
    files: list[tuple[str, int]] = field(default_factory=list)  # (full path, size) of what must be read
    marks: list[Mark] = field(default_factory=list)  # of the same
    is_exec: bool = False
    tree: Tree | None = None  # None: a file
    digests: list[str] = field(default_factory=list)  # of the tree's files, "" where it must be read
    signature: str = ""


def listing_bytes(files: Mapping[str, str]) -> bytes:
    """DVC's text for a folder: relative path -> md5, sorted by path."""
    entries = (f'{{"md5": "{files[name]}", "relpath": {encode_basestring_ascii(name)}}}' for name in sorted(files))
    return f"[{', '.join(entries)}]".encode()


class Hasher:
    """Digests of paths under a root, remembered by size, times and inode.

    Args:
        root: the project's folder.
        state: the folder of the stat cache; None: remember nothing.
    """

    def __init__(self, root: Path, state: Path | None) -> None:
        self.root = root
        self.state = state
        self.seen: dict[str, Digest | None] = {}  # answers of this run
        self.links: dict[str, dict[str, FolderLink]] = {}  # of the folders looked at
        self.strange: dict[str, str] = {}  # of the same: a name that is no UTF-8
        self.files: dict[str, Any] = {}
        self.trees: dict[str, Any] = {}
        self.last_listing: tuple[str, dict[str, str]] | None = None  # of the folder that was read last
        self.changed = False
        self.saved_with: list[Callable[[], None]] = []  # what else is known of the files, and kept with their digests
        loaded = load_json(state / "stat.json") if state else {}
        if loaded.get("version") == CACHE_VERSION:
            self.files, self.trees = loaded["files"], loaded["trees"]

    def digest(self, path: str) -> Digest | None:
        """The digest of a path relative to the root (or absolute); None when nothing is there.

        Raises StoreError for what can't be hashed: pipes, devices, files that may not be read; DeadLink for a link
        that leads nowhere, or a folder with one in it.
        """
        if path not in self.seen:
            known = self._known(path)
            if isinstance(known, _Unread):
                self._read([known])
            else:
                self.seen[path] = known
        return self.seen[path]

    def whole(self, path: str) -> Digest | None:
        """The digest of an output; None when it is not there, or spoilt by a link that leads nowhere."""
        try:
            return self.digest(path)
        except DeadLink:
            return None

    def is_gone(self, path: str) -> bool:
        """Whether nothing is at a path; a link that leads nowhere is something."""
        try:
            return self.digest(path) is None
        except DeadLink:
            return False

    def look_ahead(self, paths: Iterable[str]) -> None:
        """Find the digests of many paths, reading side by side what must be read. Faults wait for `digest`."""
        unread = []
        for path in paths:
            if path not in self.seen:
                try:
                    known = self._known(path)
                except StoreError:
                    continue
                if isinstance(known, _Unread):
                    unread.append(known)
                else:
                    self.seen[path] = known
        if unread:
            try:
                self._read(unread)
            except StoreError:
                return

    def forget(self, path: str) -> None:
        """Look again at `path` the next time it is asked for. Paths around it are for those to forget who use them."""
        for known in (self.seen, self.links, self.strange):
            known.pop(path, None)
        if self.last_listing is not None and self.last_listing[0] == path:
            self.last_listing = None

    def save(self) -> None:
        """Write the stat cache, if there is news."""
        if self.changed and self.state is not None:
            value = {"version": CACHE_VERSION, "files": self.files, "trees": self.trees}
            keep(self.state / "stat.json", json.dumps(value, separators=(",", ":")).encode())
            self.changed = False
        for save in self.saved_with:
            save()

    def files_of(self, path: str) -> dict[str, str]:
        """Relative path -> md5 of the files in a folder whose digest was asked for."""
        if self.last_listing is None or self.last_listing[0] != path:
            self._read([self._unread_tree(path, *self._walk(path))])
        assert self.last_listing is not None
        return self.last_listing[1]

    def _known(self, path: str) -> Digest | _Unread | None:
        """What needs no reading; else what must be read."""
        full = f"{self.root}/{path}" if not path.startswith("/") else path
        status = look(full)
        if status is None:
            return None
        if stat.S_ISDIR(status.st_mode):
            return self._known_tree(path)
        mark = mark_of(status)
        is_exec = bool(status.st_mode & 0o111)
        known = self.files.get(path)
        if known is not None and tuple(known[:-1]) == mark:
            return Digest(known[-1], mark[0], is_exec=is_exec)
        return _Unread(path, [(full, mark[0])], [mark], is_exec)

    def _known_tree(self, path: str) -> Digest | _Unread:
        tree, signature = self._walk(path)
        known = self.trees.get(path)
        if known is not None and known[0] == signature:
            return Digest(known[1], known[2], known[3])
        return self._unread_tree(path, tree, signature)

    def _walk(self, path: str) -> tuple[Tree, str]:
        """A folder and its signature; what no digest can say of it is noted."""
        tree = walk(self.root, path)
        names = "\0".join(tree.names)
        try:
            data = names.encode()
        except UnicodeEncodeError:
            data = os.fsencode(names)
            self.strange[path] = next(name for name in tree.names if not _is_text(name))
        self.links[path] = tree.links
        return tree, md5_bytes(data + b"\0" + tree.marks.tobytes())

    def links_in(self, path: str) -> Mapping[str, FolderLink]:
        """The links to folders in a folder that counts; none where nothing can be looked at."""
        if path not in self.seen and path not in self.links:
            self.links[path] = {}
            with suppress(StoreError):
                if (self.root / path).is_dir():
                    self._walk(path)
        return self.links.get(path, {})

    def _unread_tree(self, path: str, tree: Tree, signature: str) -> _Unread:
        """A folder of which those files must be read that are not as they were."""
        from frostline.runner.digests.tree_memory import load_tree

        memory = load_tree(self._tree_file(path)) if self.state else None
        known = memory.by_name() if memory is not None else {}
        base = f"{self.root / path}/"
        unread = _Unread(path, tree=tree, signature=signature)
        for index, name in enumerate(tree.names):
            mark = tree.mark(index)
            old = known.get(name)
            if old is not None and old[0] == mark:
                unread.digests.append(old[1])
            else:
                unread.digests.append("")
                unread.files.append((base + name, mark[0]))
                unread.marks.append(mark)
        return unread

    def _read(self, jobs: list[_Unread]) -> None:
        """Read what must be read, of all jobs together, and note the digests."""
        from frostline.runner.digests import contents

        files = [file for job in jobs for file in job.files]
        n_bytes = sum(size for _, size in files)
        if n_bytes > MUCH_BYTES:
            say(f"hashing {n_bytes / (1 << 30):.1f} GiB in {len(files)} files")
        found = iter(contents.md5_of_files(files))
        for job in jobs:
            if job.tree is None:
                self.seen[job.path] = self._note_file(job, next(found))
            else:
                self.seen[job.path] = self._note_tree(job, job.tree, found)

    def _note_file(self, job: _Unread, md5: str) -> Digest:
        (full, n_bytes), mark = job.files[0], job.marks[0]
        if _may_be_remembered(full, mark):
            self.files[job.path] = [*mark, md5]
            self.changed = True
        return Digest(md5, n_bytes, is_exec=job.is_exec)

    def _note_tree(self, job: _Unread, tree: Tree, found: Iterator[str]) -> Digest:
        fresh = [index for index, md5 in enumerate(job.digests) if not md5]
        for index in fresh:
            job.digests[index] = next(found)
        listing = dict(zip(tree.names, job.digests, strict=True))
        digest = Digest(md5_bytes(listing_bytes(listing)) + ".dir", tree.n_bytes, len(tree.names))
        self.last_listing = (job.path, listing)
        if self.state is None or self.trees.get(job.path, [""])[0] == job.signature:
            return digest
        unsettled = {
            index
            for index, (full, _), mark in zip(fresh, job.files, job.marks, strict=True)
            if not _may_be_remembered(full, mark)
        }
        keep(self._tree_file(job.path), _settled(tree, job.digests, unsettled).to_bytes())
        if not unsettled:
            self.trees[job.path] = [job.signature, digest.md5, digest.n_bytes, digest.n_files]
            self.changed = True
        return digest

    def _tree_file(self, path: str) -> Path:
        assert self.state is not None
        return self.state / "trees" / f"{md5_bytes(os.fsencode(path))}.bin"


def _settled(tree: Tree, digests: list[str], unsettled: set[int]) -> TreeMemory:
    """What of a folder may be remembered."""
    from frostline.runner.digests.tree_memory import TreeMemory

    if not unsettled:
        return TreeMemory(tree, digests)
    kept = [index for index in range(len(tree.names)) if index not in unsettled]
    marks = array("q", (number for index in kept for number in tree.mark(index)))
    return TreeMemory(Tree([tree.names[index] for index in kept], marks), [digests[index] for index in kept])


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _may_be_remembered(path: str, mark: Mark) -> bool:
    """Whether the file is still as it was before hashing, and was not written just now."""
    try:
        status = look(path)
    except StoreError:
        return False
    return status is not None and mark_of(status) == mark and time.time_ns() - max(mark[1], mark[2]) > RACY_NS


def load_json(path: Path) -> dict[str, Any]:
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
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def keep(path: Path, data: bytes) -> None:
    """Replace a file that only spares work; where nothing can be written (a read-only project), go without it."""
    with suppress(OSError):
        replace_quickly(path, data)
