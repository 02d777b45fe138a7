"""dvc.yaml beside what others keep in it: faults are told before a step starts, and their layout stays."""

from __future__ import annotations

import pytest

from frostline.errors import StoreError

from .conftest import Playground


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("stages: [1]\n", "'stages' must be a mapping", 1),
        ("stages: 3\n", "'stages' must be a mapping", 1),
        ("x-a: 1\nstages:\n  a: {cmd: x}\n  b: 3\n", "the stage 'b' must be a mapping", 4),
        ("plots: {a: 1}\n", "'plots' must be a list", 1),
        ("stages:\n  a: {cmd: x, meta: {frostline: {plots: 3}}}\n", "'meta' of the stage 'a'", 2),
        ("stages:\n  first: {cmd: theirs}\n", "already has a stage 'first' that is not ours", 2),
        ("stages: {\n", "can't be read", 2),
    ],
)
@pytest.mark.parametrize("verb", ["run", "status"])
def test_a_spoilt_dvc_yaml_is_told_before_any_step_starts(
    chain: Playground, verb: str, text: str, message: str, line: int
) -> None:
    chain.write({"dvc.yaml": text})

    with pytest.raises(StoreError, match=message) as caught:
        chain.project(verb, "all")

    assert chain.calls() == []
    assert caught.value.where == f"{chain.root}/dvc.yaml:{line}" and caught.value.fix


def test_a_stage_of_anothers_that_comes_later_is_told_too(chain: Playground) -> None:
    chain.write({"dvc.yaml": "stages:\n  mine: {cmd: x}\n"})
    chain.project("run", "first")
    chain.calls()
    text = chain.read("project.yml")
    chain.write({"project.yml": text.replace("first, second,", "first, mine,").replace("name: second", "name: mine")})

    with pytest.raises(StoreError, match="stage 'mine' that is not ours"):
        chain.project("status", "mine")


def test_a_stage_of_anothers_may_have_any_meta(chain: Playground) -> None:
    chain.write({"dvc.yaml": "stages:\n  theirs: {cmd: x, meta: 3}\n"})

    chain.project("run", "all")

    assert "theirs: {cmd: x, meta: 3}" in chain.read("dvc.yaml")


INDENTED = """# Ours since 2019.
stages:
    theirs:
        cmd: make "it"   # by hand
        deps:
          - one.txt
          - {two.txt: {cache: false}}
        outs:
          - out.bin
metrics:
  - m.json
"""
FLAT = """stages:
  theirs:
    cmd: make 'it'
    deps:
    - one.txt
    outs:
    - out.bin:
        cache: false
"""


@pytest.mark.parametrize("text", [INDENTED, FLAT], ids=["indented", "flat"])
def test_the_layout_of_foreign_stages_stays(chain: Playground, text: str) -> None:
    chain.write({"dvc.yaml": text})

    chain.project("run", "all")
    chain.write({"source.txt": "new"})
    chain.project("run", "all")

    now = chain.read("dvc.yaml")
    assert "first:" in now
    kept = [line for line in text.splitlines() if line not in now.splitlines()]
    assert kept == []
