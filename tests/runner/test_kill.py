"""Killed at any moment, a project is completed by the next run, and nothing is recorded that is not done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import Playground, is_running

PROJECT = """
profiles: {p: {}}
workflows: {all: [one, two, three]}
commands:
  - {name: one, script: [python slow.py one], deps: [slow.py], outputs: [one]}
  - {name: two, script: [python slow.py two], deps: [slow.py, one], outputs: [two]}
  - {name: three, script: [python slow.py three], deps: [slow.py, two], outputs: [three]}
"""
SLOW = """import pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
folder.mkdir()
for part in range(4):
    (folder / f"{part}.txt").write_text(f"{sys.argv[1]} {part}" * 1000)
    time.sleep(0.02)
"""
# A process that a script starts in the background ignores Ctrl-C, and hands that on: the tests' runner must not.
PROGRAM = """import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from frostline.runner.cli.main import main
main()"""
RUNNER = [sys.executable, "-P", "-c", PROGRAM, "run", "all"]


def start(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(RUNNER, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outputs(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for name in ("one", "two", "three")
        for path in sorted((root / name).rglob("*.txt"))
    }


@pytest.fixture
def slow(playground: Playground) -> Playground:
    """Three steps of some 0.1 s each."""
    playground.write({"project.yml": PROJECT, "slow.py": SLOW})
    return playground


@pytest.mark.parametrize("delay_s", [0.05, 0.2, 0.3, 0.4, 0.5, 0.6])
def test_after_a_kill_of_the_runner_the_next_run_completes_the_project(slow: Playground, delay_s: float) -> None:
    process = start(slow.root)
    time.sleep(delay_s)
    process.kill()
    process.wait()
    recorded = [step for step, action in slow.actions().items() if action == "skip"]
    assert all(len(list((slow.root / step).glob("*.txt"))) == 4 for step in recorded)

    slow.project("run", "all")

    assert len(outputs(slow.root)) == 12
    assert set(slow.actions().values()) == {"skip"}
    assert list((slow.root / ".dvc/tmp/frostline/running").glob("*")) == []


def test_a_step_that_a_dead_runner_left_behind_is_ended_first(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": "commands: [{name: sleeper, shell: true, outputs: [o],"
            " script: ['test -e go && touch o || { echo $$ > pid; sleep 60; }']}]\nworkflows: {all: [sleeper]}\n"
        }
    )
    process = start(playground.root)
    _wait_for(playground.root / "pid")
    process.kill()
    process.wait()
    orphan = int(playground.read("pid"))
    assert Path(f"/proc/{orphan}").exists()
    playground.write({"go": ""})

    playground.project("run", "all")

    assert not is_running(orphan)


def test_ctrl_c_ends_the_step_and_exits_with_130(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": "workflows: {all: [sleeper]}\n"
            "commands: [{name: sleeper, shell: true, outputs: [o], script: ['echo $$ > pid; sleep 60']}]\n"
        }
    )
    process = start(playground.root)
    _wait_for(playground.root / "pid")

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)

    assert process.returncode == 130
    assert said.endswith("interrupted\n")
    assert not is_running(int(playground.read("pid")))
    assert playground.actions() == {"sleeper": "run"}


def test_a_step_that_ignores_being_asked_is_made_to_end(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frostline.runner.running.executors import local

    monkeypatch.setattr(local, "GRACE_S", 0.3)
    playground.write(
        {
            "project.yml": "commands: [{name: deaf, script: [python deaf.py], outputs: [o], timeout_s: 1.5}]\n",
            "deaf.py": "import os, signal, time\nopen('pid', 'w').write(str(os.getpid()))\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
            "time.sleep(60)\n",
        }
    )

    with pytest.raises(Exception, match="time limit"):
        playground.project("run", "deaf")

    assert not is_running(int(playground.read("pid")))


def test_a_daemon_that_a_step_leaves_behind_is_ended_before_its_outputs_are_hashed(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": "commands: [{name: d, shell: true, outputs: [o],"
            " script: ['touch o; setsid sleep 60 & echo $! > pid; sleep 0.1']}]\n"
        }
    )

    playground.project("run", "d")

    assert not is_running(int(playground.read("pid")))


def test_two_runners_at_once_run_each_step_once(slow: Playground) -> None:
    slow.write({"slow.py": SLOW + "open('calls.txt', 'a').write(sys.argv[1] + '\\n')\n"})

    both = [start(slow.root), start(slow.root)]
    said = [process.communicate(timeout=60) for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(slow.calls()) == ["one", "three", "two"]
    assert set(slow.actions().values()) == {"skip"}


def test_an_interrupted_write_of_the_ledger_leaves_the_old_one(
    slow: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow.project("run", "one")
    before = slow.read("dvc.lock")
    real = os.replace

    def broken(source: str, target: str) -> None:
        if str(target).endswith("dvc.lock"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="No space left"):
        slow.project("run", "two")
    monkeypatch.undo()

    assert slow.read("dvc.lock") == before
    slow.project("run", "all")
    assert set(slow.actions().values()) == {"skip"}


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
