"""The pages' examples are carried out: files are written, commands run, and what they print is compared.

A block whose fence names a file (```yaml project.yml) is that file. A `console` block holds commands after `$`, and
what they print; `…` stands for any text in a line, alone on a line for any lines. `<!-- afresh -->` begins an empty
folder.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("runner.md", "dvc.md", "migration.md")
BLOCK = re.compile(r"^```(\w+)(?: +(\S+))?\n(.*?)^```$|^<!-- afresh -->$", re.DOTALL | re.MULTILINE)
EXITS = re.compile(r"\s+# exits with (\d+)$")


def environ(folder: Path) -> dict[str, str]:
    """The caller's environment, git and dvc made independent of the machine."""
    settings = {"user.name": "a", "user.email": "a@b", "init.defaultBranch": "main", "advice.detachedHead": "false"}
    pairs = {f"GIT_CONFIG_{kind}_{number}": text for number, pair in enumerate(settings.items())
             for kind, text in zip(("KEY", "VALUE"), pair, strict=True)}  # fmt: skip
    return {
        **os.environ, **pairs, "GIT_CONFIG_COUNT": str(len(settings)), "DVC_NO_ANALYTICS": "1", "NO_COLOR": "1",
        "DVC_SITE_CACHE_DIR": str(folder / "site"), "COLUMNS": "200",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip


def commands(block: str) -> list[tuple[str, int, list[str]]]:
    """(command, exit code, expected lines) of a console block."""
    found: list[tuple[str, int, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            exits = EXITS.search(line)
            found.append((EXITS.sub("", line[2:]), int(exits[1]) if exits else 0, []))
        elif found:
            found[-1][2].append(line)
    return found


def pattern(lines: list[str]) -> re.Pattern[str]:
    """Expected lines as a regular expression."""
    parts = [r"(?:.*\n)*?" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + "\n" for line in lines]
    return re.compile("".join(parts))


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_do_what_it_says(page: str, tmp_path: Path) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    folder, number = tmp_path / "0" / "project", 0
    folder.mkdir(parents=True)
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        language, name, block = match.groups()
        if language is None:
            number += 1
            folder = tmp_path / str(number) / "project"
            folder.mkdir(parents=True)
        elif name is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(block, encoding="utf-8")
        elif language == "console":
            for command, code, expected in commands(block):
                done = subprocess.run(
                    ["bash", "-c", command], cwd=folder, env=environ(folder.parent), text=True, timeout=120,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                )  # fmt: skip
                assert done.returncode == code, f"{page}:{line}: {command}\n{done.stdout}"
                printed = done.stdout if done.stdout.endswith("\n") or not done.stdout else done.stdout + "\n"
                if expected:
                    assert pattern(expected).fullmatch(printed), f"{page}:{line}: {command}\n{printed}"
