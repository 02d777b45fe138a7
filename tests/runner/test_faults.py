"""Faults of a project file that would show only later: in the ledger, in a script, or as a machine without memory."""

from __future__ import annotations

import time
from pathlib import PurePosixPath
from typing import Any

import pytest

from frostline.errors import ProjectFileError

from .conftest import Playground

OURS = "profiles: {p: {}}\n"


def faults_of(make_spec: Any, text: str) -> ProjectFileError:
    with pytest.raises(ProjectFileError) as caught:
        make_spec(text)
    return caught.value


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        ("{name: a/b, script: [x]}", "{name: a-b, script: [y]}", "a-b"),
        ('{name: "a.b", script: [x]}', '{name: "a b", script: [y]}', "a-b"),
        ('{name: "n-${matrix.v}", script: [x], matrix: {v: ["1.1", "1-1"]}}', "{name: z, script: [y]}", "n-1-1"),
    ],
)
def test_two_steps_that_the_ledger_could_not_tell_apart_are_a_fault(
    make_spec: Any, first: str, second: str, key: str
) -> None:
    error = faults_of(make_spec, f"{OURS}commands:\n  - {first}\n  - {second}\n")

    assert f"are both '{key}' in the ledger" in str(error) and "(project.yml:3:" in str(error)
    assert error.where is not None and error.where.startswith(f"project.yml:{3 if 'matrix' in first else 4}:12")


@pytest.mark.parametrize("name", [".", "..", "../x/y", "a/../b", "-h", "a\\tb", "a\\0b", "a\\x7fb"])
def test_what_is_no_name_for_a_step_is_a_fault(make_spec: Any, name: str) -> None:
    error = faults_of(make_spec, f'commands:\n  - {{name: "{name}", script: [x]}}\n')

    assert "is no name for a step" in error.message and error.where == "project.yml:2:12"


def test_other_names_are_steps(make_spec: Any) -> None:
    for name in ("a/b", "a.b", "ä ö", "train (1)", "x-", "..."):
        assert make_spec(f'commands:\n  - {{name: "{name}", script: [x]}}\n').steps[0].name == name


@pytest.mark.parametrize("values", ["[a, b]", "${vars.many}"])
def test_a_matrix_that_no_machine_could_hold_is_a_fault_before_it_is_built(make_spec: Any, values: str) -> None:
    axes = ", ".join(f'{axis}: "${{vars.many}}"' for axis in "abc") + (f', d: "{values}"' if "$" in values else "")
    many = "[" + ", ".join(map(str, range(1000))) + "]"
    began = time.monotonic()

    command = f"commands:\n  - name: x\n    script: [x]\n    matrix: {{{axes}}}\n"
    error = faults_of(make_spec, f"vars: {{many: {many}}}\n{command}")

    assert "000,000 cells: a (1,000) × b (1,000) × c (1,000)" in error.message and "100,000" in error.message
    assert error.where == "project.yml:5:13"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ('commands: [{name: a, script: [x], outputs: ["a\\0b"]}]', "This path holds a NUL", "1:45"),
        ('commands: [{name: a, script: ["x a\\0b"], outputs: [b]}]', "This command line holds a NUL", "1:31"),
        ("assets: [{dest: a, url: x}, {dest: ./a, url: y}]", "Two assets go to 'a'", "1:36"),
        ('commands: [{name: a, script: ["x ${vars.a.b"]}]', "The reference '${vars.a.b' is not closed", "1:31"),
        (OURS + 'commands: [{name: a, shell: true, script: ["x ${vars.a; ls"]}]', "is not closed", "2:44"),
    ],
)
def test_slips_are_told_where_they_stand(make_spec: Any, text: str, message: str, where: str) -> None:
    error = faults_of(make_spec, text)

    assert message in error.message and error.where == f"project.yml:{where}"


def test_what_is_no_slip_stays(make_spec: Any) -> None:
    first = '{name: a, script: ["x $${vars.a", "y ${", "z $${vars.b}"], outputs: [o]}'

    steps = make_spec(f"commands: [{first}, {{name: b, outputs: [c]}}]").steps

    assert steps[0].script == ("x ${vars.a", "y ${", "z ${vars.b}")
    assert steps[1].outputs == (PurePosixPath("c"),)


def test_a_step_that_waits_for_itself_is_a_fault(chain: Playground) -> None:
    text = chain.read("project.yml").replace("name: second", "name: second\n    wait_for: [second]")
    chain.write({"project.yml": text})

    with pytest.raises(ProjectFileError, match="'second' is to wait for itself"):
        chain.project("status")


def test_outputs_that_no_script_makes_are_a_fault(chain: Playground) -> None:
    chain.write({"project.yml": OURS + "commands: [{name: a, outputs: [b]}]"})

    with pytest.raises(ProjectFileError, match="'a' has outputs, but no script to make them"):
        chain.project("status")
