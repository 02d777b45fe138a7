"""What the runner asks of git: which commit, which outputs are tracked, which need a line in a .gitignore.

Outside a repository, or without git, every answer is empty.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from frostline.files import write_text_atomic


def in_repository(root: Path) -> bool:
    """Whether `root` lies in a git repository."""
    return any((folder / ".git").exists() for folder in (root, *root.parents))


def _git(root: Path, *arguments: str, given: str | None = None) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], input=given, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def current_commit(root: Path) -> str | None:
    """The commit that is checked out."""
    if not in_repository(root):
        return None
    return _git(root, "rev-parse", "--verify", "-q", "HEAD").strip() or None


def tracked(root: Path, paths: Iterable[PurePosixPath]) -> frozenset[PurePosixPath]:
    """Those of `paths` that git tracks, or that hold something git tracks."""
    wanted = list(paths)
    if not wanted or not in_repository(root):
        return frozenset()
    listed = [PurePosixPath(name) for name in _git(root, "ls-files", "-z", "--", *map(str, wanted)).split("\0") if name]
    return frozenset(path for path in wanted for file in listed if path == file or path in file.parents)


def unignored(root: Path, paths: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Those of `paths` that git would show as new files."""
    wanted = [str(path) for path in paths]
    if not wanted or not in_repository(root):
        return []
    ignored = set(_git(root, "check-ignore", "-z", "--stdin", given="\0".join(wanted)).split("\0"))
    return [PurePosixPath(path) for path in wanted if path not in ignored]


def ignore(root: Path, paths: Iterable[PurePosixPath]) -> None:
    """Give each path a line in the .gitignore of its own folder, where there is such a folder."""
    for path in paths:
        file = root / path.parent / ".gitignore"
        old = file.read_text(encoding="utf-8") if file.is_file() else ""
        line = "/" + path.name
        if line not in old.splitlines() and file.parent.is_dir():
            write_text_atomic(file, old + ("" if not old or old.endswith("\n") else "\n") + line + "\n")
