"""Values from the command line: what they may name, how they are read, and that they arrive."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from frostline.errors import UsageError
from frostline.runner.cli.options import _value
from frostline.runner.project.overrides import setting_of

from .conftest import Playground

TEXT = """
vars: {lr: 0.1, model: {width: 8, deep: {n: 1}}}
commands:
  - {name: show, script: ["echo ${vars.lr} ${vars.model.width} ${vars.model.deep.n} ${vars.given}"]}
"""


def line_of(make_spec: Callable[..., Any], **overrides: Any) -> str:
    (step,) = make_spec(TEXT, overrides={"given": "x", **overrides}).steps
    return str(step.script[0])


def test_a_dotted_name_reaches_into_a_mapping(make_spec: Callable[..., Any]) -> None:
    assert line_of(make_spec, **{"model.width": 16, "model.deep.n": 2}) == "echo 0.1 16 2 x"


def test_a_name_that_only_a_reference_asks_for_is_taken(make_spec: Callable[..., Any]) -> None:
    assert line_of(make_spec, given="y") == "echo 0.1 8 1 y"


@pytest.mark.parametrize(
    ("name", "message", "fix"),
    [
        ("lrr", "There is no variable 'lrr' in project.yml.", "Did you mean 'lr'?"),
        ("model.wdth", "There is no variable 'model.wdth' in project.yml.", "Did you mean 'model.width'?"),
        ("modl.width", "'modl.width' names no variable: 'modl' is not there.", "Did you mean 'model'?"),
        ("lr.x", "'lr.x' names no variable: 'lr' is no mapping.", "Did you mean 'lr'?"),
    ],
)
def test_a_slip_is_told_with_the_nearest_name(make_spec: Callable[..., Any], name: str, message: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        line_of(make_spec, **{name: 1})

    assert (caught.value.message, caught.value.fix) == (message, fix)


@pytest.mark.parametrize(
    "value", ["a", "007", "1e5", "true", "", "a: b", "[x", "${vars.x}", 3, 0.5, True, None, [1], {"a": 1}]
)
def test_a_setting_is_read_back_as_the_very_value(value: Any) -> None:
    name, _, text = setting_of("x", value).partition("=")

    assert name == "vars.x"
    assert _value(text) == value


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--vars.lr", "0.5", "--vars.given", "007"], "echo 0.5 8 1 007"),
        (["--vars.lr=0.5", "--vars.given=[a, b]"], "echo 0.5 8 1 [a, b]"),
        (["--vars.given", "--vars.lr", "1"], "echo 1 8 1 true"),
        (["--vars.lr", "1", "--vars.given"], "echo 1 8 1 true"),
        (["--set", "vars.given=[a, b]", "--vars.model.width", "-1"], 'echo 0.1 -1 1 ["a", "b"]'),
    ],
)
def test_words_of_the_command_line_are_read_as_weasel_reads_them(
    playground: Playground, words: list[str], line: str
) -> None:
    playground.write({"project.yml": TEXT})

    (step,) = json.loads(playground.project("render", "--json", *words))

    assert step["script"] == [line]


def test_weasels_variable_of_the_environment_wins(playground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    playground.write({"project.yml": TEXT})
    monkeypatch.setenv("WEASEL_CONFIG_OVERRIDES", "--vars.given 'from here' --vars.lr 2")

    (step,) = json.loads(playground.project("render", "--json", "--vars.lr", "3"))

    assert step["script"] == ["echo 2 8 1 from here"]
