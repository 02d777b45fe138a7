"""What `project gc` removes and keeps; DVC's own gc is the oracle for contents."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from frostline.errors import StoreError, UsageError

from .conftest import Playground
from .test_dvc_oracle import DVC, dvc

PROFILES = """
commands:
  - name: first
    script: ["python copy.py source.txt ${profile}/1.txt"]
    deps: [copy.py, source.txt]
    outputs: ["${profile}/1.txt"]
  - name: second
    script: ["python copy.py ${profile}/1.txt copy.py ${profile}/2/x.txt"]
    deps: [copy.py, "${profile}/1.txt"]
    outputs: ["${profile}/2"]
  - name: third
    script: ["python copy.py ${profile}/1.txt source.txt ${profile}/3.txt"]
    deps: [copy.py, "${profile}/1.txt", source.txt]
    outputs: ["${profile}/3.txt"]
workflows: {all: [first, second, third]}
profiles: {one: {}, two: {}}
"""


def git(ground: Playground, *words: str) -> None:
    subprocess.run(["git", *words], cwd=ground.root, check=True, capture_output=True)


def stored(ground: Playground) -> set[str]:
    """The contents in the store."""
    files = (ground.root / ".dvc/cache/files/md5").glob("*/*")
    return {file.parent.name + file.name for file in files}


def results(ground: Playground) -> int:
    return sum(path.is_file() for path in (ground.root / ".dvc/cache/runs").rglob("*"))


@pytest.fixture
def aged(chain: Playground) -> Playground:
    """A project in git with two states: one on the branch `old`, one in the workspace."""
    git(chain, "init", "-q")
    git(chain, "config", "user.email", "a@b")
    git(chain, "config", "user.name", "a")
    chain.write({".gitignore": "calls.txt\n"})
    chain.project("run", "all")
    git(chain, "add", "-A")
    git(chain, "commit", "-qm", "old")
    git(chain, "branch", "old")
    chain.write({"source.txt": "new\n"})
    chain.project("run", "all")
    return chain


def test_what_no_ledger_refers_to_goes_and_nothing_is_out_of_date_after(aged: Playground) -> None:
    before = stored(aged)

    assert aged.project("gc", "--dry").startswith("would remove: 3 contents, 3 stored results (")
    assert stored(aged) == before
    aged.project("gc", "--yes")

    assert len(before) - len(stored(aged)) == 3
    assert results(aged) == 3
    assert set(aged.actions().values()) == {"skip"}
    assert aged.project("gc", "--yes") == "nothing to remove: every content in the store is in use\n"


@pytest.mark.skipif(not DVC.exists(), reason="dvc is not installed")
def test_dvc_keeps_the_same_contents(aged: Playground) -> None:
    twin = Playground(aged.root.parent / "twin", aged.capture)
    shutil.copytree(aged.root, twin.root, symlinks=True)

    aged.project("gc", "--yes")
    dvc(twin, "gc", "-w", "-f")

    assert stored(aged) == stored(twin)


@pytest.mark.parametrize("words", [["--branches"], ["--commits"], ["--rev", "old"]], ids=" ".join)
def test_what_git_refers_to_is_kept_when_asked_and_comes_back(aged: Playground, words: list[str]) -> None:
    aged.calls()
    aged.project("gc", "--yes", *words)
    git(aged, "checkout", "-qf", "old")

    aged.project("run", "all")

    assert aged.calls() == []
    assert aged.read("out/third.txt") == "one\ntwo\n"


def test_every_profile_and_foreign_dvc_files_keep_what_is_theirs(playground: Playground) -> None:
    playground.write({"project.yml": PROFILES, "source.txt": "one\n", "other.txt": "two\n"})
    playground.project("run", "all")
    playground.project("run", "all", "--profile", "two")
    foreign = playground.root / ".dvc/cache/files/md5/ab/cdef0123456789abcdef0123456789"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("x")
    playground.write({"data/raw.dvc": "outs:\n- md5: abcdef0123456789abcdef0123456789\n  path: raw\n"})

    assert playground.project("gc", "--yes") == "nothing to remove: every content in the store is in use\n"

    (playground.root / "data/raw.dvc").unlink()
    shutil.rmtree(playground.root / "ledger/two")
    assert "1 content, 3 stored results" in playground.project("gc", "--yes")
    assert not foreign.parent.exists()


def test_a_ledger_that_a_merge_has_torn_loses_nothing(aged: Playground) -> None:
    before = stored(aged), results(aged)
    torn = "<<<<<<< HEAD\n" + aged.read("dvc.lock")
    aged.write({"dvc.lock": torn})

    with pytest.raises(StoreError, match="would be lost"):
        aged.project("gc", "--yes")

    assert (stored(aged), results(aged)) == before


def test_nobody_to_ask_and_a_shared_store_are_refused(aged: Playground) -> None:
    with pytest.raises(UsageError, match="nobody to ask"):
        aged.project("gc")
    shared = aged.root.parent / "shared"
    shutil.move(aged.root / ".dvc/cache", shared)
    aged.write({".dvc/config": f"[cache]\n    dir = {shared}\n"})

    with pytest.raises(UsageError) as caught:
        aged.project("gc", "--yes")

    assert caught.value.fix is not None and "--projects" in caught.value.fix
    assert "freed" in aged.project("gc", "--yes", "--projects", str(aged.root))


def test_temporary_files_of_the_dead_go_and_fresh_ones_stay(aged: Playground) -> None:
    folder = next((aged.root / ".dvc/cache/files/md5").iterdir())
    dead, fresh = folder / f".{'a' * 32}.tmp", folder / f".{'b' * 32}.tmp"
    for file in (dead, fresh):
        file.write_text("half")
    os.utime(dead, (1, 1))

    aged.project("gc", "--yes", "--commits")

    assert not dead.exists() and fresh.exists()


def test_gc_waits_for_running_steps(aged: Playground) -> None:
    from frostline.runner.running.locks import Locks
    from frostline.runner.running.processes import start_of

    other = subprocess.Popen(["sleep", "0.6"])
    with Locks(aged.root / ".dvc/tmp", print).paths("x", read=(), write=[aged.root / "out"]):
        table = aged.root / ".dvc/tmp/rwlock"
        ours, others = ([str(pid), f"#{start_of(pid)}"] for pid in (os.getpid(), other.pid))
        text = table.read_text()
        for old, new in zip(ours, others, strict=True):
            text = text.replace(old, new)
        table.write_text(text)
        import threading

        threading.Thread(target=other.wait).start()
        aged.project("gc", "--yes")
        assert other.poll() is not None


def test_an_unknown_revision_is_refused(aged: Playground) -> None:
    with pytest.raises(UsageError, match="no revision 'nope'"):
        aged.project("gc", "--yes", "--rev", "nope")


def test_sizes_are_told_for_people() -> None:
    from frostline.runner.sharing.sweep import size_text

    assert [size_text(n) for n in (0, 999, 1500, 2_000_000, 3_400_000_000)] == [
        "0 B", "999 B", "1.5 kB", "2.0 MB", "3.4 GB",
    ]  # fmt: skip


def test_the_walk_for_ledgers_leaves_environments_out(tmp_path: Path) -> None:
    from frostline.runner.sharing.sweep import ledger_files

    for name in ("dvc.lock", "ledger/x/dvc.lock", ".venv/lib/dvc.lock", ".dvc/config", "a/b.dvc", "c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert sorted(str(path.relative_to(tmp_path)) for path in ledger_files(tmp_path)) == [
        "a/b.dvc", "dvc.lock", "ledger/x/dvc.lock",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "{stages: {m-0: 3}}", "schema: '2.0'\nstages: {a: {cmd: 3, outs: 4}}\n", "stages: 3", "a: 1"],
    ids=repr,
)
def test_a_ledger_that_is_empty_or_none_loses_nothing(aged: Playground, text: str) -> None:
    before = stored(aged), results(aged)
    aged.write({"dvc.lock": text})

    with pytest.raises(StoreError, match="would be lost") as caught:
        aged.project("gc", "--yes", "--commits")

    assert (stored(aged), results(aged)) == before
    assert caught.value.where is not None and "dvc.lock" in caught.value.where and caught.value.fix


@pytest.mark.parametrize("gone", [["dvc.lock"], ["dvc.lock", "dvc.yaml"]], ids=" ".join)
@pytest.mark.parametrize("has_git", [True, False])
@pytest.mark.parametrize("forgotten", ["lock-only.json", "state-only.json"])
def test_a_ledger_that_is_gone_loses_nothing(
    aged: Playground, gone: list[str], has_git: bool, forgotten: str
) -> None:
    """Git, the copy of dvc.lock and local state: any one is enough."""
    os.utime(aged.root / "dvc.lock", (1, 1))  # of a younger one no copy is made
    aged.project("status")
    before = stored(aged)
    for name in gone:
        (aged.root / name).unlink()
    (aged.root / ".dvc/tmp/frostline" / forgotten).unlink()
    if not has_git:
        shutil.rmtree(aged.root / ".git")

    with pytest.raises(StoreError, match=r"dvc\.lock is gone"):
        aged.project("gc", "--yes")

    assert stored(aged) == before


def test_a_store_that_nothing_refers_to_is_not_emptied(aged: Playground) -> None:
    before = stored(aged)
    aged.write({"dvc.lock": "schema: '2.0'\nstages: {}\n"})

    with pytest.raises(StoreError, match="No ledger refers to anything"):
        aged.project("gc", "--yes")

    assert stored(aged) == before


def test_what_a_ledger_of_dvc_1_refers_to_is_kept(aged: Playground) -> None:
    foreign = aged.root / ".dvc/cache/files/md5/ab/cdef0123456789abcdef0123456789"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("x")
    lock = "old:\n  cmd: make\n  outs:\n  - path: x\n    md5: abcdef0123456789abcdef0123456789\n"
    aged.write({"elsewhere/dvc.lock": lock})

    aged.project("gc", "--yes")

    assert foreign.exists()
