"""Going back and forth between states, clones and remotes: nothing that was made once is made again."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from frostline.errors import StoreError, UsageError

from .conftest import CHAIN, Playground
from .test_dvc_oracle import DVC

needs_dvc = pytest.mark.skipif(not DVC.exists(), reason="dvc is not installed")

PROJECT = """
env: {place: REMOTE_PLACE}
remotes: {default: ../remote, other: "${env.place}/x"}
profiles: {one: {n: 1}, two: {n: 2}}
commands:
  - name: make
    script: ["python copy.py source.txt data/${profile}/${vars.n}.txt", "python copy.py copy.py data/${profile}/log"]
    deps: [copy.py, source.txt]
    outputs: ["data/${profile}/${vars.n}.txt"]
    outputs_no_cache: ["data/${profile}/log"]
  - name: use
    script: ["python copy.py data/${profile}/${vars.n}.txt used/${profile}/folder/x.txt"]
    deps: [copy.py, "data/${profile}/${vars.n}.txt"]
    outputs: ["used/${profile}/folder"]
workflows: {all: [make, use]}
"""


@pytest.fixture(autouse=True)
def quiet_dvc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    return


def git(ground: Playground, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=ground.root, check=True, capture_output=True, text=True).stdout


def in_git(ground: Playground) -> None:
    git(ground, "init", "-q", "-b", "main")
    git(ground, "config", "user.email", "a@b")
    git(ground, "config", "user.name", "a")
    ground.write({".gitignore": "calls.txt\nlog\n"})


def commit(ground: Playground) -> None:
    git(ground, "add", "-A")
    git(ground, "commit", "-qm", "x")


def clone_of(ground: Playground, name: str = "clone") -> Playground:
    clone = Playground(ground.root.parent / name, ground.capture)
    git(ground, "clone", "-q", ".", str(clone.root))
    return clone


def test_switching_git_branches_restores_without_running(chain: Playground) -> None:
    in_git(chain)
    chain.project("run", "all")
    commit(chain)
    git(chain, "checkout", "-qb", "other")
    chain.write(
        {"source.txt": "of the branch\n", "project.yml": CHAIN.replace("copy.py second.txt", "copy.py ./second.txt")}
    )
    chain.project("run", "all")
    commit(chain)
    chain.calls()

    for branch, text in (("main", "one\n"), ("other", "of the branch\n"), ("main", "one\n")):
        git(chain, "checkout", "-q", branch)
        assert set(chain.actions().values()) <= {"restore", "skip"}
        chain.project("run", "all")
        assert chain.read("out/third.txt") == text + "two\n"
        assert git(chain, "status", "--short") == ""

    assert chain.calls() == []


def test_a_state_that_was_never_committed_comes_back_too(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"source.txt": "second\n"})
    chain.project("run", "all")
    chain.calls()

    chain.write({"source.txt": "one\n"})
    chain.project("run", "all")

    assert chain.calls() == []
    assert chain.read("out/third.txt") == "one\ntwo\n"


def test_checkout_brings_back_each_output_the_store_has_and_names_the_others(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"first.txt": "scribbled\n"})
    (chain.root / "second.txt").unlink()
    shutil.rmtree(chain.root / "out")

    assert chain.project("checkout", "third", "first") == "2 steps checked out\n"
    assert chain.read("out/third.txt") == "one\ntwo\n" and chain.read("first.txt") == "one\n"
    assert not (chain.root / "second.txt").exists()

    shutil.rmtree(chain.root / ".dvc/cache/files")
    with pytest.raises(StoreError) as caught:
        chain.project("checkout")
    assert caught.value.message == "The store lacks 1 output of 1 step: second.txt."
    assert "project pull" in (caught.value.fix or "")


@needs_dvc
def test_a_fresh_clone_after_a_pull_has_nothing_to_run_in_any_profile(playground: Playground) -> None:
    playground.write({"project.yml": PROJECT, "source.txt": "one\n"})
    in_git(playground)
    playground.project("run", "all")
    playground.project("push")
    commit(playground)
    playground.write({"source.txt": "later\n"})
    playground.project("run", "all")
    playground.project("run", "all", "--profile", "two")
    commit(playground)
    playground.project("push", "--commits")
    clone = clone_of(playground)

    said = clone.project("pull", "--commits")

    assert said.endswith("4 steps checked out\n")
    for profile in ("one", "two"):
        assert set(clone.actions("--profile", profile).values()) == {"skip"}
        assert clone.project("run", "all", "--profile", profile) == "all 2 steps are up to date: nothing to run\n"
    assert clone.calls() == []
    assert git(clone, "status", "--short") == ""
    clone.write({"source.txt": "one\n"})
    clone.project("run", "all")
    assert clone.calls() == []
    assert clone.read("used/one/folder/x.txt") == "one\n"


@needs_dvc
def test_named_steps_and_remotes_are_pushed_and_pulled(playground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_PLACE", str(playground.root.parent / "secret"))
    playground.write({"project.yml": PROJECT, "source.txt": "one\n"})
    playground.project("run", "all")

    playground.project("push", "other", "make")

    assert "secret" in playground.read(".dvc/config.local") and "secret" not in playground.read(".dvc/config")
    sent = [path for path in (playground.root.parent / "secret/x/files").rglob("*") if path.is_file()]
    assert len(sent) == 1
    shutil.rmtree(playground.root / ".dvc/cache")
    shutil.rmtree(playground.root / "data")
    shutil.rmtree(playground.root / "used")
    assert playground.project("pull", "make", "-r", "other") == "1 step checked out\n"
    with pytest.raises(StoreError, match=r"The remote 'other' lacks 1 output of 1 step: used/one/folder\."):
        playground.project("pull", "use", "-r", "other")


def test_what_is_missing_for_a_transfer_is_said(chain: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="Nothing is on record"):
        chain.project("push")
    chain.project("run", "all")
    chain.write({"project.yml": CHAIN + "remotes: {here: ../a, there: ../b}\n"})

    with pytest.raises(UsageError) as caught:
        chain.project("push")
    assert caught.value.fix == "Choose one with -r: here, there."
    with pytest.raises(UsageError, match="There is no step or workflow 'ther'"):
        chain.project("push", "ther")
    with pytest.raises(UsageError, match="'x' is no whole number"):
        chain.project("push", "-r", "here", "-j", "x")


@needs_dvc
def test_no_remote_at_all_is_said_with_a_way_to_have_one(chain: Playground) -> None:
    chain.project("run", "all")

    with pytest.raises(UsageError, match="No remote is set up") as caught:
        chain.project("pull")

    assert "remotes: {default: ADDRESS}" in (caught.value.fix or "")


@pytest.fixture
def pushed(chain: Playground) -> Playground:
    """A project whose store and remote were emptied behind its back, its outputs in place."""
    chain.write({"project.yml": CHAIN + "remotes: {default: ../remote}\n"})
    chain.project("run", "all")
    chain.project("push")
    chain.calls()
    shutil.rmtree(chain.root / ".dvc/cache")
    shutil.rmtree(chain.root.parent / "remote")
    return chain


@needs_dvc
def test_a_pull_that_brings_nothing_says_what_lacks(pushed: Playground) -> None:
    with pytest.raises(StoreError) as caught:
        pushed.project("pull")
    assert "lack 3 outputs of 3 steps: first.txt, second.txt, out." in caught.value.message
    with pytest.raises(StoreError, match="lack 3 outputs"):
        pushed.project("pull", "--no-checkout")


@needs_dvc
def test_a_push_sends_what_is_in_place_though_the_store_lost_it(pushed: Playground) -> None:
    pushed.project("push")

    clone = Playground(pushed.root.parent / "clone", pushed.capture)
    shutil.copytree(pushed.root, clone.root, ignore=shutil.ignore_patterns("cache", "tmp", "*.txt", "out"))
    clone.write({name: pushed.read(name) for name in ("source.txt", "other.txt")})
    assert clone.project("pull") == "3 steps checked out\n"
    assert clone.project("run", "all") == "all 3 steps are up to date: nothing to run\n"


@needs_dvc
def test_a_push_names_what_is_nowhere(pushed: Playground) -> None:
    pushed.write({"first.txt": "edited"})
    (pushed.root / "second.txt").unlink()

    with pytest.raises(StoreError) as caught:
        pushed.project("push")

    lacking = "lack 2 outputs of 2 steps: first.txt, second.txt."
    assert caught.value.message == f"The store and the remote 'default' {lacking}"


@needs_dvc
@pytest.mark.parametrize("verb", ["push", "pull"])
def test_what_others_keep_here_and_nobody_has_is_no_success(chain: Playground, verb: str) -> None:
    chain.write({"project.yml": CHAIN + "remotes: {default: ../remote}\n"})
    chain.project("run", "all")
    chain.project("push")
    chain.write({"raw.dvc": f"outs:\n- md5: {'ab' * 16}\n  size: 3\n  hash: md5\n  path: raw\n"})

    with pytest.raises(StoreError, match="neither here nor there"):
        chain.project(verb)


@needs_dvc
def test_an_asset_that_comes_from_its_own_source_is_no_loss(playground: Playground) -> None:
    digest = hashlib.sha256(b"words\n").hexdigest()
    assets = f"assets: [{{dest: words.txt, url: sources/words.txt, sha256: {digest}}}]\n"
    playground.write({"project.yml": CHAIN + assets + "remotes: {default: ../remote}\n"})
    playground.write({"sources/words.txt": "words\n", "source.txt": "one\n", "other.txt": "two\n"})
    playground.project("run", "all", "fetch")
    (playground.root / "words.txt").unlink()
    shutil.rmtree(playground.root / ".dvc/cache")

    playground.project("push")
    playground.project("pull")

    assert not (playground.root / "words.txt").exists()  # it counts as unchanged, and is fetched when a step needs it
    assert set(playground.actions().values()) == {"skip"}


def test_a_run_with_nothing_to_do_fills_a_store_that_is_gone(chain: Playground) -> None:
    chain.project("run", "all")
    chain.calls()
    files = sorted(path.relative_to(chain.root) for path in (chain.root / ".dvc/cache").rglob("*") if path.is_file())
    shutil.rmtree(chain.root / ".dvc/cache")

    assert chain.project("run", "all") == "all 3 steps are up to date: nothing to run\n"

    again = sorted(path.relative_to(chain.root) for path in (chain.root / ".dvc/cache").rglob("*") if path.is_file())
    assert again == files
    assert chain.calls() == []
