"""A scratch copy of the project for one step: its own files, and the step's inputs as they are on record.

In a git repository the project's own files are those that git tracks or would show as new; elsewhere, all but
environments and DVC's folder. Outputs and checkpoints of steps are left out, inputs aside: a step that reads what it
does not declare fails there, or comes out differently. Everything is copied (or cloned where the file system can),
never linked, so that nothing the step does reaches the original.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from frostline.errors import StoreError
from frostline.files import remove_tree
from frostline.runner.digests.hashing import Hasher
from frostline.runner.keeping import gitfiles
from frostline.runner.keeping.store import Store, copy_content
from frostline.runner.project.expand import expand
from frostline.runner.running.locks import is_alive
from frostline.runner.session import Session

NOT_COPIED = frozenset({".git", ".hg", ".dvc", ".venv", "node_modules", "__pycache__"})
KEPT = "kept"  # marks a copy that is not to be removed


@contextmanager
def scratch_copy(session: Session, inputs: Mapping[PurePosixPath, str], *, keep: bool) -> Iterator[Path]:
    """A folder with the project's files and these inputs (path -> recorded digest), removed at the end unless kept.

    Raises StoreError when an input is neither on disk nor in the store as it was recorded.
    """
    place = session.places.local / "scratch"
    _remove_leftovers(place)
    top = place / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    root = top.joinpath(*_names_above(session.root, inputs))
    try:
        root.mkdir(parents=True)
        _copy_project(session, root)
        for path, md5 in inputs.items():
            _copy_input(session, path, md5, root)
        _check_inputs(root, inputs)
        if keep:
            (top / KEPT).touch()
        yield root
    finally:
        if not (top / KEPT).exists():
            remove_tree(top)


def _names_above(root: Path, inputs: Iterable[PurePosixPath]) -> list[str]:
    """The folders that the copy lies in, and its own name: as many as inputs climb, so that theirs lie there too."""
    normal = [PurePosixPath(os.path.normpath(path)) for path in inputs]
    n_up = max((path.parts.count("..") for path in normal), default=0)
    names = list(root.parts[1:][-max(n_up, 1) :])
    return [*["above"] * (n_up - len(names)), *names]


def _remove_leftovers(place: Path) -> None:
    """Remove what a process that was killed has left."""
    for folder in place.iterdir() if place.is_dir() else ():
        number = folder.name.partition("-")[0]
        if not (number.isdecimal() and is_alive(int(number))) and not (folder / KEPT).exists():
            remove_tree(folder)


def _copy_project(session: Session, root: Path) -> None:
    made = _made_paths(session)
    for name in _own_files(session.root):
        path = PurePosixPath(name)
        if not made.isdisjoint((path, *path.parents)) or ".dvc" in path.parts:
            continue
        source, target = session.root / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            _copy_link(source, target, session.root)
        elif source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
        elif source.is_file():
            copy_content(source, target)


def _made_paths(session: Session) -> set[PurePosixPath]:
    """What steps of any profile make."""
    projects = [session.project]
    others = [name for name in session.spec.profiles if name != session.project.profile]
    projects += [expand(session.spec, profile=name, environ=session.environ) for name in others]
    steps = [step for project in projects for step in project.steps]
    return {path for step in steps for path in (*step.all_outputs, *step.checkpoint)}


def _own_files(root: Path) -> Iterator[str]:
    listed = gitfiles.own_files(root)
    if listed is not None:
        yield from listed
        return
    for folder, folders, files in os.walk(root):
        folders[:] = [
            name for name in folders if name not in NOT_COPIED and not (Path(folder) / name / "pyvenv.cfg").exists()
        ]
        linked = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*files, *linked):
            yield os.path.relpath(Path(folder) / name, root)


def _copy_link(source: Path, target: Path, root: Path) -> None:
    """A link inside the project stays one; a link out of it leads to the same place."""
    leads_to = os.path.normpath(source.parent / source.readlink())
    inside = Path(leads_to).is_relative_to(root)
    target.symlink_to(os.path.relpath(leads_to, source.parent) if inside else leads_to)


def _copy_input(session: Session, path: PurePosixPath, md5: str, root: Path) -> None:
    """One input, from the disk where it is as recorded, else from the store."""
    if path.is_absolute():
        return  # it is read where it lies, here as in a run
    target = Path(os.path.normpath(root / path))
    seen = session.hasher.whole(str(path))
    store: Store = session.restorer.store
    if seen is not None and seen.md5 == md5:
        _copy_in_place(session, path, target)
    elif store.has(md5):
        files = store.listing(md5) if md5.endswith(".dir") else {"": md5}
        remove_tree(target)
        for name, one in files.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            copy_content(store.object_path(one), target / name if name else target, mode=0o644)
    else:
        raise StoreError(
            f"'{path}' is not here as it was recorded: neither on disk nor in the store.",
            fix="Bring it (project pull), or run its step, then verify again.",
        )


def _copy_in_place(session: Session, path: PurePosixPath, target: Path) -> None:
    source = session.root / path
    names = session.hasher.files_of(str(path)) if source.is_dir() else [""]
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    for name in names:
        file = target / name if name else target
        if not os.path.lexists(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            copy_content(source / name if name else source, file)
    for name in session.hasher.links_in(str(path)):
        if not os.path.lexists(target / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            _copy_link(source / name, target / name, session.root)


def _check_inputs(root: Path, inputs: Mapping[PurePosixPath, str]) -> None:
    """The copy must hold the very inputs; a project changed meanwhile would make a lie of the result."""
    hasher = Hasher(root, None)
    for path, md5 in inputs.items():
        seen = hasher.digest(str(path))
        if seen is None or seen.md5 != md5:
            raise StoreError(
                f"'{path}' could not be copied as it was recorded.",
                fix="Was it changed just now? Try again when nothing else works on the project.",
            )
