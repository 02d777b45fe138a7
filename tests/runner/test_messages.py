"""What is said where something is wrong: the thing itself is named, and the way on leads somewhere."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from frostline import console
from frostline.errors import FrostlineError, ProjectFileError, StepFailed, StoreError, UsageError
from frostline.runner.cli.main import dispatch

from .conftest import Playground


def error_of(ground: Playground, *words: str) -> FrostlineError:
    with pytest.raises(FrostlineError) as caught:
        ground.project(*words)
    return caught.value


@pytest.mark.parametrize(
    ("words", "message", "fix"),
    [
        (["gc", "--set", "vars.k=2"], "This verb takes no '--set'.", "Leave it out"),
        (["run", "all", "--bogus"], "Unknown argument '--bogus'.", "See --help."),
        (["run", "all", "--jbos=2"], "Unknown argument '--jbos=2'.", "Did you mean '--jobs'?"),
        (["run", "all", "--executor=x"], "Argument --executor: invalid choice: 'x' (choose from 'local').", "See:"),
        (["report"], "The project has no report.", "report: {}"),
    ],
)
def test_arguments_that_are_none(chain: Playground, words: list[str], message: str, fix: str) -> None:
    error = error_of(chain, *words)

    assert isinstance(error, UsageError) and error.message == message and fix in (error.fix or "")


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ("workflows: {all: [all]}\n", "The workflow 'all' lists itself.", "1:19"),
        ("workflows: {a: [b], b: []}\n", "The workflow 'a' lists 'b', which is a workflow too.", "1:17"),
        ("workflows: {a: [x]}\n", "Unknown step 'x' in the workflow 'a'.", "1:17"),
        ("commands: [{name: a, script: ['x ${vars}']}]\n", "'${vars}' names no variable.", "1:31"),
        ("title: x\n<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n", "A merge has left its marks.", "2:1"),
    ],
)
def test_slips_of_the_file(playground: Playground, text: str, message: str, where: str) -> None:
    playground.write({"project.yml": text})

    error = error_of(playground, "status")

    assert isinstance(error, ProjectFileError) and error.message == message and error.where == f"project.yml:{where}"


def test_two_writers_are_told_once(playground: Playground) -> None:
    commands = [f"{{name: {name}, script: [x], outputs: [o], resources: {{cpus: 1}}}}" for name in "ab"]
    playground.write({"project.yml": f"commands: [{', '.join(commands)}]\nworkflows: {{all: [a, b]}}\n"})

    error = error_of(playground, "run", "all", "-j", "2")

    assert error.message == "'a' and 'b' both write 'o', or inside it."


def test_a_step_that_reads_what_it_is_to_write(playground: Playground) -> None:
    text = "profiles: {p: {}}\ncommands: [{name: a, script: [x], deps: [o], outputs: [o]}]\n"
    playground.write({"project.yml": text})

    error = error_of(playground, "run", "a")

    assert error.message == "Step 'a' reads 'o', which it writes itself, and it is not there."
    assert "Put a first 'o' there by hand" in (error.fix or "")


def test_an_output_that_is_a_link_to_nowhere(playground: Playground) -> None:
    playground.write({"project.yml": "commands: [{name: a, script: [ln -s nowhere o], outputs: [o]}]\n"})

    error = error_of(playground, "run", "a")

    assert isinstance(error, StepFailed) and error.message == "Step 'a' left 'o' as a link that leads nowhere."


def test_an_edited_output_is_not_called_a_strangers(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"first.txt": "edited", "source.txt": "new\n"})
    chain.capture.readouterr()

    dispatch(["run", "first", "--project", str(chain.root)])

    assert "moved 'first.txt', which was edited since a step made it, to" in chain.capture.readouterr().err


def test_a_revision_whose_ledger_a_merge_has_torn(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"dvc.lock": "<<<<<<< HEAD\n" + chain.read("dvc.lock")})
    commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]
    for words in (["init", "-q"], ["add", "dvc.lock"], commit):
        subprocess.run(["git", *words], cwd=chain.root, check=True)
    chain.write({"dvc.lock": chain.read("dvc.lock").split("\n", 1)[1]})

    error = error_of(chain, "diff")

    assert isinstance(error, StoreError) and "can't be read: This is not YAML" in error.message
    assert (error.where or "").startswith("dvc.lock:") and "A merge may have left its marks" in (error.fix or "")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_the_folder_that_may_not_be_written_to_is_named(tmp_path: Path, capsys: Any) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(SystemExit):
        console.run_command(lambda: (tmp_path / "new").write_text("x"))

    assert f"The folder '{tmp_path}' may not be written to" in capsys.readouterr().err


def test_a_forbidden_folder_is_told_from_a_forbidden_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch()

    assert "may not be written to" in str(console._closed_folder(OSError(errno.EACCES, "x", str(new))))
    assert console._closed_folder(OSError(errno.EACCES, "x", str(old))) is None


def test_the_live_line_is_cleared_whole_when_the_terminal_has_become_narrower(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    columns = [80]
    monkeypatch.setattr(console, "_tell", said.append)
    monkeypatch.setattr(console, "has_live_line", lambda: True)
    monkeypatch.setattr(console.shutil, "get_terminal_size", lambda: os.terminal_size((columns[0], 24)))

    console.live("x" * 200)
    columns[0] = 30
    console.live("y" * 200)
    console.say("done")

    assert said == ["\r\x1b[K" + "x" * 79, "\x1b[2A\r\x1b[J" + "y" * 29, "\r\x1b[K", "done\n"]
