"""Remove from the store what no ledger refers to: contents, results of the run cache, temporary files of the dead.

Ledgers are every dvc.lock and `.dvc` file of the workspace, of all profiles and of whoever else uses DVC here, and of
the git revisions that are asked for. What is not understood is kept. Whom to ask before is the caller's business.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frostline.errors import StoreError
from frostline.runner.keeping import gitfiles
from frostline.runner.keeping.dvcfile import has_our_stages
from frostline.runner.keeping.lockfile import fault_of, read_lock
from frostline.runner.keeping.store import Store, result_name
from frostline.runner.project.yaml_places import YamlError, load_plain

NO_LEDGER_HERE = frozenset({".git", ".hg", ".dvc", ".venv", "node_modules", "__pycache__"})
LEFTOVER = re.compile(r"\.[0-9a-f]{32}\.tmp")
LEFTOVER_AGE_S = 3600.0
OBJECT_NAME = re.compile(r"[0-9a-f]{30}(\.dir)?")
LOCK = "dvc.lock"
BRING_BACK = "Bring it back from git, or mend it (a merge may have left its marks)."
IF_MEANT = (
    "Bring it back from git, or run something. If it is meant to be gone: git rm it, and remove the dvc.yaml beside it "
    "and .dvc/tmp/frostline."
)
MD5 = re.compile(r"\b[0-9a-f]{32}(?:\.dir)?\b")


@dataclass(slots=True)
class InUse:
    """What ledgers refer to."""

    objects: set[str] = field(default_factory=set)
    results: set[tuple[str, str]] = field(default_factory=set)  # (key, name) in the run cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubbish:
    """What a sweep would remove."""

    objects: tuple[Path, ...]
    results: tuple[Path, ...]
    leftovers: tuple[Path, ...]
    n_bytes: int  # that become free: of an object that a hard link holds, none

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.objects or self.results or self.leftovers)


def in_use(
    roots: Iterable[Path], store: Store, revisions: Iterable[str] = (), *, known: Iterable[Path] = ()
) -> InUse:
    """What the ledgers of some project folders refer to, and those of git revisions of the first one.

    Of a ledger in git that can't be read, whatever looks like a digest counts.

    Args:
        known: ledgers that local state remembers.
    Raises:
        StoreError: a ledger of a folder is gone, empty or none, or git can't list a revision.
    """
    found = InUse()
    folders = list(roots)
    for root in folders:
        expected = {*expected_ledgers(root), *(path for path in known if path.parent == root)}
        for file in ledger_files(root):
            _note(file.read_text(encoding="utf-8", errors="replace"), file, found)
            expected.discard(file)
        for file in sorted(expected):
            raise StoreError(f"{file.name} is gone: what it referred to would be lost.", where=str(file), fix=IF_MEANT)
    for text in gitfiles.contents(folders[0], revisions, is_ledger):
        try:
            _note(text, None, found)
        except StoreError:
            found.objects |= set(MD5.findall(text))
    for md5 in [md5 for md5 in found.objects if md5.endswith(".dir")]:
        if store.object_path(md5).is_file():
            found.objects |= set(store.listing(md5).values())
    return found


def expected_ledgers(root: Path) -> Iterator[Path]:
    """The dvc.lock files that must be there: git has them, or the dvc.yaml beside them tells of runs."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in NO_LEDGER_HERE]
        if "dvc.yaml" in files and LOCK not in files and has_our_stages(Path(folder) / "dvc.yaml"):
            yield Path(folder) / LOCK
    yield from (root / path for path in gitfiles.lost_files(root) if is_ledger(path.name))


def ledger_files(root: Path) -> Iterator[Path]:
    """Every dvc.lock and `.dvc` file below a folder."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in NO_LEDGER_HERE]
        for name in files:
            if is_ledger(name):
                yield Path(folder) / name


def is_ledger(name: str) -> bool:
    """Whether a file of this name says what DVC or we keep."""
    return name == LOCK or (name.endswith(".dvc") and name != ".dvc")


def _note(text: str, file: Path | None, found: InUse) -> None:
    """Add what one ledger refers to. Raises StoreError where it is none; `file` None: it is git's."""
    bodies: list[dict[str, Any]] = []
    try:
        if file is not None and file.name != LOCK:
            bodies = _of_dvc_file(text, file)
        else:
            rest = read_lock(text, file or Path(LOCK), lambda _, body: bodies.append(body))
            if "schema" not in rest and not bodies:
                bodies = _of_version_1(rest, file)
        for body in bodies:
            for entry in body.get("outs") or ():
                found.objects |= set(_digests(entry))
            if "cmd" in body and body.get("outs"):
                found.results.add(result_name(body))
    except StoreError as error:
        message = f"{error.message} What it refers to would be lost."
        raise StoreError(message, where=error.where, fix=BRING_BACK) from error
    if any(not isinstance(md5, str) for md5 in _bare_digests(bodies)):
        found.objects |= set(MD5.findall(text))  # digits without quotes: YAML took them for a number


def _of_dvc_file(text: str, file: Path) -> list[dict[str, Any]]:
    """The outputs of a `.dvc` file, as one body."""
    try:
        content = load_plain(text)
    except YamlError as error:
        raise StoreError(f"{file.name} can't be read: {error.message}", where=f"{file}:{error.place.line}") from error
    outs = content.get("outs") if isinstance(content, dict) else None
    if not isinstance(outs, list) or not all(isinstance(entry, dict) for entry in outs):
        raise StoreError(f"{file.name} has no list of outputs.", where=str(file))
    return [content]


def _of_version_1(content: dict[str, Any], file: Path | None) -> list[dict[str, Any]]:
    """The entries of a dvc.lock as DVC 1 wrote it: without a schema. An empty file is no ledger."""
    if not content or any(fault_of(body) is not None for body in content.values()):
        raise StoreError(f"{LOCK} is {'empty' if not content else 'no ledger'}.", where=str(file or LOCK))
    return list(content.values())


def _bare_digests(bodies: list[dict[str, Any]]) -> Iterator[Any]:
    for body in bodies:
        yield from (entry["md5"] for entry in body.get("outs") or () if "md5" in entry)


def refuse_to_empty(store: Store, used: InUse, found: Rubbish) -> None:
    """Raise StoreError where nothing at all is referred to: that a ledger got lost is likelier than intent."""
    if (found.objects or found.results) and not used.objects and not used.results:
        raise StoreError(
            "No ledger refers to anything: the store would be left empty.",
            where=str(store.base),
            fix="Bring dvc.lock back from git, or run something first. If nothing of it is wanted, remove that folder.",
        )


def _digests(entry: dict[str, Any]) -> Iterator[str]:
    for key in ("md5", "oid"):
        if isinstance(entry.get(key), str):
            yield entry[key]
    for inner in entry.get("files") or ():
        yield from _digests(inner)


def rubbish(store: Store, used: InUse, *, now: float | None = None) -> Rubbish:
    """What lies in the store and is not in use."""
    now = time.time() if now is None else now
    objects, results, leftovers, n_bytes = [], [], [], 0
    for file in _files(store.base / "files" / "md5", depth=2):
        if OBJECT_NAME.fullmatch(file.name) and file.parent.name + file.name not in used.objects:
            status = file.stat()
            objects.append(file)
            n_bytes += status.st_size if status.st_nlink == 1 else 0
        elif _is_leftover(file, now):
            leftovers.append(file)
    for file in _files(store.base / "runs", depth=3):
        if _is_leftover(file, now):
            leftovers.append(file)
        elif not file.name.startswith(".") and (file.parent.name, file.name) not in used.results:
            results.append(file)
    n_bytes += sum(file.stat().st_size for file in (*results, *leftovers))
    return Rubbish(objects=tuple(objects), results=tuple(results), leftovers=tuple(leftovers), n_bytes=n_bytes)


def _files(folder: Path, *, depth: int) -> Iterator[Path]:
    """The files so many levels below a folder."""
    yield from (path for path in sorted(folder.glob("/".join("*" * depth))) if path.is_file())


def _is_leftover(file: Path, now: float) -> bool:
    return bool(LEFTOVER.fullmatch(file.name)) and now - file.stat().st_mtime > LEFTOVER_AGE_S


def remove(store: Store, found: Rubbish, contexts: Path) -> None:
    """Remove rubbish: results first, then listings, then contents, so that a kill leaves no hole.

    Args:
        contexts: the folder of what local state knows of the results.
    """
    order = sorted(found.objects, key=lambda file: not file.name.endswith(".dir"))
    try:
        for file in (*found.results, *order, *found.leftovers):
            file.unlink(missing_ok=True)
        for file in found.results:
            key = file.parent.name
            (contexts / key[:2] / key / f"{file.name}.json").unlink(missing_ok=True)
            _remove_empty(file.parent, store.base / "runs")
        for file in found.objects:
            _remove_empty(file.parent, store.base / "files" / "md5")
    except OSError as error:
        raise StoreError(
            f"The store can't be cleared: {error.strerror or error}.", where=str(error.filename or store.base)
        ) from error


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def size_text(n_bytes: int) -> str:
    """A number of bytes for people."""
    size = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
