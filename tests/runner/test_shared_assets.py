"""An asset that several profiles have: one path, one entry in DVC's ledgers, and nothing fetched twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from frostline.errors import ProjectFileError

from .conftest import Playground
from .test_dvc_oracle import DVC, dvc

DIGEST = hashlib.sha256(b"words\n").hexdigest()
PROJECT = f"""
vars: {{n: 1}}
profiles: {{one: {{n: 1}}, two: {{n: 2}}, three: {{n: 3}}}}
assets:
  - {{dest: words.txt, url: sources/words.txt, sha256: {DIGEST}}}
  - {{dest: later.txt, url: sources/words.txt, profile: [two, three]}}
commands:
  - name: use
    script: ["python copy.py words.txt ${{profile}}.txt"]
    deps: [copy.py, words.txt]
    outputs: ["${{profile}}.txt"]
workflows: {{all: [use]}}
"""


@pytest.fixture
def shared(playground: Playground, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Playground]:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    playground.write({"project.yml": PROJECT, "sources/words.txt": "words\n"})
    return playground


def test_every_profile_runs_and_is_up_to_date(shared: Playground) -> None:
    for profile in ("one", "two", "three"):
        shared.project("run", "all", "--profile", profile)
        assert set(shared.actions("--profile", profile).values()) == {"skip"}

    assert shared.read("three.txt") == "words\n"
    assert shared.calls() == ["one.txt", "two.txt", "three.txt"]
    assert "fetch:" in shared.read("dvc.lock")
    assert "fetch:" not in shared.read("ledger/two/dvc.lock")  # its assets are of two ledgers


@pytest.mark.skipif(not DVC.exists(), reason="dvc is not installed")
def test_dvc_finds_one_stage_for_the_path(shared: Playground) -> None:
    for profile in ("one", "two", "three"):
        shared.project("run", "all", "--profile", profile)

    assert "up to date" in dvc(shared, "status")
    assert "up to date" in dvc(shared, "status", "ledger/two/dvc.yaml")


SOURCES = ["url: 's/${profile}'", "url: 's/${vars.n}'", "git: {repo: r, branch: '${profile}'}"]


@pytest.mark.parametrize("source", SOURCES)
def test_another_source_in_each_profile_needs_another_path(make_spec: Any, source: str) -> None:
    text = f"vars: {{n: 1}}\nprofiles: {{a: {{n: 1}}, b: {{n: 2}}}}\nassets:\n  - {{dest: x.txt, {source}}}\n"

    with pytest.raises(ProjectFileError, match="goes to the same path") as caught:
        make_spec(text)

    assert caught.value.where == "project.yml:4:12" and caught.value.fix == "Put ${profile} in its dest."
