"""Projects to start from: what ships, what a new folder gets, and that nothing of the user's is overwritten."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from frostline.errors import UsageError
from frostline.runner.cli.main import dispatch
from frostline.runner.furnishing.documenting import merged
from frostline.runner.furnishing.templates import SHIPPED, shipped_files, shipped_names
from frostline.runner.project.expand import expand
from frostline.runner.project.parse import parse_spec

from .conftest import Playground

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", shipped_names())
def test_a_new_project_is_ready_to_plan(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dispatch(["init", "new", "--template", name, "-C", str(tmp_path)])
    written = capsys.readouterr().out.split()

    assert {"new/project.yml", "new/.gitignore", "new/.dvcignore"} <= set(written)
    assert all((tmp_path / path).is_file() for path in written)
    dispatch(["run", "all", "--dry", "-C", str(tmp_path / "new")])
    assert "0 up to date" in capsys.readouterr().out
    dispatch(["document", "-C", str(tmp_path / "new")])
    dispatch(["document", "--check", "-C", str(tmp_path / "new")])


@pytest.mark.parametrize("name", ["blank", "hello"])
def test_the_small_templates_run_and_repeat_to_the_byte(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dispatch(["init", "-C", str(tmp_path), "--template", name])
    dispatch(["run", "all", "-C", str(tmp_path)])
    capsys.readouterr()

    dispatch(["run", "all", "-C", str(tmp_path)])
    assert "up to date: nothing to run" in capsys.readouterr().out
    dispatch(["verify", "all", "-C", str(tmp_path)])
    assert "differ" not in capsys.readouterr().out.replace("different:", "")


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n.venv/")
    dispatch(["init", "-q", "-C", str(tmp_path)])
    assert (tmp_path / ".gitignore").read_text() == "mine\n.venv/\n__pycache__/\n*.pyc\n"
    before = (tmp_path / "project.yml").read_text()
    (tmp_path / ".dvcignore").unlink()

    with pytest.raises(UsageError, match=r"there is already: project\.yml"):
        dispatch(["init", "-q", "-C", str(tmp_path), "--template", "hello"])

    assert (tmp_path / "project.yml").read_text() == before
    assert not (tmp_path / ".dvcignore").exists() and not (tmp_path / "scripts").exists()


def test_an_unknown_template_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        dispatch(["init", "-C", str(tmp_path), "--template", "helo"])

    assert caught.value.fix == "Did you mean 'hello'?"


def test_the_wheel_has_every_file_of_every_template(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, tmp_path)
    package = SHIPPED.parents[2]
    (tmp_path / "src/frostline").mkdir(parents=True)
    shutil.copy(package / "__init__.py", tmp_path / "src/frostline")
    shutil.copytree(package / "runner", tmp_path / "src/frostline/runner")

    program = "from setuptools import build_meta; build_meta.build_wheel('out')"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, timeout=120)

    (wheel,) = (tmp_path / "out").glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {one.source.relative_to(package.parent).as_posix() for name in shipped_names()
              for one in shipped_files(name)}  # fmt: skip
    assert wanted - packed == set() and len(wanted) > 10


DESCRIBED = """
title: A title
description: What it is
vars: {x: 1}
assets:
  - {dest: a.txt, url: "https://example.org/a|b.txt", description: "Words"}
  - {dest: b.txt, git: {repo: https://example.org/r.git, path: p}}
workflows: {all: [one, cell]}
commands:
  - {name: one, help: "Say | this", script: ["true"]}
  - {name: cell, matrix: {kind: [a, b]}, script: ["true"]}
"""


def test_a_readme_gets_a_section_and_keeps_the_rest() -> None:
    project = expand(parse_spec(DESCRIBED))

    fresh = merged("", project)
    beside = merged("# Mine\n\ntext\n", project)

    assert "# A title\n" in fresh and "| `one` | Say \\| this |" in fresh and "| `cell-<kind>` | (2 steps) |" in fresh
    assert "[example.org](https://example.org/a\\|b.txt) | Words |" in fresh
    assert "| `b.txt` | git: https://example.org/r.git (p) |" in fresh
    assert beside.startswith("# Mine\n\ntext\n\n<!-- project document: begin") and "# A title" not in beside
    changed = expand(parse_spec(DESCRIBED.replace("Words", "Other words")))
    again = merged(beside + "\nafter\n", changed)
    assert again.startswith("# Mine\n\ntext\n") and again.endswith("-->\n\nafter\n")
    assert "Other words" in again and "| Words |" not in again
    assert merged(again, changed) == again


@pytest.mark.parametrize("tool", ["WEASEL", "SPACY PROJECT"])
def test_a_section_of_weasels_or_spacys_is_replaced(tool: str) -> None:
    theirs = (
        f"before\n<!-- {tool}: AUTO-GENERATED DOCS START (do not remove) -->\n\n# old\n\n"
        f"<!-- {tool}: AUTO-GENERATED DOCS END (do not remove) -->\nafter\n"
    )

    text = merged(theirs, expand(parse_spec(DESCRIBED)))

    assert "# old" not in text and tool not in text
    assert text.startswith("before\n<!-- project document: begin") and text.endswith("end -->\nafter\n")


def test_a_readme_that_is_behind_is_noticed(chain: Playground) -> None:
    with pytest.raises(SystemExit) as caught:
        chain.project("document", "--check")
    assert caught.value.code == 1 and not (chain.root / "README.md").exists()

    chain.project("document")
    chain.project("document", "--check")
