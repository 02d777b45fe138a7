"""The public project files of explosion/projects: every one is read, rendered and planned as it stands.

They are not part of this repository: FROSTLINE_EXPLOSION_PROJECTS names a checkout. With weasel in the environment
of the Python that FROSTLINE_WEASEL_PYTHON names, every rendered line is compared with weasel's own.
"""

from __future__ import annotations

import json
import os
import posixpath
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.runner.json_schema import faults_of

from frostline.runner.cli.main import dispatch
from frostline.runner.project.expand import expand
from frostline.runner.project.parse import read_spec
from frostline.runner.project.schema import project_schema
from frostline.runner.project.yaml_places import load_plain

CHECKOUT = os.environ.get("FROSTLINE_EXPLOSION_PROJECTS", "")
WEASEL = os.environ.get("FROSTLINE_WEASEL_PYTHON", "")
FILES = sorted(Path(CHECKOUT).rglob("project.yml")) if CHECKOUT else []

pytestmark = pytest.mark.skipif(not CHECKOUT, reason="FROSTLINE_EXPLOSION_PROJECTS names no checkout")

RENDER = """
import json, sys
import srsly
from weasel.util.config import substitute_project_variables
found = {}
for name in sys.argv[1:]:
    found[name] = substitute_project_variables(srsly.read_yaml(name))
print(json.dumps(found))
"""
PATHS = ("deps", "outputs", "outputs_no_cache")


def name_of(path: Path) -> str:
    return str(path.parent.relative_to(CHECKOUT)) if isinstance(path, Path) else str(path)


def test_there_are_some() -> None:
    assert len(FILES) >= 51


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_read_and_every_workflow_and_step_is_rendered_and_planned(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = read_spec(path)
    assert spec.weasel_only and spec.warnings == ()
    assert faults_of(load_plain(path.read_text(encoding="utf-8")), project_schema()) == []
    before = sorted(path.parent.rglob("*"))

    names = [*spec.workflows, *(command.name for command in spec.commands)]
    for name in names:
        dispatch(["run", name, "--dry", "--json", "--project", str(path.parent)])
        decisions = json.loads(capsys.readouterr().out)
        assert {decision["step"] for decision in decisions} >= set(spec.workflows.get(name, [name]))
    dispatch(["render", "--json", "--project", str(path.parent)])

    assert {step["name"] for step in json.loads(capsys.readouterr().out)} >= {str(c.name) for c in spec.commands}
    assert sorted(path.parent.rglob("*")) == before


@pytest.fixture(scope="module")
def weasels() -> dict[str, Any]:
    """What weasel makes of each file."""
    if not WEASEL:
        pytest.skip("FROSTLINE_WEASEL_PYTHON names no Python that has weasel")
    done = subprocess.run([WEASEL, "-c", RENDER, *map(str, FILES)], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_lines_paths_and_sources_are_weasels(path: Path, weasels: dict[str, Any]) -> None:
    project = expand(read_spec(path), environ={})
    theirs = weasels[str(path)]
    steps = {step.name: step for step in project.steps}

    for command in theirs.get("commands", ()):
        step = steps[command["name"]]
        assert list(step.script) == [line.strip() for line in command["script"] if line.strip()]
        assert step.help == (command.get("help") or "")
        for key in PATHS:
            assert fused(map(str, getattr(step, key))) == fused(map(posixpath.normpath, command.get(key, ())))
    for asset, other in zip(project.assets, theirs.get("assets", ()), strict=True):
        assert str(asset.dest) == posixpath.normpath(other["dest"])
        assert list(asset.urls) == ([other["url"]] if other.get("url") else [])
        assert asset.md5 == other.get("checksum")
        if "git" in other:
            assert asset.git is not None
            assert (asset.git.repo, asset.git.branch) == (other["git"]["repo"], other["git"].get("branch"))
            assert asset.git.path == other["git"]["path"]
    assert list(map(str, project.directories)) == list(dict.fromkeys(map(posixpath.normpath, theirs["directories"])))
    assert (project.title, project.description) == (theirs["title"], theirs.get("description", ""))


def fused(paths: Any) -> list[str]:
    """confection 1.3 makes one text of two references that follow each other in a list: `a, b`."""
    return list(dict.fromkeys(", ".join(paths).split(", ")))
