"""A project that weasel has worked on: what its project.lock says is done, and still is, is not run again."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from frostline.runner.project.weasel import weasel_checksum

from .conftest import Playground

FILE = """
vars: {word: hello}
env: {who: WHO_IS_IT}
workflows: {all: [first, folder, second, show]}
commands:
  - name: first
    script: ["python copy.py source.txt made/first.txt"]
    deps: [copy.py, source.txt]
    outputs: [made/first.txt]
  - name: folder
    script: ["python copy.py source.txt tree/deep/a.txt", "python copy.py copy.py tree/b-${vars.word}.txt"]
    deps: [source.txt]
    outputs: [tree/]
  - name: second
    script: ["python copy.py made/first.txt ${env.who}.txt"]
    deps: [made/first.txt, tree]
    outputs_no_cache: ["${env.who}.txt"]
  - name: show
    script: ["python copy.py source.txt shown.txt"]
"""


@pytest.fixture
def done(playground: Playground, monkeypatch: pytest.MonkeyPatch) -> Playground:
    """A project as weasel leaves it: all outputs made, and a lock."""
    monkeypatch.setenv("WHO_IS_IT", "me")
    playground.write(
        {
            "project.yml": FILE,
            "source.txt": "s\n",
            "made/first.txt": "s\n",
            "tree/deep/a.txt": "a\n",
            "tree/b-hello.txt": "b\n",
            "me.txt": "s\n",
        }
    )
    write_lock(playground)
    return playground


def write_lock(playground: Playground) -> None:
    """What weasel would write: paths as in the file, the values of variables, checksums as they are today."""
    entries = {}
    for command in yaml.safe_load(FILE)["commands"]:
        filled = yaml.safe_load(yaml.dump(command).replace("${vars.word}", "hello").replace("${env.who}", "me"))
        paths = filled.get("outputs", []) + filled.get("outputs_no_cache", [])
        entries[command["name"]] = {
            "cmd": f"python -m weasel run {command['name']}",
            "script": filled["script"],
            "deps": [entry(playground.root, path) for path in filled.get("deps", [])],
            "outs": [entry(playground.root, path) for path in paths],
        }
    playground.write({"project.lock": yaml.safe_dump(entries, sort_keys=False)})


def entry(root: Path, path: str) -> dict[str, str | None]:
    return {"path": path, "md5": weasel_checksum(root / path)}


def test_what_weasel_has_done_is_taken_over_once_with_a_line_that_says_so(
    done: Playground, capsys: pytest.CaptureFixture[str]
) -> None:
    done.capture.readouterr()
    assert done.actions() == {"first": "skip", "folder": "skip", "second": "skip", "show": "run"}
    assert not (done.root / ".dvc").exists()

    from frostline.runner.cli.main import dispatch

    dispatch(["run", "all", "--project", str(done.root)])
    said = done.capture.readouterr().err
    assert "project.lock: 3 steps are as weasel left them, and taken over as done: first, folder, second" in said
    assert done.calls() == ["shown.txt"]
    (done.root / "project.lock").unlink()

    assert done.actions() == {"first": "skip", "folder": "skip", "second": "skip", "show": "run"}


def test_dvc_finds_it_up_to_date_and_the_store_has_it(done: Playground, tmp_path: Path) -> None:
    done.project("run", "first", "folder")
    environ = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
    dvc = Path(sys.executable).with_name("dvc")
    said = subprocess.run(
        [dvc, "status", "first", "folder"], cwd=done.root, env=environ, capture_output=True, text=True, check=True
    )
    (done.root / "made" / "first.txt").unlink()

    assert "up to date" in said.stdout
    assert done.actions("first") == {"first": "restore"}


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (lambda root: (root / "source.txt").write_text("new\n"), "first folder second"),
        (lambda root: (root / "tree" / "deep" / "a.txt").write_text("new\n"), "folder second"),
        (lambda root: (root / "me.txt").unlink(), "second"),
        (
            lambda root: (root / "project.yml").write_text(FILE.replace("copy.py copy.py", "copy.py ./copy.py")),
            "folder",
        ),
        (lambda root: (root / "project.lock").write_text("[not: a lock"), "first folder second"),
        (lambda root: (root / "project.lock").write_text("first: {script: 1, deps: x}"), "first folder second"),
    ],
)
def test_a_step_that_is_not_as_weasel_left_it_runs(
    done: Playground, change: Callable[[Path], object], stale: str
) -> None:
    change(done.root)

    actions = done.actions()

    running = [name for name in ("first", "folder", "second") if actions[name] != "skip"]
    assert set(stale.split()) <= set(running) <= {*stale.split(), "second"}


WEASEL = os.environ.get("FROSTLINE_WEASEL_PYTHON", "")


@pytest.mark.skipif(not WEASEL, reason="FROSTLINE_WEASEL_PYTHON names no Python that has weasel")
def test_what_the_real_weasel_ran_is_taken_over(playground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHO_IS_IT", "me")
    playground.write({"project.yml": FILE, "source.txt": "s\n"})
    subprocess.run([WEASEL, "-P", "-m", "weasel", "run", "all"], cwd=playground.root, check=True, capture_output=True)
    assert len(playground.calls()) == 5

    playground.project("run", "all")

    assert playground.calls() == ["shown.txt"]


def test_a_folders_checksum_is_that_of_its_files_in_a_row(tmp_path: Path) -> None:
    for name, text in (("b", "2"), ("a/z", "1"), ("c/a", "3")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    assert weasel_checksum(tmp_path) == hashlib.md5(b"123").hexdigest()
    assert weasel_checksum(tmp_path / "none") is None


def test_why_says_what_keeps_weasels_lock_from_counting(done: Playground) -> None:
    text = FILE.replace("copy.py source.txt made", "copy.py ./source.txt made")
    done.write({"source.txt": "new\n", "project.yml": text})

    told = done.project("why", "first")

    assert "weasel ran it, as project.lock says, but its script is another" in told
    assert "weasel ran it, as project.lock says, but its deps are not as they were" in told
    assert "outputs" not in told
