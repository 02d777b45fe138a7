"""A step that writes into another's output is named, once, when the run ends."""

from __future__ import annotations

import pytest

from frostline.runner.cli.main import dispatch

from .conftest import Playground

PROJECT = """
profiles: {p: {}}
commands:
  - {name: a, script: [python copy.py copy.py made.txt, python copy.py copy.py folder/x], outputs: [made.txt, folder]}
  - {name: b, script: [python WRITE], outputs: [b.txt]}
  - {name: c, script: ["python -c \\"open('c.txt', 'w')\\""], outputs: [c.txt]}
workflows: {all: [a, b, c]}
"""


def hear(ground: Playground) -> list[str]:
    """The warnings of a run."""
    ground.capture.readouterr()
    dispatch(["run", "all", "--project", str(ground.root)])
    return [line for line in ground.capture.readouterr().err.splitlines() if line.startswith("warning")]


@pytest.mark.parametrize("path", ["made.txt", "folder/y", "folder/x"])
def test_who_changed_anothers_output_is_said_once(playground: Playground, path: str) -> None:
    playground.write({"project.yml": PROJECT.replace("WRITE", "write.py")})
    playground.write({"write.py": f"open('b.txt', 'w')\nopen('{path}', 'a').write('!')\n"})

    (warning,) = hear(playground)

    assert warning.startswith("warning: 'b'")  # starts are known to the second: the next step may be named, too
    assert warning.endswith(f" changed '{path.split('/')[0]}', which 'a' made: give each step outputs of its own")
    assert playground.actions()["a"] == "restore"


def test_nobody_is_named_where_each_keeps_to_its_own(playground: Playground) -> None:
    playground.write({"project.yml": PROJECT.replace("WRITE", "write.py"), "write.py": "open('b.txt', 'w')"})

    assert hear(playground) == []
    playground.write({"made.txt": "edited by hand", "write.py": "open('b.txt', 'w').write('x')"})
    assert hear(playground) == []
