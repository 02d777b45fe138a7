"""A checkpoint reaches the next try of the same command with the same inputs, and no other."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from frostline.errors import StepFailed
from frostline.runner.session import Session

from .conftest import Playground
from .test_clearing import kept, run_and_hear

PROJECT = """
vars: {k: "1", limit: 60}
profiles: {p: {}}
commands:
  - name: train
    script: ["python train.py ${vars.k}"]
    deps: [train.py, data.txt]
    outputs: [model]
    checkpoint: [state]
    timeout_s: ${vars.limit}
    env: [FLAVOUR]
"""
# Goes on from the checkpoint; fails, or waits, half-way while there is a file of that name.
TRAIN = """import os, sys, time
start = open("state").read() if os.path.exists("state") else ""
said = start + sys.argv[1] + open("data.txt").read() + os.environ.get("FLAVOUR", "")
open("state", "w").write(said)
while os.path.exists("wait"):
    time.sleep(0.02)
assert not os.path.exists("boom")
open("model", "w").write(said)
"""


@pytest.fixture
def training(playground: Playground) -> Playground:
    """A step with a checkpoint, and `boom` in its way."""
    playground.write({"project.yml": PROJECT, "train.py": TRAIN, "data.txt": "a", "boom": ""})
    return playground


def fail(ground: Playground, *words: str) -> None:
    """Run it, let it fail, and take what made it fail away."""
    with pytest.raises(StepFailed):
        ground.project("run", "train", *words)
    (ground.root / "boom").unlink()


def test_it_reaches_the_next_try_of_the_same_command_and_inputs(training: Playground) -> None:
    fail(training)

    training.project("run", "train")

    assert training.read("model") == "1a1a"
    assert kept(training.root) == {}


def test_it_reaches_a_try_after_an_edit_of_comments_or_of_the_time_limit(training: Playground) -> None:
    fail(training)
    training.write({"train.py": "# more to read\n" + TRAIN})

    training.project("run", "train", "--set", "vars.limit=70")

    assert training.read("model") == "1a1a"


def test_with_strict_an_edit_of_comments_is_another_input(training: Playground) -> None:
    fail(training)
    training.write({"train.py": "# more to read\n" + TRAIN})

    training.project("run", "train", "--strict")

    assert training.read("model") == "1a"


@pytest.mark.parametrize("what", ["command", "dep", "environment"])
def test_it_is_moved_aside_for_another_command_or_other_inputs(
    training: Playground, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(training)
    if what == "dep":
        training.write({"data.txt": "b"})
    elif what == "environment":
        monkeypatch.setenv("FLAVOUR", "salt")

    said = run_and_hear(training, "train", *(["--set", "vars.k=2"] if what == "command" else []))

    assert training.read("model") == {"command": "2a", "dep": "1b", "environment": "1asalt"}[what]
    assert kept(training.root) == {"state": "1a"}
    (line,) = [line for line in said.splitlines() if "moved" in line]
    assert line.startswith("moved 'state', the checkpoint of another command or other inputs, to .dvc/")


def test_one_that_a_kill_has_left_is_bound_too(training: Playground) -> None:
    training.write({"wait": ""})
    program = "from frostline.runner.cli.main import main; main()"
    process = subprocess.Popen([sys.executable, "-P", "-c", program, "run", "train"], cwd=training.root)
    deadline = time.monotonic() + 60
    while not (training.root / "state").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for name in ("wait", "boom"):
        (training.root / name).unlink()
    training.write({"data.txt": "b"})

    training.project("run", "train")

    assert training.read("model") == "1b"


def test_one_of_the_user_s_is_bound_to_the_try_that_went_on_from_it(training: Playground) -> None:
    training.write({"state": "mine"})
    fail(training)

    training.project("run", "train", "--set", "vars.k=2")

    assert training.read("model") == "2a"
    assert kept(training.root) == {"state": "mine1a"}


def test_it_goes_when_the_result_is_restored(training: Playground) -> None:
    (training.root / "boom").unlink()
    training.project("run", "train")
    training.write({"boom": ""})
    fail(training, "--force")
    assert training.read("state") == "1a"

    training.project("run", "train")

    assert training.read("model") == "1a"
    assert not (training.root / "state").exists()
    assert list(Session(training.root).places.begun.iterdir()) == []


def test_that_of_another_command_waits_while_a_result_is_restored(training: Playground) -> None:
    (training.root / "boom").unlink()
    training.project("run", "train")
    training.write({"boom": ""})
    fail(training, "--set", "vars.k=2")

    training.project("run", "train")
    assert training.read("model") == "1a"
    training.project("run", "train", "--set", "vars.k=2")

    assert training.read("model") == "2a2a"
    assert kept(training.root) == {}
