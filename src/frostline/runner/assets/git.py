"""A file or folder out of a git repository, through the `git` command: one commit, and only what is wanted of it.

Works for everything git can reach: https, ssh, file:// and folders. Nothing of the caller's repository or prompts for
passwords gets in between.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from frostline.errors import AssetError, did_you_mean
from frostline.files import remove_tree
from frostline.runner.assets.archives import is_inside, safe_name
from frostline.runner.assets.sources import FULL_COMMIT, RepositorySource

SHORT_COMMIT = re.compile(r"[0-9a-f]{7,63}")
OF_THE_CALLER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_NAMESPACE")
SETTINGS = (
    "core.hooksPath=/dev/null", "core.autocrlf=false", "core.sparseCheckoutCone=false", "gc.auto=0",
    "http.lowSpeedLimit=1", "http.lowSpeedTime=60",
)  # fmt: skip
LFS_MARK = b"version https://git-lfs.github.com/spec/"
LFS_MOST_BYTES = 1024


@dataclass(slots=True)
class Git:
    """The repositories of one call; one that could not be reached is not tried twice."""

    environ: Mapping[str, str]
    say: Callable[[str], None]
    _unreachable: dict[str, AssetError] = field(init=False, default_factory=dict)

    def tip(self, source: RepositorySource) -> str:
        """The commit that a source's ref stands for today. Raises AssetError; a short commit id is given back as is."""
        return self._resolve(source)[1]

    def bring(self, source: RepositorySource, work: Path) -> tuple[Path, str]:
        """Check what a source names out into the new folder `work`: where it lies, and the commit. Raises AssetError.

        Of links, only those that stay inside come along.
        """
        name, commit = self._resolve(source)
        work.mkdir(parents=True)
        self._git(source, work, "init", "-q", "--template=")
        self._git(source, work, "remote", "add", "origin", source.repo)
        commit = self._fetch(source, work, name, commit)
        path = self._find(source, work, commit)
        if path:
            info = work / ".git" / "info"
            info.mkdir(exist_ok=True)
            (info / "sparse-checkout").write_text(f"/{_literal(path)}\n", encoding="utf-8", errors="surrogateescape")
            self._git(source, work, "config", "core.sparseCheckout", "true")
        self._git(source, work, "read-tree", "-m", "-u", commit)
        remove_tree(work / ".git")
        found = work / path if path else work
        self._clean(source, found)
        return found, commit

    def _resolve(self, source: RepositorySource) -> tuple[str | None, str]:
        """(the ref to fetch, its commit); the ref is None where a commit was named."""
        if source.ref is not None and FULL_COMMIT.fullmatch(source.ref):
            return None, source.ref
        names = [f"refs/heads/{source.ref}", f"refs/tags/{source.ref}"] if source.ref else ["HEAD"]
        peeled = f"refs/tags/{source.ref}^{{}}"
        found = self._list(source, *names, peeled)
        for name in names:
            if name in found:
                return name, found.get(f"{name}^{{}}", found[name])
        if source.ref is None:
            raise AssetError(f"The repository {source.repo} has no commits.")
        if SHORT_COMMIT.fullmatch(source.ref):
            return None, source.ref
        known = [name.split("/", 2)[2] for name in self._list(source, "refs/heads/*", "refs/tags/*")]
        raise AssetError(
            f"{source.repo} has no branch, tag or commit '{source.ref}'.", fix=did_you_mean(source.ref, known)
        )

    def _list(self, source: RepositorySource, *names: str) -> dict[str, str]:
        """ref -> commit or tag, of the repository at the other end."""
        lines = self._git(source, None, "ls-remote", "--", source.repo, *names).splitlines()
        return {name: commit for commit, _, name in (line.partition("\t") for line in lines)}

    def _fetch(self, source: RepositorySource, work: Path, name: str | None, commit: str) -> str:
        """Get one commit, without the contents of its files where the server can leave them out; its id."""
        lean = ("fetch", "-q", "--no-tags", "--filter=blob:none")
        if name is not None or FULL_COMMIT.fullmatch(commit):
            try:
                self._git(source, work, *lean, "--depth=1", "origin", name or commit)
                return self._git(source, work, "rev-parse", "--verify", "-q", "FETCH_HEAD^{commit}").strip()
            except AssetError:
                if name is not None:
                    raise
        # Old servers give single commits by the name of a ref only, and none knows the short form of a commit's id.
        everything = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        self._git(source, work, *lean, "origin", *everything)
        try:
            return self._git(source, work, "rev-parse", "--verify", "-q", f"{commit}^{{commit}}").strip()
        except AssetError as error:
            raise AssetError(f"{source.repo} has no commit '{commit}' on any branch or tag.") from error

    def _find(self, source: RepositorySource, work: Path, commit: str) -> str:
        """The wanted path as the commit has it; "" for all. Raises AssetError when it has no such file or folder."""
        if not source.path:
            return ""
        try:
            path = safe_name(source.path)
        except AssetError as error:
            raise AssetError(f"'{source.path}' is a path outside of the repository {source.repo}.") from error
        listed = self._git(source, work, "--literal-pathspecs", "ls-tree", "-z", commit, "--", path)
        if not listed:
            near = self._git(source, work, "ls-tree", "-r", "-t", "-z", "--name-only", commit).split("\0")
            raise AssetError(
                f"{source.repo} has no '{path}' in commit {commit[:12]}.", fix=did_you_mean(path, filter(None, near))
            )
        kind = listed.split()[0]
        if kind in ("120000", "160000"):
            what = "a symbolic link" if kind == "120000" else "another repository (a submodule)"
            raise AssetError(f"'{path}' is {what} in {source.repo}.", fix="Name the file or folder itself.")
        return path

    def _clean(self, source: RepositorySource, found: Path) -> None:
        """Leave links out that lead nowhere in the folder, and refuse what stands for a file kept elsewhere."""
        paths = sorted(found.rglob("*")) if found.is_dir() else [found]
        for path in paths:
            if path.is_symlink():
                if not is_inside(path, found) or not path.exists():
                    self.say(f"  left out: the link '{path.relative_to(found)}' leads out of what was asked for")
                    path.unlink()
            elif path.is_file() and path.stat().st_size < LFS_MOST_BYTES and path.read_bytes().startswith(LFS_MARK):
                raise AssetError(
                    f"'{path.name}' of {source.repo} is kept in Git LFS, and git can't fetch from there.",
                    fix="Install git-lfs, then: git lfs install",
                )

    def _git(self, source: RepositorySource, folder: Path | None, *words: str) -> str:
        """Run git; its output. Raises AssetError with what git says."""
        if source.repo in self._unreachable:
            raise self._unreachable[source.repo]
        settings = [word for setting in SETTINGS for word in ("-c", setting)]
        place = [] if folder is None else ["-C", str(folder)]
        try:
            done = subprocess.run(
                ["git", *settings, *place, *words],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                env=_environ(self.environ),
                check=False,
                text=True,
                encoding="utf-8",
                errors="surrogateescape",
            )
        except FileNotFoundError as error:
            raise AssetError(
                f"{source.url} is a git repository, and the command 'git' is not there.",
                fix="Install git, or give the asset a 'url' instead.",
            ) from error
        if done.returncode != 0:
            fault = AssetError(f"git can't get {source.url}: {_told(done.stderr)}", fix=_fix(source))
            if words[0] == "ls-remote":
                self._unreachable[source.repo] = fault
            raise fault
        return done.stdout


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment in which git asks nobody, speaks English and knows no other repository."""
    inner = {name: value for name, value in environ.items() if name not in OF_THE_CALLER}
    inner.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
    return {**inner, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_ADVICE": "0"}


def _told(errors: str) -> str:
    """What git said went wrong: its last line that is one of a fault."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    faults = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))]
    return re.sub(r"^(fatal|error): ", "", (faults or lines or ["no reason given"])[0])


def _fix(source: RepositorySource) -> str:
    if "://" in source.repo or not os.path.isabs(source.repo):  # noqa: PTH117  (no path, perhaps)
        return f"Check the address and the network: git ls-remote {source.repo}"
    return "Check the path: a repository's folder, counted from the project's."


def _literal(path: str) -> str:
    """A path as a pattern that means this path only."""
    return re.sub(r"([\\*?\[\]!# ])", r"\\\1", path)
