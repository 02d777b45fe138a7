"""Starting from another project: a template that ships, a folder, a git repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from frostline.errors import AssetError, UsageError
from frostline.runner.cli.main import dispatch
from frostline.runner.furnishing.repositories import address_of

PROJECT = "commands: [{name: a, script: [python a.py], deps: [a.py], outputs: [made]}]\n"


def clone(here: Path, *words: str) -> None:
    dispatch(["clone", "-q", "-C", str(here), *words])


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a project in `inner/one`, and another file beside it."""
    root = tmp_path / "origin"
    one = root / "inner/one"
    (one / "made").mkdir(parents=True)
    for name, text in (("project.yml", PROJECT), ("a.py", "x"), ("made/x", ""), (".dvcignore", "*.pyc\n")):
        (one / name).write_text(text)
    (root / "beside.txt").write_text("x")
    return root


@pytest.fixture
def repository(project: Path) -> Path:
    """The same in git: `main`, a branch `old`, a tag `v1`; the origin in a bare repository."""
    (project / ".gitignore").write_text("made\n")
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "one")
    git(project, "branch", "old")
    git(project, "tag", "v1")
    (project / "inner/one/a.py").write_text("newer")
    git(project, "commit", "-qam", "two")
    git(project, "clone", "-q", "--bare", ".", "../hub.git")
    return project.parent / "hub.git"


def test_a_template_that_ships_makes_a_folder_of_its_name(tmp_path: Path) -> None:
    clone(tmp_path, "hello")
    clone(tmp_path, "hello", "other/name")

    assert files(tmp_path / "hello") == files(tmp_path / "other/name")
    assert {".gitignore", ".github/workflows/project.yml", "scripts/make.py"} <= set(files(tmp_path / "hello"))


def test_a_folder_comes_without_what_its_steps_make(project: Path, tmp_path: Path) -> None:
    clone(tmp_path, "origin/inner/one", "mine")

    assert files(tmp_path / "mine") == [".dvcignore", "a.py", "project.yml"]


def test_a_folder_in_git_comes_as_git_has_it(repository: Path, project: Path, tmp_path: Path) -> None:
    (project / "inner/one/new.txt").write_text("not added yet")

    clone(tmp_path, str(project / "inner/one"), "mine")

    assert files(tmp_path / "mine") == [".dvcignore", "a.py", "new.txt", "project.yml"]


@pytest.mark.parametrize(("ref", "text"), [(None, "newer"), ("old", "x"), ("v1", "x"), ("commit", "x"), ("short", "x")])
def test_a_folder_of_a_repository_at_a_branch_tag_or_commit(
    repository: Path, tmp_path: Path, ref: str | None, text: str
) -> None:
    commit = git(repository, "rev-parse", "old").strip()
    named = {"commit": commit, "short": commit[:8]}.get(ref or "", ref)

    clone(tmp_path, f"file://{repository}", "mine", "--path", "inner/one", *(["-b", named] if named else []))

    assert files(tmp_path / "mine") == [".dvcignore", "a.py", "project.yml"]
    assert (tmp_path / "mine/a.py").read_text() == text


def test_what_goes_wrong_leaves_nothing_behind(repository: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())

    with pytest.raises(UsageError) as caught:
        clone(tmp_path, "hub.git", "mine")
    assert caught.value.fix == "Projects in it: inner/one."
    with pytest.raises(AssetError, match="couldn't find remote ref nope"):
        clone(tmp_path, "hub.git", "mine", "-b", "nope")
    with pytest.raises(AssetError, match="has no folder 'inner/two'"):
        clone(tmp_path, "hub.git", "mine", "--path", "inner/two")
    with pytest.raises(UsageError, match="no path inside"):
        clone(tmp_path, "hub.git", "mine", "--path", "../x")
    with pytest.raises(UsageError, match="'origin' is there already"):
        clone(tmp_path, "hello", "origin")
    with pytest.raises(UsageError, match="no template or folder 'helo'"):
        clone(tmp_path, "helo")

    assert sorted(tmp_path.iterdir()) == before


def test_words_that_are_addresses() -> None:
    assert address_of("owner/name") == "https://github.com/owner/name"
    assert address_of("git@host.org:owner/name") == "git@host.org:owner/name"
    assert address_of("https://host.org/x") == "https://host.org/x"
    assert address_of("a/b/c") is None and address_of("word") is None
