"""Assets out of git repositories on this machine: the right commit, only what is wanted, and clear words else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from frostline.errors import AssetError, ChecksumError
from frostline.runner.assets import AssetState, Memory, check_assets, fetch_assets
from frostline.runner.project.spec import Asset, GitSource
from frostline.runner.project.weasel import weasel_checksum

DEST = PurePosixPath("assets/data")
WHO = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


def git(folder: Path, *words: str) -> str:
    environ = {**os.environ, **WHO, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(["git", *words], cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "more")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with two commits on main, a tag at the first, and a branch whose name has a slash."""
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "uploadpack.allowFilter", "true")
    commit(
        folder, {"data/one.txt": "1", "data/deep/two.txt": "2", "other/big.bin": "x" * 1000, "run me [x].txt": "odd"}
    )
    git(folder, "tag", "-a", "v1", "-m", "first")
    git(folder, "branch", "work/side")
    commit(folder, {"data/one.txt": "one", "data/three.txt": "3"})
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def asset_of(repo: Path | str, path: str = "data", branch: str | None = None, **fields: Any) -> Asset:
    return Asset(dest=DEST, git=GitSource(repo=str(repo), path=path, branch=branch), line=3, **fields)


@pytest.fixture
def bring(root: Path) -> Callable[..., list[str]]:
    def bring(*assets: Asset, mirror: str | None = None, environ: dict[str, str] | None = None) -> list[str]:
        lines: list[str] = []
        fetch_assets(assets, root, mirror=mirror, say=lines.append, memory=Memory(root / "memory"), environ=environ)
        assert [path.name for path in (root / "assets").iterdir() if path.name.startswith(".")] == []
        return lines

    return bring


def tree_of(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


FIRST = {"one.txt": "1", "deep/two.txt": "2"}
SECOND = {"one.txt": "one", "deep/two.txt": "2", "three.txt": "3"}


@pytest.mark.parametrize(
    ("branch", "expected"), [(None, SECOND), ("main", SECOND), ("v1", FIRST), ("work/side", FIRST)]
)
@pytest.mark.parametrize("as_url", [True, False])
def test_a_folder_comes_at_a_branch_or_tag(
    repo: Path, root: Path, bring: Callable[..., list[str]], branch: str | None, expected: dict[str, str], as_url: bool
) -> None:
    bring(asset_of(repo.as_uri() if as_url else "../repo", branch=branch))

    assert tree_of(root / DEST) == expected


@pytest.mark.parametrize("n_digits", [40, 9])
def test_a_commit_that_no_branch_ends_in_comes_by_its_id(
    repo: Path, root: Path, bring: Callable[..., list[str]], n_digits: int
) -> None:
    git(repo, "branch", "-D", "work/side")
    git(repo, "tag", "-d", "v1")

    bring(asset_of(repo.as_uri(), branch=git(repo, "rev-parse", "HEAD~1")[:n_digits]))

    assert tree_of(root / DEST) == FIRST


def test_a_single_file_comes_under_the_name_that_is_asked_for(
    repo: Path, root: Path, bring: Callable[..., list[str]]
) -> None:
    bring(asset_of(repo, "data/deep/two.txt"))

    assert (root / DEST).read_text() == "2"


def test_a_name_with_blanks_and_brackets_is_no_pattern(repo: Path, root: Path, bring: Callable[..., list[str]]) -> None:
    bring(asset_of(repo, "run me [x].txt"))

    assert (root / DEST).read_text() == "odd"


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_without_a_path_the_whole_repository_comes_but_not_its_history(
    repo: Path, root: Path, bring: Callable[..., list[str]], path: str
) -> None:
    bring(asset_of(repo, path))

    there = {"data/deep/two.txt", "data/one.txt", "data/three.txt", "other/big.bin", "run me [x].txt"}
    assert set(tree_of(root / DEST)) == there
    assert not (root / DEST / ".git").exists()


def test_only_what_is_wanted_is_transferred(
    repo: Path, root: Path, bring: Callable[..., list[str]], tmp_path: Path
) -> None:
    trace = tmp_path / "trace"

    bring(asset_of(repo.as_uri()), environ={**os.environ, "GIT_TRACE_PACKET": str(trace)})

    big = git(repo, "rev-parse", "HEAD:other/big.bin")
    wanted = git(repo, "rev-parse", "HEAD:data/three.txt")
    said = trace.read_text()
    assert f"want {wanted}" in said
    assert f"want {big}" not in said
    assert "deepen 1" in said


def test_a_pinned_commit_is_not_asked_for_again_even_without_git(
    repo: Path, bring: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = asset_of(repo, branch=git(repo, "rev-parse", "v1^{commit}"))
    bring(asset)
    monkeypatch.setenv("PATH", "/nowhere")

    assert bring(asset) == ["1 of 1 assets were there already"]


def test_another_commit_in_the_project_file_is_brought(repo: Path, root: Path, bring: Callable[..., list[str]]) -> None:
    first, second = git(repo, "rev-parse", "HEAD~1"), git(repo, "rev-parse", "HEAD")
    bring(asset_of(repo, branch=second))
    (root / DEST / "mine.txt").write_text("mine")

    bring(asset_of(repo, branch=first))

    assert tree_of(root / DEST) == {**FIRST, "mine.txt": "mine"}


def test_a_branch_that_has_moved_is_followed_and_one_that_has_not_is_left_alone(
    repo: Path, root: Path, bring: Callable[..., list[str]]
) -> None:
    asset = asset_of(repo, branch="main")
    bring(asset)
    assert bring(asset) == ["1 of 1 assets were there already"]
    commit(repo, {"data/one.txt": "newest"})

    lines = bring(asset)

    assert "has moved from" in lines[0]
    assert tree_of(root / DEST) == {**SECOND, "one.txt": "newest"}


def test_what_is_there_is_kept_when_the_repository_can_not_be_asked(
    repo: Path, root: Path, bring: Callable[..., list[str]]
) -> None:
    asset = asset_of(repo, branch="main")
    bring(asset)
    repo.rename(repo.with_name("gone"))

    lines = bring(asset)

    assert "whether there is a newer one can't be told" in lines[0]
    assert tree_of(root / DEST) == SECOND


def test_an_edit_of_a_branch_s_file_is_kept_and_of_a_commit_s_file_moved_aside(
    repo: Path, root: Path, bring: Callable[..., list[str]]
) -> None:
    spared: list[str] = []
    bring(asset_of(repo, branch="main"))
    (root / DEST / "one.txt").write_text("edited")

    assert "it is kept" in bring(asset_of(repo, branch="main"))[0]
    fetch_assets(
        [asset_of(repo, branch=git(repo, "rev-parse", "HEAD"))],
        root,
        mirror=None,
        say=lambda line: None,
        memory=Memory(root / "memory"),
        spare=lambda path: spared.append(str(path)),
    )

    assert spared == ["assets/data/one.txt"]
    assert tree_of(root / DEST) == SECOND


def test_a_folder_of_unknown_origin_is_kept_under_a_branch_and_compared_under_a_commit(
    repo: Path, root: Path, bring: Callable[..., list[str]]
) -> None:
    (root / DEST).mkdir(parents=True)
    (root / DEST / "one.txt").write_text("one")
    asset = asset_of(repo, branch="main")
    assert check_assets([asset], root, Memory(root / "memory"))[0].state is AssetState.UNKNOWN

    assert "how it came is not on record" in bring(asset)[0]
    assert tree_of(root / DEST) == {"one.txt": "one"}
    bring(asset_of(repo, branch=git(repo, "rev-parse", "HEAD")))

    assert tree_of(root / DEST) == SECOND


def test_weasels_checksum_of_a_folder_counts(repo: Path, root: Path, bring: Callable[..., list[str]]) -> None:
    checksum = weasel_checksum(repo / "data")
    bring(asset_of(repo, md5=checksum))
    repo.rename(repo.with_name("gone"))

    assert bring(asset_of(repo, md5=checksum)) == ["1 of 1 assets were there already"]
    (root / "memory").rename(root / "forgotten")
    assert bring(asset_of(repo, md5=checksum)) == ["1 of 1 assets were there already"]
    repo.with_name("gone").rename(repo)
    with pytest.raises(ChecksumError, match="its md5 is"):
        bring(asset_of(repo, md5="0" * 32))
    assert tree_of(root / DEST) == SECOND


@pytest.mark.parametrize(
    ("path", "branch", "message", "fix"),
    [
        ("dta", "main", "has no 'dta' in commit", "Did you mean 'data'?"),
        ("data", "mian", "has no branch, tag or commit 'mian'", "Did you mean 'main'?"),
        ("data", "0" * 40, "has no commit '" + "0" * 40, None),
        ("data", "abcdef0", "has no commit 'abcdef0' on any branch or tag", None),
        ("../data", "main", "is a path outside of the repository", None),
        ("link", "main", "is a symbolic link", None),
    ],
)
def test_what_is_not_there_is_told_with_the_nearest_name(
    repo: Path, bring: Callable[..., list[str]], path: str, branch: str, message: str, fix: str | None
) -> None:
    (repo / "link").symlink_to("data")
    commit(repo, {})

    with pytest.raises(AssetError) as caught:
        bring(asset_of(repo.as_uri(), path, branch))

    assert message in caught.value.message
    assert caught.value.where == "project.yml:3"
    assert fix is None or caught.value.fix == fix


def test_without_git_the_message_says_so(repo: Path, bring: Callable[..., list[str]]) -> None:
    with pytest.raises(AssetError, match="the command 'git' is not there") as caught:
        bring(asset_of(repo), environ={"PATH": "/nowhere"})

    assert caught.value.fix == "Install git, or give the asset a 'url' instead."


def test_a_repository_that_is_none_is_asked_once_for_all_its_assets(
    root: Path, bring: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    run = subprocess.run

    def count(words: list[str], **options: Any) -> Any:
        calls.append(words)
        return run(words, **options)

    monkeypatch.setattr(subprocess, "run", count)
    other = Asset(dest=PurePosixPath("assets/other"), git=GitSource(repo="nowhere"), line=4)

    with pytest.raises(AssetError, match=r"git can't get nowhere:data: .* not appear to be a git repository") as caught:
        bring(asset_of("nowhere"), other)

    assert "project.yml:4" in caught.value.message
    assert len(calls) == 1


def test_a_mirror_has_repositories_too(repo: Path, root: Path, bring: Callable[..., list[str]], tmp_path: Path) -> None:
    kept = tmp_path / "mirror" / "github.com" / "owner"
    kept.mkdir(parents=True)
    git(kept, "clone", "-q", "--bare", str(repo), "name.git")

    bring(asset_of("https://github.com/owner/name", branch="main"), mirror=str(tmp_path / "mirror"))

    assert tree_of(root / DEST) == SECOND


def test_links_out_of_the_folder_stay_behind_and_lfs_pointers_are_refused(
    repo: Path, root: Path, bring: Callable[..., list[str]]
) -> None:
    (repo / "data" / "out").symlink_to("../other/big.bin")
    (repo / "data" / "in").symlink_to("one.txt")
    commit(repo, {})

    lines = bring(asset_of(repo))
    assert [line for line in lines if "left out" in line] == [
        "  left out: the link 'out' leads out of what was asked for"
    ]
    assert tree_of(root / DEST) == {**SECOND, "in": "one"}

    commit(repo, {"data/large.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n"})
    with pytest.raises(AssetError, match="Git LFS") as caught:
        bring(asset_of(repo, branch="main"))
    assert caught.value.fix == "Install git-lfs, then: git lfs install"


def test_an_archive_out_of_a_repository_is_unpacked(repo: Path, root: Path, bring: Callable[..., list[str]]) -> None:
    import zipfile

    with zipfile.ZipFile(repo / "kept.zip", "w") as archive:
        archive.writestr("a/b.txt", "b")
    commit(repo, {})

    bring(asset_of(repo, "kept.zip", extract=""))

    assert tree_of(root / DEST) == {"a/b.txt": "b"}


def test_the_callers_own_repository_is_left_alone(
    repo: Path, root: Path, bring: Callable[..., list[str]], tmp_path: Path
) -> None:
    hook = tmp_path / "hooked"
    environ = {**os.environ, "GIT_DIR": str(repo / ".git"), "GIT_INDEX_FILE": str(hook), "GIT_WORK_TREE": str(repo)}

    bring(asset_of(repo, branch="v1"), environ=environ)

    assert tree_of(root / DEST) == FIRST
    assert not hook.exists()
    assert git(repo, "status", "--porcelain") == ""
