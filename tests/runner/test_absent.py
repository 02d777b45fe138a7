"""What is absent and counts as unchanged: checked assets, outputs without a copy, all data for --no-data."""

from __future__ import annotations

import hashlib
import shutil
import subprocess

import pytest

from .conftest import Playground

PROJECT = """
assets:
  - {dest: assets/words.txt, url: elsewhere/words.txt, sha256: SUM}
  - {dest: assets/more.txt, url: elsewhere/more.txt, sha256: SUM}
commands:
  - name: convert
    script: ["python copy.py assets/words.txt assets/more.txt corpus.txt"]
    deps: [copy.py, assets]
    outputs: [corpus.txt]
  - name: train
    script: ["python copy.py corpus.txt model.txt", "python copy.py copy.py timing.txt"]
    deps: [copy.py, corpus.txt]
    outputs: [model.txt]
    outputs_no_cache: [timing.txt]
  - name: show
    script: ["python copy.py model.txt timing.txt shown.txt"]
    deps: [copy.py, model.txt, timing.txt]
    outputs: [shown.txt]
workflows: {all: [fetch, convert, train, show]}
profiles: {only: {}}
"""
WORDS = "one two\n"
PROJECT = PROJECT.replace("SUM", hashlib.sha256(WORDS.encode()).hexdigest())


@pytest.fixture
def clone(playground: Playground) -> Playground:
    """A fresh clone of a project that has run; its store holds all but the assets and the timings."""
    playground.write({"project.yml": PROJECT, "elsewhere/words.txt": WORDS, "elsewhere/more.txt": WORDS})
    playground.write({".gitignore": "elsewhere\ncalls.txt\ntiming.txt\n"})
    for words in (["init", "-q"], ["config", "user.email", "a@b"], ["config", "user.name", "a"]):
        git(playground, *words)
    playground.project("run", "all")
    git(playground, "add", "-A")
    git(playground, "commit", "-qm", "ran")
    root = playground.root.parent / "clone"
    git(playground, "clone", "-q", ".", str(root))
    shutil.copytree(playground.root / ".dvc/cache", root / ".dvc/cache")
    fresh = Playground(root, playground.capture)
    drop(fresh, WORDS)
    drop(fresh, playground.read("timing.txt"))
    return fresh


def git(ground: Playground, *words: str) -> None:
    subprocess.run(["git", *words], cwd=ground.root, check=True, capture_output=True)


def drop(ground: Playground, text: str) -> None:
    """Take a content out of the store."""
    md5 = hashlib.md5(text.encode()).hexdigest()
    (ground.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()


@pytest.fixture
def pulled(clone: Playground) -> Playground:
    """The clone with the recorded outputs in place, as far as the store has them."""
    for name in ("corpus.txt", "model.txt", "shown.txt"):
        shutil.copy(clone.root.parent / "project" / name, clone.root / name)
    return clone


def test_a_checked_asset_and_a_timing_that_are_absent_count_as_unchanged(pulled: Playground) -> None:
    assert set(pulled.actions().values()) == {"skip"}

    said = pulled.project("run", "all")

    assert said == "all 4 steps are up to date: nothing to run\n"
    assert not (pulled.root / "assets/words.txt").exists() and not (pulled.root / "timing.txt").exists()


def test_outputs_that_the_store_has_are_restored_without_those_it_has_not(clone: Playground) -> None:
    assert clone.actions() == {"fetch": "skip", "convert": "restore", "train": "restore", "show": "restore"}

    clone.project("run", "all")

    assert clone.calls() == []
    assert clone.read("model.txt") == WORDS * 2
    assert not (clone.root / "assets/words.txt").exists() and not (clone.root / "timing.txt").exists()
    assert set(clone.actions().values()) == {"skip"}


def test_an_asset_is_fetched_when_a_step_that_reads_it_runs(pulled: Playground) -> None:
    pulled.write({"project.yml": PROJECT.replace("copy.py assets/words.txt", "copy.py ./assets/words.txt")})
    (pulled.root / "elsewhere").symlink_to(pulled.root.parent / "project/elsewhere")

    decisions = pulled.decisions()

    assert decisions["fetch"][0] == "run"
    assert decisions["fetch"][1][0] == "'convert' needs 'assets/words.txt', which is not here"
    pulled.project("run", "all")
    assert pulled.calls() == ["corpus.txt"]
    assert pulled.read("assets/words.txt") == WORDS
    assert set(pulled.actions().values()) == {"skip"}


def test_an_absent_timing_that_a_running_step_reads_is_made_again(pulled: Playground) -> None:
    pulled.write({"project.yml": PROJECT.replace("model.txt timing.txt shown", "./model.txt timing.txt shown")})

    assert pulled.actions() == {"fetch": "skip", "convert": "skip", "train": "run", "show": "run"}

    pulled.project("run", "all")

    assert pulled.calls() == ["model.txt", "timing.txt", "shown.txt"]
    assert not (pulled.root / "assets/words.txt").exists()


def test_asking_for_the_assets_alone_brings_them(pulled: Playground) -> None:
    (pulled.root / "elsewhere").symlink_to(pulled.root.parent / "project/elsewhere")

    pulled.project("run", "fetch")

    assert pulled.read("assets/more.txt") == WORDS


def test_an_absent_asset_with_another_checksum_is_fetched(pulled: Playground) -> None:
    pulled.write({"project.yml": PROJECT.replace(hashlib.sha256(WORDS.encode()).hexdigest(), "a" * 64)})

    assert pulled.decisions()["fetch"][0] == "run"


def test_without_data_the_ledger_alone_says_what_changed(clone: Playground) -> None:
    shutil.rmtree(clone.root / ".dvc/cache")
    assert set(clone.actions().values()) == {"run"}
    assert set(clone.actions("--no-data").values()) == {"skip"}

    clone.write({"project.yml": PROJECT.replace("copy.py model.txt", "copy.py ./model.txt")})

    assert clone.actions("--no-data") == {"fetch": "skip", "convert": "skip", "train": "skip", "show": "run"}


def test_a_deleted_output_with_a_copy_in_the_store_comes_back(clone: Playground) -> None:
    original = Playground(clone.root.parent / "project", clone.capture)
    original.calls()
    (original.root / "timing.txt").unlink()
    (original.root / "assets/words.txt").unlink()

    original.project("run", "all")

    assert original.calls() == []
    assert original.read("assets/words.txt") == WORDS
    assert (original.root / "timing.txt").exists()


def test_checkout_leaves_assets_for_later_and_does_without_timings(clone: Playground) -> None:
    assert clone.project("checkout") == "3 steps checked out\n"
    assert set(clone.actions().values()) == {"skip"}
    (clone.root.parent / "project/elsewhere").rename(clone.root / "elsewhere")

    clone.project("run", "all", "--force", "--only")

    assert clone.read("shown.txt").startswith(WORDS * 2)
