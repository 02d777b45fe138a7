"""How a command line becomes words where values of the environment stand in it: weasel's way, ours, and a shell's."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from frostline.errors import StepFailed
from frostline.runner.project.references import shell_line, words

from .conftest import Playground

# What weasel 0.4 made of a line and a value. Left out is what it spoils: 007 becomes 7, a\\b a backspace.
BARE, INNER, QUOTED, SINGLE = "x ${env.V}", "x a${env.V}b", 'x "${env.V}"', "x '${env.V}' y"
FACTS = [
    (BARE, "a b", ["a", "b"]), (INNER, "a b", ["aa", "bb"]), (QUOTED, "a b", ["a b"]), (SINGLE, "a b", ["a b", "y"]),
    ('x "a ${env.V} b"', "a b", ["a a b b"]), ("x a\\ ${env.V}", "a b", ["a a", "b"]),
    (BARE, "", []), (INNER, "", ["ab"]), (QUOTED, "", [""]),
    (QUOTED, "it's", ["it's"]),
    (BARE, '"q r"', ["q", "r"]), (INNER, '"q r"', ["aq", "rb"]), (QUOTED, '"q r"', ["q r"]),
    (BARE, "[1, 2]", ["[1,", "2]"]), (INNER, "*", ["a*b"]), (BARE, "a#b", ["a#b"]), (INNER, "äö", ["aäöb"]),
    (BARE, " lead ", ["lead"]), (INNER, " lead ", ["a", "lead", "b"]), (QUOTED, " lead ", [" lead "]),
]  # fmt: skip
WEASEL = os.environ.get("FROSTLINE_WEASEL_PYTHON", "")


@pytest.mark.parametrize(("line", "value", "expected"), FACTS)
def test_a_line_of_weasels_falls_apart_as_weasel_lets_it(line: str, value: str, expected: list[str]) -> None:
    assert words(line, {"V": value}, as_weasel=True) == ["x", *expected]


@pytest.mark.skipif(not WEASEL, reason="FROSTLINE_WEASEL_PYTHON names no Python that has weasel")
@pytest.mark.parametrize(("line", "value", "expected"), FACTS)
def test_the_facts_are_the_real_weasels(tmp_path: Path, line: str, value: str, expected: list[str]) -> None:
    script = json.dumps("python show.py" + line[1:])
    (tmp_path / "project.yml").write_text(
        f"env: {{V: SOME_VALUE}}\nworkflows: {{all: [a]}}\ncommands: [{{name: a, script: [{script}]}}]\n"
    )
    (tmp_path / "show.py").write_text("import json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    environ = {key: text for key, text in os.environ.items() if key != "PYTHONPATH"} | {"SOME_VALUE": value}

    command = [WEASEL, "-P", "-m", "weasel", "run", "a"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True, text=True)

    assert json.loads(done.stdout.strip().splitlines()[-1]) == expected


def test_a_backslash_stays_what_it_is() -> None:
    assert [words(line, {"V": "a\\b"}, as_weasel=True)[1] for line in (BARE, QUOTED)] == ["a\\b", "a\\b"]


@pytest.mark.parametrize(
    ("line", "value", "expected"),
    [
        (BARE, "a b", ["a", "b"]), (INNER, "a b", ["aa bb"]), (QUOTED, "a b", ["a b"]), (BARE, "it's", ["it's"]),
        ('x "a ${env.V} b"', "a b", ["a a b b"]), (BARE, "", []), (INNER, "", ["ab"]), (QUOTED, "", [""]),
        ('x --a="${env.V}"c', "a b", ["--a=a bc"]), ("x 'it''s' ${env.V}", "v", ["its", "v"]),
    ],
)  # fmt: skip
def test_a_line_of_ours_keeps_a_value_whole_inside_a_word(line: str, value: str, expected: list[str]) -> None:
    assert words(line, {"V": value}) == ["x", *expected]


@pytest.mark.parametrize("as_weasel", [True, False])
@pytest.mark.parametrize("line", [BARE, INNER, QUOTED, 'x "a ${env.V} b" *', "x ${env.V}${env.V}", "x a\\ b 'c d'"])
@pytest.mark.parametrize("value", ["a b", "", "one"])
def test_a_shell_makes_the_same_words_of_what_dvc_is_given(line: str, value: str, as_weasel: bool) -> None:
    text = shell_line(line, shell=False, as_weasel=as_weasel)

    program = f"show() {{ for word in \"$@\"; do printf '%s\\n' \"$word\"; done; }}; {'show' + text[1:]}"
    done = subprocess.run(["sh", "-c", program], env={"V": value}, check=True, capture_output=True, text=True)

    assert done.stdout.split("\n")[:-1] == words(line, {"V": value}, as_weasel=as_weasel)[1:]
    assert shlex.split(text)[0] == "x"


def test_a_value_with_half_a_quote_is_told_and_not_shown(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_VALUE", "it's secret")
    playground.write({"project.yml": "env: {v: SOME_VALUE}\ncommands: [{name: a, script: ['echo ${env.v}']}]\n"})

    with pytest.raises(StepFailed) as caught:
        playground.project("run", "a")

    assert "No closing quotation" in caught.value.message and "secret" not in str(caught.value)
    assert "SOME_VALUE" in (caught.value.fix or "")
