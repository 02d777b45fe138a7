"""The real `dvc` command says whether ledger, store and run cache are what we claim. Skipped where there is none."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import CHAIN, Playground

DVC = Path(sys.executable).with_name("dvc")
pytestmark = pytest.mark.skipif(not DVC.exists(), reason="dvc is not installed")
CLEAN = "Data and pipelines are up to date."


def dvc(ground: Playground, *words: str, check: bool = True) -> str:
    """What a dvc command prints."""
    environ = {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(ground.root.parent / "site"),
        "PATH": f"{DVC.parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run([DVC, *words], cwd=ground.root, env=environ, capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return (done.stdout + done.stderr).strip()


RICH = """
profiles: {small: {n: 1}, large: {n: 2}}
env: {token: SOME_TOKEN}
workflows: {all: [make, cell, score, odd, always]}
commands:
  - name: make
    script: ["python make.py ${vars.n} data/${profile}"]
    deps: [make.py]
    outputs: ["data/${profile}"]
  - name: cell
    matrix: {kind: [a, b]}
    script: ["python copy.py data/${profile}/sub/x.txt out/${profile}/${matrix.kind}.txt", "python -c '${HOME}'"]
    deps: [copy.py, "data/${profile}"]
    outputs: ["out/${profile}/${matrix.kind}.txt"]
    shell: true
  - name: score
    script: ["python score.py ${profile} ${env.token}"]
    deps: [score.py, "out/${profile}/a.txt"]
    metrics: ["score/${profile}/metrics.json"]
    outputs: ["score/${profile}/curve", "score/${profile}/12e5"]
    outputs_no_cache: ["score/${profile}/timing.json"]
    plots: ["score/${profile}/curve/points.csv"]
    requires: [pytest]
    env: {NAME: "a b $c"}
  - name: odd
    script: ["python copy.py copy.py 'odd/${profile}/a b.txt'"]
    deps: [copy.py]
    outputs: ["odd/${profile}/a b.txt"]
  - name: always
    script: ["python -c pass"]
"""
RICH = RICH.replace("\"python -c '${HOME}'\"", '"test -n ${HOME}"')
SCORE = """import json, os, pathlib, sys
root = pathlib.Path("score") / sys.argv[1]
(root / "curve").mkdir(parents=True)
(root / "metrics.json").write_text(json.dumps({"score": 0.5, "name": os.environ["NAME"], "n": len(sys.argv)}))
(root / "timing.json").write_text("{}")
(root / "12e5").write_text("1e5")
(root / "curve" / "points.csv").write_text("x,y\\n1,2\\n")
"""
MAKE = """import pathlib, sys
folder = pathlib.Path(sys.argv[2]) / "sub"
folder.mkdir(parents=True)
(folder / "x.txt").write_text("x" * int(sys.argv[1]))
(folder / "run.sh").write_text("#!/bin/sh\\n")
(folder / "run.sh").chmod(0o755)
(folder.parent / "a-b.txt").touch()
(folder.parent / "sub.txt").write_text("same")
"""


@pytest.fixture
def rich(playground: Playground) -> Playground:
    """A project in git that uses much of what can be written."""
    playground.write({"project.yml": RICH, "make.py": MAKE, "score.py": SCORE, ".gitignore": "calls.txt\n"})
    subprocess.run(["git", "init", "-q"], cwd=playground.root, check=True)
    return playground


def test_after_our_run_dvc_finds_everything_up_to_date_and_repro_runs_nothing(rich: Playground) -> None:
    rich.project("run", "all")
    rich.project("run", "all", "--profile", "large", "-j", "2")
    rich.calls()

    assert dvc(rich, "status") == CLEAN
    said = dvc(rich, "repro", "--all-pipelines")
    assert "Running stage" not in said
    assert rich.calls() == []
    assert "score/small/metrics.json" in dvc(rich, "metrics", "show")
    assert "make" in dvc(rich, "dag", "--md")
    assert set(rich.actions().values()) == {"skip", "run"}  # `always` has no outputs
    untracked = subprocess.run(
        ["git", "status", "--short", "-uall"], cwd=rich.root, capture_output=True, text=True
    ).stdout
    assert "out/small/a.txt" not in untracked and "data/small/sub/x.txt" not in untracked


def test_what_dvc_ran_is_up_to_date_for_us(chain: Playground) -> None:
    chain.project("run", "all")
    chain.calls()
    chain.write({"source.txt": "by dvc\n"})

    said = dvc(chain, "repro")

    assert "Running stage 'first'" in said
    assert chain.read("out/third.txt") == "by dvc\ntwo\n"
    assert chain.actions() == {"first": "skip", "second": "skip", "third": "skip"}


def test_dvc_restores_from_our_run_cache_and_we_from_dvcs(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"source.txt": "second\n"})
    dvc(chain, "repro")
    chain.calls()

    chain.write({"source.txt": "one\n"})
    said = dvc(chain, "repro")
    assert said.count("is cached - skipping run, checking out outputs") == 3
    chain.write({"source.txt": "second\n"})
    chain.project("run", "all")

    assert chain.calls() == []
    assert chain.read("out/third.txt") == "second\ntwo\n"
    assert dvc(chain, "status") == CLEAN


def test_a_push_and_a_pull_into_a_clone_leave_nothing_to_run(chain: Playground) -> None:
    subprocess.run(["git", "init", "-q"], cwd=chain.root, check=True)
    chain.project("run", "all")
    remote = chain.root.parent / "remote"
    dvc(chain, "remote", "add", "-d", "store", str(remote))
    dvc(chain, "push", "-q")
    clone = Playground(chain.root.parent / "clone", chain.capture)
    shutil.copytree(chain.root, clone.root, ignore=shutil.ignore_patterns("cache", "tmp", "*.txt", "out", ".git"))
    clone.write({"source.txt": "one\n", "other.txt": "two\n"})
    subprocess.run(["git", "init", "-q"], cwd=clone.root, check=True)

    dvc(clone, "pull", "-q")

    assert clone.actions() == {"first": "skip", "second": "skip", "third": "skip"}


def test_foreign_stages_comments_and_keys_in_dvc_yaml_survive(chain: Playground) -> None:
    foreign = "# mine\nstages:\n  other:\n    cmd: echo hi > hi.txt  # keep\n    outs:\n    - hi.txt\n"
    chain.write({"dvc.yaml": foreign, ".dvc/config": "[core]\n    no_scm = true\n"})
    dvc(chain, "repro", "-q")
    chain.project("run", "all")
    text = chain.read("dvc.yaml").replace("  first:\n", "  first:\n    desc: the first\n")
    chain.write({"dvc.yaml": text, "project.yml": CHAIN.replace("copy.py source.txt", "copy.py  ./source.txt")})

    chain.project("run", "all")

    assert "# mine" in chain.read("dvc.yaml") and "# keep" in chain.read("dvc.yaml")
    assert "desc: the first" in chain.read("dvc.yaml")
    assert dvc(chain, "status") == CLEAN
    assert "other" in chain.read("dvc.lock")


def test_a_step_that_is_no_more_leaves_dvc_yaml_and_the_lock(chain: Playground) -> None:
    chain.project("run", "all")
    shorter = CHAIN.replace("all: [first, second, third]", "all: [first, second]").split("  - name: third")[0]
    chain.write({"project.yml": shorter + "profiles: {only: {}}\n"})

    chain.project("run", "all")

    assert "third" not in chain.read("dvc.yaml") + chain.read("dvc.lock")
    assert dvc(chain, "status") == CLEAN


def test_an_output_that_git_tracks_stays_out_of_dvc_yaml(chain: Playground) -> None:
    chain.write({"second.txt": "by hand\n"})
    subprocess.run(["git", "init", "-q"], cwd=chain.root, check=True)
    subprocess.run(["git", "add", "second.txt"], cwd=chain.root, check=True)

    chain.project("run", "all")

    assert chain.read("second.txt") == "one\n"
    assert set(chain.actions().values()) == {"skip"}
    assert "second:" not in chain.read("dvc.yaml")
    assert dvc(chain, "status") == CLEAN


def test_called_by_dvc_we_neither_lock_nor_write_the_ledger(chain: Playground) -> None:
    stage = "stages:\n  outer:\n    cmd: python -P -m frostline.runner.cli.main run first\n    deps: [source.txt]\n"
    chain.write({"dvc.yaml": stage + "    outs: [{first.txt: {persist: true}}]\n"})
    chain.write({".dvc/config": "[core]\n    no_scm = true\n"})

    dvc(chain, "repro")

    assert chain.calls() == ["first.txt"]
    assert "first:" not in chain.read("dvc.lock") + chain.read("dvc.yaml")
    assert dvc(chain, "status") == CLEAN


def test_what_people_do_with_dvc_beside_a_run_works(rich: Playground) -> None:
    for words in (["config", "user.email", "a@b"], ["config", "user.name", "a"]):
        subprocess.run(["git", *words], cwd=rich.root, check=True)
    rich.project("run", "all")
    subprocess.run(["git", "add", "-A"], cwd=rich.root, check=True)
    subprocess.run(["git", "commit", "-qm", "first"], cwd=rich.root, check=True)
    rich.write({"score.py": SCORE.replace("0.5", "0.75")})
    rich.project("run", "all")

    (row,) = json.loads(dvc(rich, "metrics", "diff", "--json")).values()
    assert row["score"] == {"old": 0.5, "new": 0.75, "diff": 0.25}
    table = json.loads(dvc(rich, "exp", "show", "--json"))
    assert table[0]["data"]["metrics"]["score/small/metrics.json"]["data"]["score"] == 0.75
    assert "points.csv" in dvc(rich, "plots", "show", "--json")
    dvc(rich, "remote", "add", "-q", "-d", "store", str(rich.root.parent / "remote"))
    dvc(rich, "push", "-q", "--run-cache")
    assert "Cache and remote 'store' are in sync" in dvc(rich, "status", "-c")


def test_a_forced_repro_leaves_nothing_to_do_for_us(rich: Playground) -> None:
    rich.project("run", "all")

    dvc(rich, "repro", "-f", "-s", "score", "odd", "-q")

    assert {step for step, action in rich.actions().items() if action != "skip"} == {"always"}
    assert rich.project("run", "odd", "score") == "all 4 steps are up to date: nothing to run\n"


def spawn_dvc(ground: Playground, *words: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(ground.root.parent / "site")}
    return subprocess.Popen(
        [DVC, *words], cwd=ground.root, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.exists()


SLOW = "import pathlib, time\npathlib.Path('../started').touch()\ntime.sleep(1.5)\n"


def test_we_wait_for_the_paths_that_dvc_works_on(chain: Playground) -> None:
    stage = (
        "stages:\n  outer:\n    cmd: python slow.py\n    deps: [slow.py]\n    outs: [{other.txt: {persist: true}}]\n"
    )
    chain.write({"dvc.yaml": stage, ".dvc/config": "[core]\n    no_scm = true\n"})
    chain.write({"slow.py": SLOW + "pathlib.Path('other.txt').write_text('by dvc\\n')\n"})
    running = spawn_dvc(chain, "repro")
    wait_for(chain.root.parent / "started")
    command = [sys.executable, "-P", "-m", "frostline.runner.cli.main", "run", "all"]

    done = subprocess.run(command, cwd=chain.root, capture_output=True, text=True, timeout=60)

    assert running.wait(timeout=60) == 0
    assert done.returncode == 0, done.stderr
    assert f"waiting for {chain.root}/other.txt, which process {running.pid} (" in done.stderr
    assert chain.read("out/third.txt") == "one\nby dvc\n"
    assert {"outer", "third"} <= set(chain.read("dvc.lock").replace(":", " ").split())


def test_dvc_reads_while_our_step_works_and_refuses_its_paths(chain: Playground) -> None:
    chain.project("run", "all")
    text = chain.read("project.yml").replace("python copy.py source.txt first.txt", "python slow.py")
    chain.write(
        {"project.yml": text, "slow.py": SLOW.replace("1.5", "6") + "open('first.txt', 'w').write('slow\\n')\n"}
    )
    command = [sys.executable, "-P", "-m", "frostline.runner.cli.main", "run", "first"]
    ours = subprocess.Popen(command, cwd=chain.root, stderr=subprocess.PIPE, text=True)
    wait_for(chain.root.parent / "started")

    with (chain.root / ".dvc/tmp/lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody holds it while a step works
    busy = dvc(chain, "repro", "-f", "-s", "first", check=False)

    assert ours.poll() is None and "is busy, it is being" in busy
    ours.communicate(timeout=60)
    assert ours.returncode == 0
    assert chain.read("first.txt") == "slow\n"
    assert json.loads((chain.root / ".dvc/tmp/rwlock").read_text()) == {}
    assert chain.actions()["first"] == "skip"


def test_no_data_is_read_or_stored_under_dvcs_lock(chain: Playground) -> None:
    lock = chain.root / ".dvc/tmp/lock"
    data = {str(chain.root / name) for name in ("source.txt", "other.txt", "first.txt", "second.txt", "out/third.txt")}
    store = str(chain.root / ".dvc/cache")
    opened: dict[str, bool] = {}  # path -> whether the lock was held when it was opened
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        path = str(arguments[0]) if event == "open" else ""
        if watching and (path in data or path.startswith(store)):
            opened[path] = opened.get(path, False) or is_held()

    def is_held() -> bool:
        if not lock.exists():
            return False
        with lock.open("a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    sys.addaudithook(watch)

    chain.project("run", "all")
    chain.write({"source.txt": "new\n"})
    chain.project("run", "all")
    chain.project("verify", "all")

    watching = False
    assert data < opened.keys() and not any(opened.values())


APART = """
assets: [{dest: asset.txt, url: there.txt, sha256: SUM}]
commands:
  - name: convert
    script: ["python copy.py asset.txt asset.txt made.txt", "python copy.py copy.py timing.txt"]
    deps: [copy.py, asset.txt]
    outputs: [made.txt]
    outputs_no_cache: [timing.txt]
  - name: use
    script: ["python copy.py copy.py copy.py used.txt"]
    deps: [copy.py]
    outputs: [used.txt]
    env: [SOME_SETTING]
workflows: {all: [fetch, convert, use]}
profiles: {only: {}}
"""


def test_where_the_two_differ_each_says_what_the_table_says(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = APART.replace("SUM", hashlib.sha256(b"x").hexdigest())
    playground.write({"project.yml": text, "there.txt": "x"})
    playground.project("run", "all")
    for name in ("asset.txt", "timing.txt"):
        md5 = hashlib.md5((playground.root / name).read_bytes()).hexdigest()
        (playground.root / name).unlink()
        (playground.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    monkeypatch.setenv("SOME_SETTING", "other")

    theirs = json.loads(dvc(playground, "status", "--json"))

    assert playground.actions() == {"fetch": "skip", "convert": "skip", "use": "run"}
    assert theirs.keys() == {"fetch", "convert"}
    assert {"changed outs": {"timing.txt": "deleted"}} in theirs["convert"]
