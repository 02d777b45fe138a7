"""The project against a git revision; and the workflow for continuous integration, played through."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from frostline.errors import UsageError
from frostline.runner.furnishing.templates import SHIPPED

from .conftest import Playground
from .test_dvc_oracle import DVC

REPOSITORY = Path(__file__).resolve().parents[2]
needs_dvc = pytest.mark.skipif(not DVC.exists(), reason="dvc is not installed")

PROJECT = """
remotes: {default: ../remote}
vars: {n: 1}
workflows: {all: [make, score, other]}
commands:
  - name: make
    script: ["python copy.py source.txt made.txt"]
    deps: [copy.py, source.txt]
    outputs: [made.txt]
  - name: score
    script: ["python score.py ${vars.n}"]
    deps: [score.py, made.txt]
    outputs: [scores]
    outputs_no_cache: [tracked.json]
    metrics: [scores/inner.json, tracked.json]
    requires: [pytest]
  - name: other
    script: ["python copy.py copy.py other.txt"]
    deps: [copy.py]
    outputs: [other.txt]
profiles: {only: {}}
"""
SCORE = """import json, pathlib, sys
n = int(sys.argv[1])
pathlib.Path("scores").mkdir()
value = {"acc": 0.5 + n / 10, "acc/x": n, "name": "x", "n": len(pathlib.Path("made.txt").read_text())}
pathlib.Path("scores/inner.json").write_text(json.dumps(value))
pathlib.Path("tracked.json").write_text(json.dumps({"same": 1, "deep": {"n": n}}))
"""


def git(ground: Playground, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=ground.root, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def ground(playground: Playground) -> Playground:
    """A project in git that has run, and committed its ledger."""
    playground.write({"project.yml": PROJECT, "score.py": SCORE, "source.txt": "one\n", ".gitignore": "calls.txt\n"})
    for words in (["init", "-q", "-b", "main"], ["config", "user.email", "a@b"], ["config", "user.name", "a"]):
        git(playground, *words)
    playground.project("run", "all")
    git(playground, "add", "-A")
    git(playground, "commit", "-qm", "first")
    return playground


def changes(ground: Playground, *words: str) -> dict[str, tuple[str, str]]:
    """step -> (change, first reason)."""
    rows = json.loads(ground.project("diff", *words, "--json"))["steps"]
    return {row["step"]: (row["change"], row["reasons"][0]) for row in rows}


def test_nothing_differs_from_the_commit_that_was_just_made(ground: Playground) -> None:
    assert ground.project("diff").startswith("no step is other than in HEAD (")
    assert json.loads(ground.project("diff", "main", "--json"))["steps"] == []


def test_steps_and_metrics_that_differ_are_told_with_their_causes(ground: Playground) -> None:
    ground.project("run", "all", "--set", "vars.n=3")
    ground.write({"project.yml": PROJECT.replace("n: 1", "n: 3").split("  - name: other")[0].replace(", other]", "]")
                  + "profiles: {only: {}}\n"})  # fmt: skip

    found = json.loads(ground.project("diff", "main", "--json"))

    assert {row["step"]: (row["change"], row["reasons"][0]) for row in found["steps"]} == {
        "score": ("changed", "command changed"),
        "other": ("removed", "is no more in the project file"),
    }
    assert [(row["path"], row["metric"], row["old"], row["new"]) for row in found["metrics"]] == [
        ("scores/inner.json", "acc", 0.6, 0.8),
        ("tracked.json", "deep.n", 1, 3),
    ]
    said = ground.project("diff", "main", "--markdown")
    assert "| scores/inner.json | acc | 0.6 | 0.8 | +0.2 |" in said.splitlines()
    everything = json.loads(ground.project("diff", "main", "--all", "--json"))["metrics"]
    assert [row["metric"] for row in everything] == ["acc", "acc/x", "name", "n", "same", "deep.n"]


def test_what_was_changed_and_not_run_yet_is_stale(ground: Playground) -> None:
    ground.write({"score.py": SCORE + "# more\nx = 1\n"})

    assert changes(ground)["score"][0] == "stale"


def test_no_data_is_needed_but_the_metrics_files(ground: Playground) -> None:
    git(ground, "checkout", "-qb", "work")
    ground.write({"source.txt": "other text\n"})
    ground.project("run", "all")
    git(ground, "add", "-A")
    git(ground, "commit", "-qm", "second")
    clone = Playground(ground.root.parent / "clone", ground.capture)
    git(ground, "clone", "-q", ".", str(clone.root))

    found = json.loads(clone.project("diff", "HEAD^", "--json"))

    assert {row["step"]: row["change"] for row in found["steps"]} == {"make": "changed", "score": "changed"}
    assert found["not_at_hand"] == ["scores/inner.json"]


def test_a_revision_that_is_none_is_refused(ground: Playground) -> None:
    with pytest.raises(UsageError, match="git knows no revision 'nope'"):
        ground.project("diff", "nope")
    shutil.rmtree(ground.root / ".git")
    with pytest.raises(UsageError, match="in no git repository"):
        ground.project("diff")


def test_the_workflow_is_the_same_in_docs_and_templates() -> None:
    text = (REPOSITORY / "docs/github-actions.yml").read_text(encoding="utf-8")

    copies = list(SHIPPED.rglob("_github/workflows/project.yml"))

    assert len(copies) == 2 and all(copy.read_text(encoding="utf-8") == text for copy in copies)


@needs_dvc
def test_the_workflow_played_through(ground: Playground, tmp_path: Path) -> None:
    """A pull request changes a variable: one step runs, the ledger is pushed, the summary has the metrics."""
    ground.project("push", "-q")
    git(ground, "add", "-A")
    git(ground, "commit", "-qm", "remote")
    git(ground, "init", "-q", "--bare", str(tmp_path / "hub.git"))
    git(ground, "push", "-q", str(tmp_path / "hub.git"), "main")
    git(ground, "checkout", "-qb", "request")
    ground.write({"project.yml": PROJECT.replace("n: 1", "n: 3")})
    git(ground, "commit", "-qam", "three")
    git(ground, "push", "-q", str(tmp_path / "hub.git"), "request")
    runner = Playground(tmp_path / "runner", ground.capture)
    git(ground, "clone", "-q", "-b", "request", str(tmp_path / "hub.git"), str(runner.root))
    summary = tmp_path / "summary.md"
    environ = {
        **os.environ, "BASE": "origin/main", "GITHUB_STEP_SUMMARY": str(summary), "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    said = {}

    job = yaml.safe_load((REPOSITORY / "docs/github-actions.yml").read_text(encoding="utf-8"))["jobs"]["run"]
    for step in job["steps"]:
        if "run" in step and step["name"] != "Install":
            done = subprocess.run(
                ["bash", "-eo", "pipefail", "-c", step["run"]],
                cwd=runner.root,
                env=environ,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, (step["name"], done.stdout, done.stderr)
            said[step["name"]] = done.stdout

    assert said["What changed, by the ledger alone"].startswith("run     score  command changed")
    assert said["Run what changed"].startswith("1 step ran")
    assert "| scores/inner.json | acc | 0.6 | 0.8 | +0.2 |" in summary.read_text().splitlines()
    git(ground, "fetch", "-q", str(tmp_path / "hub.git"), "request")
    assert sorted(git(ground, "diff", "--name-only", "HEAD", "FETCH_HEAD").split()) == [
        "dvc.lock", "dvc.yaml", "tracked.json",
    ]  # fmt: skip
