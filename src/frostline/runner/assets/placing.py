"""Give what was brought its place: a file or a whole folder, in one move. What a user has there is never lost.

A folder may hold more than was brought: other assets, outputs of steps, files put there by hand. They are taken over
into the new folder before it takes the old one's place.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from frostline.files import remove_tree
from frostline.runner.assets.memory import is_as_brought

Spare = Callable[[PurePosixPath], None]
MOST_FLUSHES = 500


def place_file(part: Path, root: Path, dest: PurePosixPath, spare: Spare) -> None:
    """Move a whole file to its place; what is there and nobody's is moved aside by `spare`."""
    _flush(part)
    spare(dest)
    full = root / dest
    if full.is_dir() and not full.is_symlink():
        remove_tree(full)
    os.replace(part, full)  # noqa: PTH105


def place_folder(
    tree: Path, root: Path, dest: PurePosixPath, spare: Spare, *, before: Mapping[str, list[int | str]]
) -> None:
    """Move a whole folder to its place.

    Args:
        before: the files that were brought there before: those that are still as they came go.
    """
    full = root / dest
    _flush_all(tree)
    if full.is_symlink() or (os.path.lexists(full) and not full.is_dir()):
        spare(dest)
        remove_tree(full)
    elif full.is_dir():
        _keep_what_is_not_ours(tree, root, dest, spare, before)
        _swap(tree, full)
        return
    os.replace(tree, full)  # noqa: PTH105


def _keep_what_is_not_ours(
    tree: Path, root: Path, dest: PurePosixPath, spare: Spare, before: Mapping[str, list[int | str]]
) -> None:
    full = root / dest
    for place, folders, files in os.walk(full):
        inner = Path(place).relative_to(full)
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in (*files, *links):
            path = inner / name
            old, new = full / path, tree / path
            if path.as_posix() in before and is_as_brought(old, before[path.as_posix()]):
                continue
            blocked = next((tree / above for above in path.parents if _is_no_folder(tree / above)), None)
            if blocked is not None or os.path.lexists(new):
                if blocked is not None or not _same(old, new):
                    spare(dest / PurePosixPath(path))
                continue
            new.parent.mkdir(parents=True, exist_ok=True)
            _share(old, new)
        if not files and not folders and not os.path.lexists(tree / inner):
            _make_folder(tree / inner)


def _make_folder(path: Path) -> None:
    """An empty folder of the user's stays, unless a file now stands in its place."""
    if not any(_is_no_folder(above) for above in path.parents):
        path.mkdir(parents=True, exist_ok=True)


def _is_no_folder(path: Path) -> bool:
    return path.is_symlink() or (path.exists() and not path.is_dir())


def _share(old: Path, new: Path) -> None:
    """The same file under a second name; a copy where the file system knows no such thing."""
    if old.is_symlink():
        new.symlink_to(old.readlink())
        return
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)


def _same(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


def _flush_all(tree: Path) -> None:
    """Bring a folder's files to the disk: one by one, or, where that would take for ever, all that waits there."""
    files = [Path(folder) / name for folder, _, names in os.walk(tree) for name in names]
    if len(files) > MOST_FLUSHES:
        os.sync()
        return
    for file in files:
        if not file.is_symlink():
            _flush(file)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _swap(tree: Path, full: Path) -> None:
    """Two moves; what a kill between them leaves is mended by `recover`."""
    old = _old_of(full)
    os.replace(full, old)  # noqa: PTH105
    try:
        os.replace(tree, full)  # noqa: PTH105
    except BaseException:
        os.replace(old, full)  # noqa: PTH105
        raise
    remove_tree(old)


def recover(full: Path) -> None:
    """Mend what a kill between two moves has left: the old folder goes back to its place, or away."""
    old = _old_of(full)
    if os.path.lexists(old) and not os.path.lexists(full):
        os.replace(old, full)  # noqa: PTH105
    remove_tree(old)


def _old_of(full: Path) -> Path:
    return full.with_name(f".{full.name}.before-fetch")
