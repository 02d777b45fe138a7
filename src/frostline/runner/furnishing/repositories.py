"""Get the files of a project out of a git repository: of one commit, and of one folder, without the rest."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from frostline.errors import AssetError, UsageError

SHORTHAND = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
OF_THE_CALLER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


def address_of(word: str) -> str | None:
    """The address that a word names; None when it is none. `owner/name` stands for a repository of GitHub's."""
    if "://" in word or re.match(r"[\w.-]+@[\w.-]+:", word) or word.endswith(".git"):
        return word
    return f"https://github.com/{word}" if SHORTHAND.fullmatch(word) else None


def bring(address: str, work: Path, environ: Mapping[str, str], *, ref: str | None, path: str) -> Path:
    """Check a folder of a repository out into `work`; where it lies.

    Args:
        ref: branch, tag or commit; None: the repository's default branch.
        path: in the repository; empty: all of it.
    Raises:
        AssetError: the repository, the ref or the folder is not to be had.
        UsageError: the path leads out of the repository.
    """
    folder = PurePosixPath(path or ".")
    if folder.is_absolute() or ".." in folder.parts:
        raise UsageError(f"'{path}' is no path inside the repository.", fix="Write --path FOLDER/IN/IT.")
    work.mkdir(parents=True)
    git = _Git(work, environ, address)
    git.call("init", "--quiet", "--template=")
    git.call("remote", "add", "origin", address)
    if folder.parts:
        git.call("sparse-checkout", "set", "--no-cone", f"/{folder}/")
    wanted = ref or "HEAD"
    try:
        git.call("fetch", "--quiet", "--filter=blob:none", "--depth=1", "--no-tags", "origin", wanted)
        commit = "FETCH_HEAD"
    except AssetError:
        if not re.fullmatch(r"[0-9a-f]{7,40}", wanted):
            raise
        git.call("fetch", "--quiet", "--filter=blob:none", "origin")  # a commit by a short or a hidden id
        commit = wanted
    git.call("checkout", "--quiet", "--detach", commit)
    if not (work / folder).is_dir():
        raise AssetError(f"{address} has no folder '{path}'.", fix="See: --path, --branch.")
    return work / folder


class _Git:
    def __init__(self, work: Path, environ: Mapping[str, str], address: str) -> None:
        self.work = work
        self.address = address
        self.environ = {key: value for key, value in environ.items() if key not in OF_THE_CALLER}
        self.environ |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}

    def call(self, *words: str) -> None:
        """One git command. Raises AssetError with what git said."""
        command = ["git", "-c", f"core.hooksPath={os.devnull}", *words]
        try:
            done = subprocess.run(
                command, cwd=self.work, env=self.environ, capture_output=True, text=True, errors="replace", check=False
            )
        except FileNotFoundError as error:
            raise AssetError("The command 'git' is not there.", fix="Install git.") from error
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("warning:")]
            raise AssetError(f"{self.address}: {' '.join(said) or 'git failed'}")
