"""A git that comes after the first run, and outputs that git tracks: no record is lost, and what to do is said."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

import pytest

from frostline.runner.cli.main import dispatch
from frostline.runner.keeping import gitfiles

from .conftest import Playground
from .test_dvc_oracle import DVC, dvc


def git(ground: Playground, *words: str) -> str:
    settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    command = ["git", *settings, *words]
    return subprocess.run(command, cwd=ground.root, check=True, capture_output=True, text=True).stdout


def hear(ground: Playground, *words: str) -> str:
    """What a command says on standard error."""
    ground.capture.readouterr()
    dispatch([*words, "--project", str(ground.root)])
    return ground.capture.readouterr().err


def commit_all(ground: Playground, *words: str) -> None:
    git(ground, "add", "-A", *words)
    git(ground, "commit", "-qm", "x")


def test_outputs_have_their_lines_before_there_is_a_git(chain: Playground) -> None:
    chain.write({".gitignore": "calls.txt\n"})

    chain.project("run", "all")

    assert chain.read(".gitignore").split() == ["calls.txt", "/first.txt", "/second.txt", "/out"]
    git(chain, "init", "-q")
    commit_all(chain)
    assert "first.txt" not in git(chain, "ls-files")


def test_a_project_in_weasels_vocabulary_gets_none(chain: Playground) -> None:
    chain.write({"project.yml": chain.read("project.yml").replace("profiles: {only: {}}", "")})

    chain.project("run", "all")

    assert not (chain.root / ".gitignore").exists()


def test_what_init_makes_may_meet_its_git_late(playground: Playground) -> None:
    root = str(playground.root / "new")
    playground.project("init", root)
    new = Playground(playground.root / "new", playground.capture)
    new.project("run", "all")
    git(new, "init", "-q")
    commit_all(new)

    new.write({"project.yml": new.read("project.yml").replace("world", "moon")})

    assert "warning" not in hear(new, "run", "all")
    assert "greet:" in new.read("dvc.yaml")
    assert "greeting.txt" not in git(new, "ls-files")


def test_a_git_that_comes_later_is_noticed_and_the_ledger_stays_whole(chain: Playground) -> None:
    chain.project("run", "all")
    git(chain, "init", "-q")
    commit_all(chain)

    assert "git is here now" in hear(chain, "run", "all")
    assert "no_scm" not in chain.read(".dvc/config")
    chain.write({"source.txt": "edited\n"})
    chain.calls()
    chain.project("run", "all")
    chain.write({"source.txt": "one\n"})
    chain.project("run", "all")

    assert chain.calls() == ["first.txt", "second.txt", "out/third.txt"]  # going back ran nothing
    assert "first:" in chain.read("dvc.yaml")
    assert hear(chain, "run", "all") == ""


@pytest.mark.skipif(not DVC.exists(), reason="dvc is not installed")
def test_dvc_finds_the_git_that_came_later(chain: Playground) -> None:
    chain.write({"project.yml": chain.read("project.yml") + "remotes: {default: ../remote}\n"})
    chain.project("run", "all")
    chain.project("push")  # DVC writes the configuration anew, in its own words
    assert "no_scm" in chain.read(".dvc/config").lower()
    git(chain, "init", "-q")

    chain.project("run", "all")

    assert "no_scm" not in chain.read(".dvc/config").lower() and "remote = default" in chain.read(".dvc/config")
    commit_all(chain)
    assert "up to date" in dvc(chain, "status")
    dvc(chain, "diff")


def test_what_dvc_was_told_by_its_user_stays(chain: Playground) -> None:
    git(chain, "init", "-q")
    chain.write({".dvc/config": "[core]\n    no_scm = True\n"})

    chain.project("run", "all")

    assert chain.read(".dvc/config") == "[core]\n    no_scm = True\n"


@pytest.fixture
def tracked(chain: Playground) -> Playground:
    """A project of which git tracks an output, as somebody has added it in spite of its .gitignore."""
    git(chain, "init", "-q")
    chain.write({".gitignore": "calls.txt\n"})
    chain.project("run", "all")
    commit_all(chain)
    git(chain, "add", "-f", "first.txt")
    git(chain, "commit", "-qm", "tracked")
    chain.calls()
    return chain


def test_a_step_whose_output_git_tracks_keeps_its_record(tracked: Playground) -> None:
    tracked.write({"source.txt": "edited\n"})
    assert "changed" in tracked.decisions()["first"][1][0]

    said = hear(tracked, "run", "all")

    assert "warning: git tracks 'first.txt', so DVC can't keep it. Let git go of it: git rm -r --cached 'f" in said
    assert "first: never ran here" not in said and "dep 'source.txt' changed" in said
    assert set(tracked.actions().values()) == {"skip"}
    tracked.write({"source.txt": "again\n"})
    assert "changed" in tracked.decisions()["first"][1][0]
    assert "warning" not in hear(tracked, "run", "all")  # said once


def test_what_git_lets_go_of_is_dvcs_again(tracked: Playground) -> None:
    tracked.write({"source.txt": "edited\n"})
    tracked.project("run", "all")
    assert "first:" not in tracked.read("dvc.lock")
    git(tracked, "rm", "-rq", "--cached", "first.txt")
    tracked.calls()

    assert tracked.project("run", "all") == "all 3 steps are up to date: nothing to run\n"

    assert "first:" in tracked.read("dvc.lock") and "first:" in tracked.read("dvc.yaml")
    (tracked.root / "first.txt").unlink()
    tracked.project("run", "all")
    assert tracked.calls() == []  # the store has it


def test_a_name_that_git_would_take_for_a_pattern_is_hidden_as_it_is(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    names = ["plain", "ends in blanks  ", "a[1].txt", "star*", "q?", "#x", "!y", "back\\slash"]
    paths = [PurePosixPath(name) for name in names]
    for path in paths:
        (tmp_path / path).touch()

    gitfiles.ignore(tmp_path, paths)

    assert gitfiles.unignored(tmp_path, paths) == []
    (tmp_path / "a1.txt").touch()
    assert [str(path) for path in gitfiles.unignored(tmp_path, [PurePosixPath("a1.txt")])] == ["a1.txt"]
