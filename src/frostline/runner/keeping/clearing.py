"""Make way for outputs without losing what is the user's: only what a step of ours made is ever removed.

Ours is what is as on record, what the store holds, and what a step left that was begun and never recorded: a note in
local state is written before its command starts. All else is moved aside, and said. The note of a checkpoint says too
from what it was made, as it is nothing to any other command or input. Decides nothing about steps.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from frostline.digest import md5_bytes
from frostline.errors import StepFailed, StoreError
from frostline.files import remove_tree
from frostline.runner.digests.hashing import Hasher, replace_quickly
from frostline.runner.keeping.ledger import Ledger
from frostline.runner.keeping.places import Places
from frostline.runner.keeping.setup import prepare_dvc
from frostline.runner.keeping.store import Store


@dataclass(frozen=True, slots=True)
class Origin:
    """What a try of a step is made from: command, deps and context, as two digests."""

    exact: str  # each dep by its bytes
    meant: str  # each dep by what it says apart from comments and layout, where that is known

    def matches(self, note: dict[str, Any], *, strict: bool) -> bool:
        """Whether what a note speaks of was made from the same."""
        return note.get("exact") == self.exact or (not strict and note.get("meant") == self.meant)


class Clearing:
    """Clears the paths of one project; who calls holds the paths' locks.

    Args:
        say: where lines for people go.
    """

    def __init__(
        self, places: Places, ledger: Ledger, hasher: Hasher, store: Store, say: Callable[[str], None]
    ) -> None:
        self.places = places
        self.ledger = ledger
        self.hasher = hasher
        self.store = store
        self.say = say

    def clear(self, path: PurePosixPath) -> None:
        """Leave nothing at `path`: what is ours is removed, all else moved aside. Raises StepFailed."""
        self.spare(path)
        remove_tree(self.places.root / path)
        self.hasher.forget(str(path))

    def spare(self, path: PurePosixPath) -> None:
        """Move what lies at `path` aside, unless it is ours: that may be overwritten. Raises StepFailed."""
        if os.path.lexists(self.places.root / path) and not self._is_ours(path):
            self._move_aside(path)

    def is_leftover(self, path: PurePosixPath) -> bool:
        """Whether what lies at `path` is as a step left it that was begun and never recorded.

        A step that we saw fail has left a known state; of one that was killed with its runner, anything goes.
        """
        note = self._read_note(path)
        if "left" not in note or note.get("is_users"):
            return False
        return note["left"] is None or note["left"] == _state_of(self.places.root / path)

    def begin(self, paths: Iterable[PurePosixPath]) -> None:
        """Note that a step is about to write `paths`: what lies there from now on is ours."""
        for path in paths:
            self._write_note(path, {})

    def hand_over(self, paths: Iterable[PurePosixPath], origin: Origin, *, strict: bool) -> None:
        """Bind checkpoints to the try that is about to begin; those of another are moved aside. Raises StepFailed.

        One that a user has put there is handed on, and stays the user's.
        """
        for path in paths:
            note = self._read_note(path)
            there = os.path.lexists(self.places.root / path)
            if there and note and not origin.matches(note, strict=strict):
                self._move_aside(path, "the checkpoint of another command or other inputs")
                there = False
            is_users = there and not self.is_leftover(path)
            self._write_note(path, {"exact": origin.exact, "meant": origin.meant, "is_users": is_users})

    def drop_served(self, paths: Iterable[PurePosixPath], origin: Origin, *, strict: bool) -> None:
        """Remove those checkpoints whose result is there without them; one of another try waits for that."""
        for path in paths:
            if origin.matches(self._read_note(path), strict=strict):
                self.clear(path)
                self.release([path])

    def leave(self, paths: Iterable[PurePosixPath]) -> None:
        """Note how a try that failed has left `paths`, so that what a user puts there later is told apart."""
        for path in paths:
            if note := self._read_note(path):
                self._write_note(path, {**note, "left": _state_of(self.places.root / path)})

    def end(self, paths: Iterable[PurePosixPath]) -> None:
        """Note that `paths` have served: a step that ended well needs its checkpoint no more."""
        for path in paths:
            if note := self._read_note(path):
                self._write_note(path, {**note, "left": None, "is_over": True})

    def drop_ended(self, paths: Iterable[PurePosixPath]) -> None:
        """Remove those of `paths` that have served; here, where a kill came between that and their removal."""
        for path in paths:
            if self._read_note(path).get("is_over"):
                self.clear(path)
                self.release([path])

    def release(self, paths: Iterable[PurePosixPath]) -> None:
        """Forget that `paths` were being written: from now on the record knows them."""
        for path in paths:
            self._note(path).unlink(missing_ok=True)

    def _note(self, path: PurePosixPath) -> Path:
        return self.places.begun / f"{md5_bytes(str(path).encode())}.json"

    def _read_note(self, path: PurePosixPath) -> dict[str, Any]:
        try:
            note = json.loads(self._note(path).read_bytes())
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def _write_note(self, path: PurePosixPath, note: dict[str, Any]) -> None:
        whole = {"path": str(path), "left": None, "is_over": False, **note}
        replace_quickly(self._note(path), json.dumps(whole).encode())

    def _is_ours(self, path: PurePosixPath) -> bool:
        return self.is_leftover(path) or _holds_no_file(self.places.root / path) or self._is_known(path)

    def _is_known(self, path: PurePosixPath) -> bool:
        """Whether the content is on record for this path, or in the store."""
        try:
            digest = self.hasher.digest(str(path))
            if digest is None:
                return False
            return self.store.has(digest.md5) or self.ledger.has_seen(path, digest.md5)  # the ledger is read whole
        except StoreError:  # what can't be hashed is on no record
            return False

    def _move_aside(self, path: PurePosixPath, what: str | None = None) -> None:
        made = self.ledger.has_made(path)
        what = what or ("which was edited since a step made it" if made else "which no step here made")
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
        inner = [part for part in path.parts if part not in (path.anchor, "..")]  # weasel's outputs may lie outside
        target = self.places.asides.joinpath(f"{stamp}-{uuid.uuid4().hex[:6]}", *inner)
        try:
            prepare_dvc(self.places.root)
            target.parent.mkdir(parents=True)
            shutil.move(str(self.places.root / path), str(target))
        except OSError as error:
            raise StepFailed(
                f"'{path}' is in the way and was made by no step here: it can't be moved: {error.strerror or error}.",
                fix="Move it away yourself, then run again.",
            ) from error
        self.hasher.forget(str(path))
        self.say(
            f"moved '{path}', {what}, to {target.relative_to(self.places.root)}"
            " (nothing removes it there; to have it back, move it to another path)"
        )


def _holds_no_file(path: Path) -> bool:
    """Whether it is a folder with nothing but folders in it."""
    if path.is_symlink() or not path.is_dir():
        return False
    return not any(
        files or any((Path(folder) / name).is_symlink() for name in folders) for folder, folders, files in os.walk(path)
    )


def _state_of(path: Path) -> str:
    """A digest of names, sizes, times and inodes: it changes when anything is edited, added or replaced."""
    found = [path]
    if path.is_dir() and not path.is_symlink():
        found += [Path(folder) / name for folder, folders, files in os.walk(path) for name in (*folders, *files)]
    lines = []
    for entry in sorted(found):
        try:
            status = entry.lstat()
        except FileNotFoundError:
            continue
        times = f"{status.st_mtime_ns}\0{status.st_ctime_ns}"
        lines.append(f"{entry.relative_to(path)}\0{status.st_size}\0{times}\0{status.st_ino}")
    return md5_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
