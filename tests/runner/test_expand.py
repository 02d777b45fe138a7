"""Filling in references, profiles and matrices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostline.errors import ProjectFileError, UsageError
from frostline.runner.project.expand import Project, expand
from frostline.runner.project.faults import Faults
from frostline.runner.project.matrix import cells
from frostline.runner.project.parse import parse_spec
from frostline.runner.project.references import Scope, shell_line, words
from frostline.runner.project.spec import Matrix

MATRIX = """
vars: {seeds: [0], lr: 1e-3, on: true, nothing: null, many: [a b, c]}
profiles:
  sample: {size: small}
  full: {size: big, seeds: [0, 1]}
workflows: {all: [train]}
commands:
  - name: train-${matrix.variant}-${matrix.seed}
    matrix:
      variant: [frozen, unfrozen]
      seed: ${vars.seeds}
      exclude: [{variant: unfrozen, seed: 1}]
      include:
        - {variant: frozen, extra: --cache}
        - {variant: unfrozen, extra: ""}
    script: ["train ${matrix.variant} ${vars.lr} ${vars.on} ${vars.size} ${matrix.extra}"]
    outputs: ["out/${profile}/${matrix.variant}-${matrix.seed}"]
"""


def names(project: Project) -> list[str]:
    return [step.name for step in project.steps]


def test_a_matrix_makes_a_step_for_each_cell(make_spec: Callable[..., Project]) -> None:
    assert names(make_spec(MATRIX)) == ["train-frozen-0", "train-unfrozen-0"]
    assert names(make_spec(MATRIX, profile="full")) == ["train-frozen-0", "train-frozen-1", "train-unfrozen-0"]


def test_a_cell_that_matches_nothing_is_one_fault_and_not_one_for_each_use(make_spec: Callable[..., Project]) -> None:
    text = MATRIX.replace("{variant: frozen, extra", "{variant: thawed, extra").replace("${matrix.extra}", "")

    with pytest.raises(ProjectFileError) as caught:
        make_spec(text)

    assert caught.value.message == "This cell has no value for the axis 'seed' and matches no other cell."
    assert caught.value.where is not None and caught.value.where.startswith("project.yml:14:")
    assert caught.value.fix == "Give it one to make it a cell of its own, or mend variant so that it matches."


@pytest.mark.parametrize("profile", [None, "full", "narrow"])
def test_a_matrix_can_be_narrowed_and_what_was_for_other_cells_falls_away(
    make_spec: Callable[..., Project], profile: str | None
) -> None:
    text = MATRIX.replace("[frozen, unfrozen]", "${vars.variants}").replace(
        "vars: {", "vars: {variants: [frozen, unfrozen], "
    )
    text = text.replace("  full:", "  narrow: {size: big, variants: [unfrozen]}\n  full:")

    narrowed = make_spec(text, profile=profile, overrides=None if profile == "narrow" else {"variants": ["unfrozen"]})

    assert names(narrowed) == ["train-unfrozen-0"]


def test_a_slip_in_include_is_a_fault_however_narrow_the_matrix_is(make_spec: Callable[..., Project]) -> None:
    text = MATRIX.replace("{variant: frozen, extra", "{variant: thawed, extra").replace("${matrix.extra}", "")

    with pytest.raises(ProjectFileError, match="no value for the axis 'seed'"):
        make_spec(text, overrides={"seeds": [7]})


def test_an_entry_for_a_cell_of_another_profile_is_no_slip(make_spec: Callable[..., Project]) -> None:
    text = MATRIX.replace("{variant: frozen, extra", "{seed: 1, more: x}\n        - {variant: frozen, extra")

    assert names(make_spec(text)) == ["train-frozen-0", "train-unfrozen-0"]
    assert names(make_spec(text, profile="full")) == ["train-frozen-0", "train-frozen-1", "train-unfrozen-0"]
    with pytest.raises(ProjectFileError, match="no value for the axis 'variant'"):
        make_spec(text.replace("seeds: [0, 1]", "seeds: [0, 2]"))


def test_a_cell_of_its_own_stays_and_an_addition_to_a_cell_makes_none(make_spec: Callable[..., Project]) -> None:
    own, addition = "{variant: linear, seed: 5, extra: own}", "{variant: frozen, seed: 1, extra: --long}"
    text = MATRIX.replace(
        "{variant: frozen, extra: --cache}",
        f"{{variant: frozen, extra: --cache}}\n        - {own}\n        - {addition}",
    )

    narrowed = make_spec(text, profile="full", overrides={"seeds": [0]})

    assert names(narrowed) == ["train-frozen-0", "train-unfrozen-0", "train-linear-5"]
    assert narrowed.steps[0].script == ("train frozen 0.001 true big --cache",)
    assert make_spec(text, profile="full").steps[1].script == ("train frozen 0.001 true big --long",)


def test_a_cell_that_no_entry_gives_a_value_is_named(make_spec: Callable[..., Project]) -> None:
    text = MATRIX.replace("[frozen, unfrozen]", "${vars.variants}").replace(
        "vars: {", "vars: {variants: [frozen, unfrozen], "
    )

    with pytest.raises(ProjectFileError) as caught:
        make_spec(text, overrides={"variants": ["frozn"]})

    assert caught.value.message == "The cell variant: frozn, seed: 0 has no 'extra'."
    assert caught.value.where is not None and caught.value.where.startswith("project.yml:16:")
    assert caught.value.fix is not None and "'include' gives it to other cells only" in caught.value.fix


def test_values_keep_their_form_in_a_command(make_spec: Callable[..., Project]) -> None:
    frozen, unfrozen = make_spec(MATRIX).steps

    assert frozen.script == ("train frozen 0.001 true small --cache",)
    assert unfrozen.script == ("train unfrozen 0.001 true small",)
    assert frozen.outputs == (PurePosixPath("out/sample/frozen-0"),)
    assert dict(frozen.variables) == {"lr": "0.001", "on": "true", "size": "small"}


def test_an_override_wins_over_the_profile(make_spec: Callable[..., Project]) -> None:
    project = make_spec(MATRIX, profile="full", overrides={"size": "huge", "seeds": [7]})

    assert names(project) == ["train-frozen-7", "train-unfrozen-7"]
    assert "huge" in project.steps[0].script[0]


def test_an_unknown_profile_or_variable_is_a_usage_error(make_spec: Callable[..., Project]) -> None:
    with pytest.raises(UsageError) as caught:
        make_spec(MATRIX, profile="ful")
    assert caught.value.fix == "Did you mean 'full'?"
    with pytest.raises(UsageError) as caught:
        make_spec(MATRIX, overrides={"sieds": 1})
    assert caught.value.fix == "Did you mean 'seeds'?"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("script: ['a ${vars.sieds}']", "Unknown variable 'sieds'. Did you mean 'seeds'?"),
        ("script: ['a ${var.seeds}']", "Unknown reference 'var.seeds'. Did you mean 'vars.seeds'?"),
        ("script: ['a ${matrix.x}']", "stands in a command without a matrix"),
        ("script: ['a ${env.X}']", "Unknown environment variable 'X'"),
        ("script: ['a ${HOME}']", "Unknown reference 'HOME'"),
        ("script: ['a ${vars.circle}']", "refers to itself"),
        ('script: ["a \'b"]', "can't be split into words"),
        ("outputs: [../x], shell: true", "lies outside the project"),
        ("outputs: [/x], shell: true", "lies outside the project"),
        ("outputs: [.]", "'.' is the project's own folder"),
        ("outputs: [x/..]", "'.' is the project's own folder"),
        ("outputs: [o], checkpoint: [.]", "'.' is the project's own folder"),
        ("outputs: [project.yml]", "'project.yml' is where the project itself is kept"),
        ("outputs: [.dvc/cache]", "'.dvc/cache' is where the project itself is kept"),
        ("outputs_no_cache: [.git]", "'.git' is where the project itself is kept"),
        ("metrics: [dvc.lock]", "'dvc.lock' is where the project itself is kept"),
        ("outputs: [ledger], shell: true", "'ledger' is where the project itself is kept"),
        ("timeout_s: -1", "'timeout_s' must be a number of seconds above 0"),
        ("retries: 1.5", "'retries' must be a whole number"),
        ("resources: {cpus: many}", "'cpus' must be a whole number"),
        ("outputs: [o], checkpoint: [o/c]", "lies in an output"),
    ],
)
def test_faults_of_references_have_a_message(make_spec: Callable[..., Any], command: str, message: str) -> None:
    text = f"vars: {{seeds: [0], circle: '${{vars.circle}}'}}\ncommands: [{{name: a, {command}}}]"

    with pytest.raises(ProjectFileError) as caught:
        make_spec(text)

    assert message in f"{caught.value.message} {caught.value.fix}"
    assert caught.value.where is not None and caught.value.where.startswith("project.yml:2:")


def test_outputs_must_carry_the_profile_when_there_are_several(make_spec: Callable[..., Any]) -> None:
    text = "profiles: {a: {x: 1}, b: {}}\nvars: {x: 2}\ncommands: [{name: c, outputs: [%s]}]"

    with pytest.raises(ProjectFileError, match="profiles would disturb each other"):
        make_spec(text % "out")
    make_spec(text % "'out/${profile}'")
    make_spec(text % "'out-${vars.x}'")
    make_spec((text % "out").replace("name: c", "name: c, profile: a"))


def test_fetch_is_there_when_the_profile_has_assets(make_spec: Callable[..., Any]) -> None:
    text = """
profiles: {sample: {}, ewt: {}}
assets:
  - {dest: "assets/${profile}/x", url: "http://h/x", profile: ewt}
  - {dest: "assets/${profile}/private", profile: ewt}
  - {dest: "assets/${profile}/more", url: "http://h/more", profile: ewt, extra: true}
workflows: {all: [fetch]}
"""

    (fetch,) = make_spec(text, profile="ewt").steps

    assert fetch.script == ("project assets --profile ewt",)
    assert fetch.outputs == (PurePosixPath("assets/ewt/x"),)
    assert make_spec(text).steps == ()


def test_a_shell_line_keeps_its_own_variables(make_spec: Callable[..., Any]) -> None:
    text = "vars: {x: 1}\ncommands: [{name: a, shell: true, script: ['echo ${HOME} ${vars.x} $${vars.x}']}]"

    (step,) = make_spec(text).steps

    assert step.script == ("echo ${HOME} 1 ${vars.x}",)


def test_commands_of_ours_require_the_packages_they_compute_with(make_spec: Callable[..., Any]) -> None:
    text = "commands: [{name: a, script: [frostline train x]}, {name: b, script: [python x.py]}]"

    a, b = make_spec(text).steps

    assert a.requires == ("frostline", "torch", "thinc", "transformers", "tokenizers")
    assert b.requires == ()


@given(st.lists(st.integers(0, 3), max_size=3, unique=True), st.lists(st.sampled_from("abc"), max_size=3, unique=True))
def test_the_cells_of_a_matrix_are_the_product_less_the_excluded(numbers: list[int], letters: list[str]) -> None:
    matrix = Matrix(axes={"n": numbers, "l": letters}, exclude=({"n": 0, "l": "a"},))
    faults = Faults("f")

    found = cells(matrix, Scope(faults, variables={}, env={}, profile="p"))

    expected = [(n, c) for n in numbers for c in letters if (n, c) != (0, "a")]
    assert [(cell["n"], cell["l"]) for cell in found] == expected
    assert faults.found == []


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\n{}$"), max_size=20))
def test_any_variable_reaches_a_quoted_command_word_whole(value: str) -> None:
    import shlex

    spec = parse_spec("vars: {x: 1}\ncommands: [{name: a, script: [\"echo '${vars.x}'\"]}]")
    if "'" in value or "\r" in value or "\x85" in value:
        return

    (step,) = expand(spec, overrides={"x": value}).steps

    assert words(step.script[0], {}) == ["echo", value]
    assert shlex.split(shell_line(step.script[0], shell=False)) == ["echo", value]


def test_an_environment_reference_alone_is_split_and_in_quotes_is_whole() -> None:
    environ = {"A": "x y", "E": ""}

    assert words("c ${env.A} 'q${env.A}' p-${env.A} ${env.E}", environ) == ["c", "x", "y", "qx y", "p-x y"]
    assert shell_line("c ${env.A} 'q ${env.A}'", shell=False) == "c $A 'q '\"$A\""
