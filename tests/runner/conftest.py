"""A small project to play with: files written from a dict, the command line called in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from frostline.runner.cli.main import dispatch

COPY = """import pathlib, sys
sources, target = sys.argv[1:-1], pathlib.Path(sys.argv[-1])
with open("calls.txt", "a") as calls:
    calls.write(str(target) + "\\n")
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text("".join(pathlib.Path(source).read_text() for source in sources))
"""

CHAIN = """
workflows:
  all: [first, second, third]
commands:
  - name: first
    script: ["python copy.py source.txt first.txt"]
    deps: [copy.py, source.txt]
    outputs: [first.txt]
  - name: second
    script: ["python copy.py first.txt second.txt"]
    deps: [copy.py, first.txt]
    outputs: [second.txt]
  - name: third
    script: ["python copy.py second.txt other.txt out/third.txt"]
    deps: [copy.py, second.txt, other.txt]
    outputs: [out]
profiles: {only: {}}
"""


@dataclass
class Playground:
    """A project folder and the command line over it."""

    root: Path
    capture: pytest.CaptureFixture[str]

    def write(self, files: dict[str, str]) -> None:
        """Write files, making their folders."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        """A file's text."""
        return (self.root / name).read_text(encoding="utf-8")

    def project(self, *words: str) -> str:
        """Call `project`; its standard output. Errors are raised."""
        self.capture.readouterr()
        dispatch([*words, "--project", str(self.root)])
        return self.capture.readouterr().out

    def decisions(self, *words: str) -> dict[str, tuple[str, list[str]]]:
        """step -> (action, reasons) by `status --json`."""
        rows: list[dict[str, Any]] = json.loads(self.project("status", "--json", *words))
        return {row["step"]: (row["action"], row["reasons"]) for row in rows}

    def actions(self, *words: str) -> dict[str, str]:
        """step -> action by `status --json`."""
        return {step: action for step, (action, _) in self.decisions(*words).items()}

    def calls(self) -> list[str]:
        """What copy.py has written since the last question, in order."""
        file = self.root / "calls.txt"
        made = file.read_text().split() if file.exists() else []
        file.unlink(missing_ok=True)
        return made


@pytest.fixture
def playground(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Playground:
    """An empty project folder with copy.py in it."""
    ground = Playground(tmp_path / "project", capsys)
    ground.write({"copy.py": COPY})
    return ground


@pytest.fixture
def chain(playground: Playground) -> Playground:
    """Three steps, each reading what the one before wrote."""
    playground.write({"project.yml": CHAIN, "source.txt": "one\n", "other.txt": "two\n"})
    return playground


@pytest.fixture
def make_spec() -> Callable[[str], Any]:
    """Parse and expand a text."""
    from frostline.runner.project.expand import expand
    from frostline.runner.project.parse import parse_spec

    return lambda text, **options: expand(parse_spec(text), **options)


def is_running(pid: int) -> bool:
    """Whether a process lives; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
