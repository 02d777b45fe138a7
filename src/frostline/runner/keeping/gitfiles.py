"""What the runner asks of git: which commit, which outputs are tracked, which need a line in a .gitignore.

Outside a repository, or without git, every answer is empty; only what needs a line in a .gitignore does so before there
is a git, too.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from frostline.errors import StoreError
from frostline.files import write_text_atomic
from frostline.runner.keeping.git_place import in_repository


def _run(root: Path, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str] | None:
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None


def _git(root: Path, *arguments: str, given: str | None = None) -> str:
    done = _run(root, *arguments, given=given)
    return "" if done is None else done.stdout


def current_commit(root: Path) -> str | None:
    """The commit that is checked out."""
    if not in_repository(root):
        return None
    return _git(root, "rev-parse", "--verify", "-q", "HEAD").strip() or None


def changed_files(root: Path) -> list[PurePosixPath]:
    """The files below `root` that git tracks and that are not as the commit has them."""
    if not in_repository(root):
        return []
    listed = _git(root, "diff", "HEAD", "--name-only", "--relative", "-z", "--no-ext-diff").split("\0")
    return [PurePosixPath(name) for name in listed if name]


def lost_files(root: Path) -> list[PurePosixPath]:
    """The files below `root` that git tracks and that are not on disk."""
    listed = _git(root, "ls-files", "-d", "-z").split("\0") if in_repository(root) else []
    return [PurePosixPath(name) for name in listed if name]


def resolve(root: Path, revision: str) -> str | None:
    """The commit that a revision names; None when it names none."""
    return _git(root, "rev-parse", "--verify", "-q", f"{revision}^{{commit}}").strip() or None


def commits_of(root: Path, kind: str) -> list[str]:
    """The tips of `heads` or `tags`, as commits."""
    refs = _git(root, "for-each-ref", "--format=%(refname)", f"refs/{kind}").split()
    return [commit for ref in refs if (commit := resolve(root, ref)) is not None]


def all_commits(root: Path) -> list[str]:
    """Every commit that a reference of any kind leads to."""
    return _git(root, "rev-list", "--all").split()


def contents(root: Path, revisions: Iterable[str], wanted: Callable[[str], bool]) -> list[str]:
    """The texts of the files below `root`, in some commits, whose names are wanted; equal ones once.

    Raises StoreError when git can't say what a commit holds.
    """
    blobs: dict[str, None] = {}
    for commit in revisions:
        listed = _run(root, "ls-tree", "-r", "-z", commit)
        if listed is None or listed.returncode != 0:
            raise StoreError(f"git can't list the commit {commit}.", fix="Is the clone a shallow one, or damaged?")
        for line in filter(None, listed.stdout.split("\0")):
            kind, _, path = line.partition("\t")
            if wanted(path.rsplit("/", 1)[-1]):
                blobs[kind.split()[2]] = None
    return [_git(root, "cat-file", "blob", blob) for blob in blobs]


def text_at(root: Path, revision: str, path: PurePosixPath) -> str | None:
    """A file's text in a revision, the path relative to `root`; None when it is not there."""
    done = _run(root, "show", f"{revision}:./{path}")
    return done.stdout if done is not None and done.returncode == 0 else None


def own_files(root: Path) -> list[str] | None:
    """The files below `root` that git tracks, or would show as new; None where git has nothing to say of `root`."""
    names = _git(root, "ls-files", "-z", "-co", "--exclude-standard").split("\0") if in_repository(root) else []
    return list(dict.fromkeys(filter(None, names))) or None


def tracked(root: Path, paths: Iterable[PurePosixPath]) -> frozenset[PurePosixPath]:
    """Those of `paths` that git tracks, or that hold something git tracks."""
    wanted = list(paths)
    if not wanted or not in_repository(root):
        return frozenset()
    listed = [PurePosixPath(name) for name in _git(root, "ls-files", "-z", "--", *map(str, wanted)).split("\0") if name]
    return frozenset(path for path in wanted for file in listed if path == file or path in file.parents)


def is_committed(root: Path, path: PurePosixPath) -> bool:
    """Whether the commit that is checked out has a path just as it lies here, nothing in it left out."""
    if not in_repository(root):
        return False
    shown = _run(root, "status", "--porcelain", "-z", "--ignored", "--untracked-files=all", "--", str(path))
    return bool(tracked(root, [path])) and shown is not None and shown.returncode == 0 and not shown.stdout


def unignored(root: Path, paths: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Those of `paths` that git would show as new files; all of them, where there is no git yet."""
    wanted = [str(path) for path in paths]
    if not wanted or not in_repository(root):
        return [PurePosixPath(path) for path in wanted]
    ignored = set(_git(root, "check-ignore", "-z", "--stdin", given="\0".join(wanted)).split("\0"))
    return [PurePosixPath(path) for path in wanted if path not in ignored]


def ignore(root: Path, paths: Iterable[PurePosixPath]) -> None:
    """Give each path a line in the .gitignore of its own folder, where there is such a folder."""
    for path in paths:
        file = root / path.parent / ".gitignore"
        old = file.read_text(encoding="utf-8") if file.is_file() else ""
        line = "/" + _as_pattern(path.name)
        if line not in old.splitlines() and file.parent.is_dir():
            write_text_atomic(file, old + ("" if not old or old.endswith("\n") else "\n") + line + "\n")


def _as_pattern(name: str) -> str:
    """A name as a pattern of git's that means this name alone."""
    escaped = re.sub(r"([\\*?\[\]])", r"\\\1", name)
    kept = escaped.rstrip(" ")
    return kept + "\\ " * (len(escaped) - len(kept))
