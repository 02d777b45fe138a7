"""dvc.lock: the entry of each stage, in DVC's own format, read and written without touching what is not asked for.

YAML is slow to read, so a copy as JSON lies in local state and counts as long as dvc.lock is the file that it was made
from. Writing replaces the text of the stages that changed and keeps that of all others. Decides nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from frostline.digest import sha256_json
from frostline.errors import StoreError
from frostline.files import write_parts_atomic
from frostline.runner.digests.hashing import RACY_NS, keep
from frostline.runner.digests.walking import Mark
from frostline.runner.keeping.entries import Entries, from_bytes
from frostline.runner.project.yaml_places import YamlError, load_draining

LOCK_SCHEMA = "2.0"
MIRROR_VERSION = 1
Body = dict[str, Any]
_STAGE = re.compile(r"^  (?=\S)", re.MULTILINE)


def mark_of(path: Path) -> Mark | None:
    """Size, times and inode; every writer of ours replaces the file, so that a new one has another inode."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


class LockFile:
    """The entries of one dvc.lock.

    Args:
        path: dvc.lock.
        mirror: its copy as JSON, written where its folder is there.
    Raises:
        StoreError: dvc.lock is spoilt.
    """

    def __init__(self, path: Path, mirror: Path) -> None:
        self.path = path
        self.mirror = mirror
        self.mark: Mark | None = None
        self.rest: dict[str, Any] = {}  # what stands beside the stages
        self.bodies = Entries()  # stage -> [digest of the body, the body]
        self.texts: dict[str, str] | None = None  # the YAML of each stage, once something is written
        self.is_mirrored = True
        self.reload()

    def reload(self) -> None:
        """Read the file again where somebody has written it."""
        mark = mark_of(self.path)
        if mark == self.mark:
            return
        self.texts = None
        self.is_mirrored = True
        if mark is None:
            self.rest, self.bodies = {}, Entries()
        elif not self._read_mirror(mark):
            self.bodies = Entries()
            self.rest = _read(self.path, self._hold)
            self.is_mirrored = False
        self.mark = mark
        self.save_mirror()

    def body(self, stage: str) -> Body | None:
        """The entry of a stage."""
        found = self.bodies.get(stage)
        return None if found is None else found[1]

    def body_and_key(self, stage: str) -> tuple[Body, str] | None:
        """The entry of a stage with its digest."""
        found = self.bodies.get(stage)
        return None if found is None else (found[1], found[0])

    def put(self, bodies: Mapping[str, Body]) -> None:
        """Set the entries of stages and write the file once, unless they are as they should be."""
        news = {stage: body for stage, body in bodies.items() if self._key(stage) != sha256_json(body)}
        if not news:
            return
        texts = self._texts_but(news)
        from frostline.runner.keeping.yaml_out import dump_entry

        for stage, body in news.items():
            self._hold(stage, body)
            texts[stage] = dump_entry(stage, body)
        self._write(texts)

    def drop(self, stages: Iterable[str]) -> None:
        """Take entries out and write the file."""
        texts = self._texts_but(())
        for stage in stages:
            self.bodies.drop(stage)
            texts.pop(stage, None)
        self._write(texts)

    def save_mirror(self) -> None:
        """Write the copy as JSON if it is behind, and dvc.lock is not so new that it may change unseen."""
        if self.is_mirrored or self.mark is None or not self.mirror.parent.is_dir():
            return
        if time.time_ns() - self.mark[1] > RACY_NS:
            head = {"version": MIRROR_VERSION, "mark": self.mark, "rest": self.rest}
            keep(self.mirror, self.bodies.to_bytes(head))
            self.is_mirrored = True

    def _hold(self, stage: str, body: Body) -> None:
        if not isinstance(body, dict):
            raise _no_ledger(self.path)
        self.bodies.put(str(stage), [sha256_json(body), body])

    def _read_mirror(self, mark: Mark) -> bool:
        try:
            head, bodies = from_bytes(self.mirror.read_bytes())
        except (OSError, ValueError):
            return False
        if head.get("version") != MIRROR_VERSION or head.get("mark") != list(mark):
            return False
        self.rest, self.bodies = head["rest"], bodies
        return True

    def _key(self, stage: str) -> str | None:
        """The digest of a stage's entry."""
        found = self.bodies.get(stage)
        return None if found is None else found[0]

    def _texts_but(self, changed: Collection[str]) -> dict[str, str]:
        """The YAML of every stage, from the file where it lies there stage by stage; `changed` may be left out."""
        if self.texts is None:
            names = list(self.bodies)
            kept = [name for name in names if name not in changed]
            found = _sliced(self.path, self.mark)
            if found is None or not found.keys() >= set(kept):
                from frostline.runner.keeping.yaml_out import dump_entry

                found = {name: dump_entry(name, self.bodies.get(name)[1]) for name in kept}
            self.texts = {name: found.get(name, "") for name in names}
        return self.texts

    def _write(self, texts: dict[str, str]) -> None:
        from frostline.runner.keeping.yaml_out import dump_yaml

        head = dump_yaml({"schema": LOCK_SCHEMA, **{key: self.rest[key] for key in self.rest if key != "schema"}})
        write_parts_atomic(self.path, [head, *(("stages:\n", *texts.values()) if texts else ("stages: {}\n",))])
        self.mark = mark_of(self.path)
        self.is_mirrored = False


def _sliced(path: Path, mark: Mark | None) -> dict[str, str] | None:
    """The text of each stage, cut out of the file; None where it is not laid out as DVC and we do."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    head, _, stages = text.partition("\nstages:\n")
    if mark_of(path) != mark or "\n" in head or not stages.startswith("  ") or re.search(r"^\S", stages, re.MULTILINE):
        return None
    starts = [match.start() for match in _STAGE.finditer(stages)]
    pieces = [stages[start:end] for start, end in zip(starts, [*starts[1:], len(stages)], strict=True)]
    found = {}
    for piece in pieces:
        match = re.match(r"  '?([A-Za-z0-9_-]+)'?:\n(?=    )", piece)
        if match is None or not piece.endswith("\n") or match[1] in found:
            return None
        found[match[1]] = piece
    return found


def _read(path: Path, sink: Callable[[str, Body], None]) -> dict[str, Any]:
    """What stands beside the stages; those go to `sink` one by one."""
    try:
        content = load_draining(path.read_text(encoding="utf-8"), "stages", sink)
    except FileNotFoundError:
        return {}
    except YamlError as error:
        raise StoreError(
            f"{path.name} can't be read: {error.message}",
            where=f"{path}:{error.place.line}:{error.place.column}",
            fix="Mend it (a merge may have left its marks), or remove it: the next run makes it anew from the store.",
        ) from error
    if content is None:
        return {}
    if not isinstance(content, dict) or content.pop("stages", None):
        raise _no_ledger(path)
    return content


def _no_ledger(path: Path) -> StoreError:
    return StoreError(f"{path.name} is not a ledger of DVC 2 or 3.", where=str(path), fix="Remove it, or restore it.")
