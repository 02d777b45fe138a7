"""The command line: help, errors, and the smaller verbs."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
import yaml

from frostline.errors import FrostlineError, ProjectFileError, UsageError
from frostline.runner.cli.main import VERBS, dispatch, main
from frostline.runner.project.expand import expand
from frostline.runner.project.parse import parse_spec

from .conftest import CHAIN, Playground

DOCS = Path(__file__).resolve().parents[2] / "docs" / "project-file.md"


def test_help_names_every_verb_and_each_verb_has_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    dispatch(["--help"])
    said = capsys.readouterr().out
    assert all(f"  {verb} " in said for verb in VERBS)
    for verb in VERBS:
        with pytest.raises(SystemExit) as caught:
            dispatch([verb, "--help"])
        assert caught.value.code == 0
        assert f"usage: project {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["run", "all", "--drry"], "Did you mean '--dry'?"),
        (["run", "all", "-j", "0"], "See: project run --help"),
        (["run", "all", "--json"], "Add --dry."),
        (["run", "frist"], "Did you mean 'first'?"),
        (["run", "all", "--set", "x"], "Write --set vars.NAME=VALUE."),
        (["run", "all", "--vars.x"], "There is none to choose from."),
        (["run", "all", "--profile", "onyl"], "Did you mean 'only'?"),
        (["--dry", "run"], "Options of a verb stand after it: project VERB --dry."),
        (["--profil", "only", "run"], "Did you mean '--profile'?"),
        (["-C"], "Write -C VALUE."),
        (
            ["-C", ".", "-q"],
            f"Name a verb: {', '.join(VERBS)}.",
        ),
        (["-C", ".", "rnu"], "Did you mean 'run'?"),
        (["status", "-C", "nowhere"], "-C takes the folder that has the project.yml, or one below it."),
        (["status", "-C", str(DOCS)], "-C takes the folder that has the project.yml, or one below it."),
    ],
)
def test_a_wrong_command_line_has_a_fix(chain: Playground, words: list[str], fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        dispatch([*words[:1], "--project", str(chain.root), *words[1:]] if words[0] == "run" else words)

    assert caught.value.fix == fix


@pytest.mark.parametrize(
    "words",
    [
        ["-C", "ROOT", "--quiet", "status", "--json"],
        ["-CROOT", "--profile", "only", "--set", "vars.x=2", "status", "--json"],
        ["--project=ROOT", "--vars.x", "2", "status", "--json"],
        ["--project", "ROOT", "--profile=only", "--vars.x=2", "-q", "status", "--json"],
    ],
)
def test_options_of_every_verb_may_stand_before_it(chain: Playground, words: list[str]) -> None:
    chain.write({"project.yml": CHAIN + "vars: {x: 1}\n"})

    dispatch([word.replace("ROOT", str(chain.root)) for word in words])

    assert [row["step"] for row in json.loads(chain.capture.readouterr().out)] == ["first", "second", "third"]


def test_help_is_shown_after_a_folder_too(capsys: pytest.CaptureFixture[str]) -> None:
    dispatch(["-C", "anywhere", "--help"])

    assert capsys.readouterr().out.startswith("usage: project [-C DIR] VERB")


def test_errors_become_messages_and_exit_codes_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "project.yml").write_text("commands:\n  - nme: x\n")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as caught:
        main(["run", "all"])

    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "project.yml:2:5: Unknown key 'nme' in a command. Did you mean 'name'?" in said
    assert "Traceback" not in said


def test_a_missing_project_file_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ProjectFileError) as caught:
        dispatch(["status", "--project", str(tmp_path)])

    assert caught.value.fix is not None and "--project DIR" in caught.value.fix


def test_a_faulty_ledger_is_named_with_its_line(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"dvc.lock": "schema: '2.0'\nstages:\n<<<<<<< HEAD\n"})

    with pytest.raises(FrostlineError) as caught:
        chain.project("status")

    assert caught.value.where is not None and "dvc.lock:" in caught.value.where


def test_render_prints_the_final_steps(chain: Playground) -> None:
    steps = yaml.safe_load(chain.project("render"))["steps"]

    assert [step["name"] for step in steps] == ["first", "second", "third"]
    assert json.loads(chain.project("render", "third", "--json"))[0]["outputs"] == ["out"]


def test_graph_draws_edges_as_text_and_mermaid(chain: Playground) -> None:
    assert "● second  ← first" in chain.project("graph")
    assert "    first --> second" in chain.project("graph", "--format", "mermaid").splitlines()


def test_why_names_the_cause_and_what_follows(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"project.yml": CHAIN.replace("copy.py first.txt", "copy.py first.txt source.txt")})

    said = chain.project("why", "second")

    first, because, difference, ran, then = said.splitlines()
    assert (first, because) == ("second would run", "  because command changed:")
    assert difference == "    ~ python copy.py first.txt {+source.txt+} second.txt"
    assert ran.startswith("  it ran last 20")
    assert then == "  then perhaps, if a dep comes out changed: third"


def test_the_report_is_made_by_its_own_command_after_a_workflow(
    chain: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frostline.runner.running import reporting

    (chain.root.parent / "stand_in.py").write_text(
        "import pathlib\npathlib.Path('r.html').write_text('x')\nprint('report: r.html')\nprint('best: b 0.5')\n"
    )
    monkeypatch.setattr(reporting, "COMMAND", "stand_in")
    monkeypatch.setenv("PYTHONPATH", str(chain.root.parent))
    chain.write({"project.yml": CHAIN + "report: {title: T}\n"})

    said = chain.project("run", "all")

    assert said.splitlines()[-2:] == ["report: r.html", "best: b 0.5"]
    assert chain.project("run", "all") == "all 3 steps are up to date: nothing to run\n"
    (chain.root / "r.html").unlink()
    assert "report: r.html" in chain.project("run", "all")


def test_the_examples_of_the_reference_are_read_and_expanded() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    whole = [text for text in examples if "commands:" in text]

    (project,) = [expand(parse_spec(text)) for text in whole]

    assert [step.name for step in project.steps] == ["make", "train-frozen-0", "train-unfrozen-0", "score"]
    assert [str(dep) for dep in project.steps[-1].deps] == [
        "score.py",
        "models/sample/frozen-0",
        "models/sample/unfrozen-0",
    ]


def test_the_reference_has_a_line_for_every_key() -> None:
    from frostline.runner.project.keys import DEFINITIONS, TOP

    text = DOCS.read_text(encoding="utf-8")
    keys = [*TOP, *(key for section, _ in DEFINITIONS.values() for key in section)]

    assert [key.name for key in keys if f"`{key.name}`" not in text] == []


def test_a_narrowed_matrix_is_shown_run_and_leaves_the_records_of_the_other_cells(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": """
vars: {variants: [a, b]}
workflows: {all: [make]}
commands:
  - name: make-${matrix.variant}
    matrix:
      variant: ${vars.variants}
      include: [{variant: a, word: ""}, {variant: b, word: copy.py}]
    script: ["python copy.py copy.py ${matrix.word} ${matrix.variant}.txt"]
    deps: [copy.py]
    outputs: ["${matrix.variant}.txt"]
"""
        }
    )
    playground.project("run", "all")
    ledger = playground.read("dvc.yaml"), playground.read("dvc.lock")
    narrow = ("--set", 'vars.variants=["b"]')

    (step,) = yaml.safe_load(playground.project("render", *narrow))["steps"]
    assert (step["name"], step["matrix"]) == ("make-b", {"variant": "b", "word": "copy.py"})
    assert playground.project("run", "all", *narrow) == "1 step is up to date: nothing to run\n"
    playground.project("run", "all", "--force", *narrow)

    assert playground.calls() == ["a.txt", "b.txt", "b.txt"]
    assert playground.actions() == {"make-a": "skip", "make-b": "skip"}
    assert (playground.read("dvc.yaml"), playground.read("dvc.lock")) == ledger


EMPTY = """
vars: {values: [1]}
profiles: {none: {values: []}, some: {}}
workflows: {all: [], also: , cells: [cell]}
commands:
  - {name: cell, matrix: {x: "${vars.values}"}, outputs: ["${profile}-${matrix.x}"], script: [a]}
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "all"], "the workflow 'all' lists no steps: nothing to run"),
        (["run", "all", "--dry"], "the workflow 'all' lists no steps: nothing to run"),
        (["run", "also"], "the workflow 'also' lists no steps: nothing to run"),
        (["run", "cells"], "'cells' has no steps in the profile 'none': nothing to run"),
        (["run", "cell", "all"], "'cell', 'all' have no steps in the profile 'none': nothing to run"),
        (
            ["run", "cell", "--profile", "some", "--set", "vars.values=[]"],
            "'cell' has no steps with these values: nothing to run",
        ),
        (["status"], "there are no steps: nothing to run"),
    ],
)
def test_where_there_are_no_steps_that_is_said(playground: Playground, words: list[str], said: str) -> None:
    playground.write({"project.yml": EMPTY})

    assert playground.project(*words) == f"{said}\n"
    if "--dry" in words:
        assert json.loads(playground.project(*words, "--json")) == []


def test_assets_check_names_what_is_absent_or_changed(
    playground: Playground, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = hashlib.sha256(b"right").hexdigest()
    playground.write(
        {
            "project.yml": "assets:\n"
            + "".join(f"  - {{dest: {name}.txt, url: there.txt, sha256: {digest}}}\n" for name in ("a", "b", "c")),
            "a.txt": "right",
            "b.txt": "wrong",
        }
    )

    with pytest.raises(SystemExit) as caught:
        playground.project("assets", "--check")

    assert caught.value.code == 1
    printed = capsys.readouterr()
    assert re.search(r"b\.txt +its sha256 is", printed.out)
    assert re.search(r"c\.txt +is not there", printed.out)
    assert "2 of 3 assets not there as declared" in printed.err


def test_render_shows_what_a_step_uses_and_leaves_secrets_symbolic(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hidden")
    playground.write(
        {
            "project.yml": "vars: {a: 1, b: 'x${vars.a}'}\nenv: {t: TOKEN}\ncommands:\n"
            "  - {name: s, script: ['send ${env.t} ${vars.b}'], env: {KEY: '${env.t}'}, outputs: [o]}\n"
        }
    )

    (step,) = json.loads(playground.project("render", "--json"))

    assert step["script"] == ["send ${env.TOKEN} x1"]
    assert (step["env"], step["env_names"], step["vars"]) == ({"KEY": "${env.TOKEN}"}, ["TOKEN"], {"a": "1", "b": "x1"})
    assert yaml.safe_load(playground.project("render"))["steps"] == [step]
    assert "hidden" not in playground.project("render")
