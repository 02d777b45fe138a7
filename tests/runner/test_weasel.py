"""A file in weasel's vocabulary keeps weasel's meaning."""

from __future__ import annotations

import pytest

from frostline.errors import ProjectFileError, StepFailed

from .conftest import Playground

IN_PLACE = """
title: In place
vars: {name: x, flag: true}
directories: [assets, made]
workflows: {all: [make, amend, show]}
commands:
  - name: make
    script: ["python copy.py source.txt made/data.txt"]
    deps: [source.txt]
    outputs: [made/data.txt]
  - name: amend
    script: ["python amend.py"]
    deps: [amend.py, made/data.txt]
    outputs: [made/data.txt]
  - name: show
    script: ["python copy.py made/data.txt shown-${vars.name}.txt"]
    deps: [made]
"""


@pytest.fixture
def in_place(playground: Playground) -> Playground:
    """Two commands that write one path, and one without outputs."""
    playground.write(
        {
            "project.yml": IN_PLACE,
            "source.txt": "raw\n",
            "amend.py": "import pathlib\np = pathlib.Path('made/data.txt')\n"
            "p.write_text(p.read_text() + 'amended\\n')\n",
        }
    )
    return playground


def test_several_commands_write_one_path_in_workflow_order(in_place: Playground) -> None:
    in_place.project("run", "all")

    assert in_place.read("shown-x.txt") == "raw\namended\n"


def test_the_last_writer_owns_the_path_so_a_second_run_runs_only_what_always_runs(in_place: Playground) -> None:
    in_place.project("run", "all")
    in_place.calls()

    in_place.project("run", "all")

    assert in_place.calls() == ["shown-x.txt"]
    assert in_place.read("made/data.txt") == "raw\namended\n"


def test_a_change_upstream_goes_through_all_writers(in_place: Playground) -> None:
    in_place.project("run", "all")
    in_place.write({"source.txt": "new\n"})

    in_place.project("run", "all")

    assert in_place.read("shown-x.txt") == "new\namended\n"


def test_outputs_are_not_removed_before_a_command_runs(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": "commands: [{name: grow, script: [python grow.py], deps: [grow.py, n.txt], outputs: [out]}]",
            "grow.py": "import pathlib\np = pathlib.Path('out')\np.mkdir(exist_ok=True)\n"
            "(p / pathlib.Path('n.txt').read_text()).touch()\n",
            "n.txt": "1",
        }
    )
    playground.project("run", "grow")
    playground.write({"n.txt": "2"})

    playground.project("run", "grow")

    assert sorted(path.name for path in (playground.root / "out").iterdir()) == ["1", "2"]


def test_directories_are_made(in_place: Playground) -> None:
    in_place.project("run", "make")

    assert (in_place.root / "assets").is_dir()


def test_a_dep_that_is_missing_when_its_turn_comes_is_an_error(in_place: Playground) -> None:
    (in_place.root / "source.txt").unlink()

    with pytest.raises(StepFailed, match=r"needs 'source\.txt'"):
        in_place.project("run", "all")


def test_overrides_in_weasels_form_reach_the_command(in_place: Playground) -> None:
    in_place.project("run", "all", "--vars.name", "-y")

    assert in_place.read("shown--y.txt") == "raw\namended\n"


def test_values_of_any_type_stand_in_a_command(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": "vars: {a: 1, b: 0.5, c: true, d: text, e: [1, x]}\n"
            "commands: [{name: s, script: [\"python show.py ${vars.a} ${vars.b} ${vars.c} ${vars.d} '${vars.e}'\"]}]",
            "show.py": "import sys; open('seen', 'w').write('|'.join(sys.argv[1:]))",
        }
    )

    playground.project("run", "s")

    assert playground.read("seen") == '1|0.5|true|text|[1, "x"]'


CIRCLE = """
workflows: {all: [read, write]}
commands:
  - {name: read, script: ["python copy.py state.txt batch.txt"], deps: [copy.py, state.txt], outputs: [batch.txt]}
  - {name: write, script: ["python copy.py batch.txt batch.txt state.txt"], deps: [batch.txt], outputs: [state.txt]}
"""


def test_a_circle_goes_round_once_in_a_run(playground: Playground) -> None:
    playground.write({"project.yml": CIRCLE, "state.txt": "x"})

    playground.project("run", "all")
    playground.project("run", "write")

    assert playground.calls() == ["batch.txt", "state.txt"] * 2
    assert playground.read("state.txt") == "xxxx"


def test_a_circle_without_a_beginning_says_what_is_lacking(playground: Playground) -> None:
    playground.write({"project.yml": CIRCLE})

    for name in ("all", "read", "write"):
        with pytest.raises(StepFailed, match=r"'read' needs 'state\.txt', which 'write' makes") as caught:
            playground.project("run", name)

        assert caught.value.fix == "'write' needs 'read' in its turn: put a first 'state.txt' there by hand."


def test_a_circle_is_refused_side_by_side_and_not_waited_for(playground: Playground) -> None:
    playground.write({"project.yml": CIRCLE, "state.txt": "x"})

    with pytest.raises(ProjectFileError, match="in a circle"):
        playground.project("run", "all", "-j", "2")
    playground.write({"project.yml": CIRCLE + "profiles: {p: {}}\n"})
    with pytest.raises(ProjectFileError, match="in a circle"):
        playground.project("run", "read", "write", "--only", "-j", "2")

    assert playground.calls() == []


def test_outputs_may_lie_outside_the_project_and_are_on_record_all_the_same(playground: Playground) -> None:
    outside = playground.root.parent / "scratch"
    playground.write(
        {
            "project.yml": f"vars: {{scratch: {outside}}}\n"
            "commands: [{name: make, script: ['python copy.py n.txt ${vars.scratch}/made.txt'], deps: [n.txt],"
            " outputs: ['${vars.scratch}/made.txt', ../scratch/made.txt]}]",
            "n.txt": "1",
        }
    )

    playground.project("run", "make")
    assert playground.project("run", "make") == "1 step is up to date: nothing to run\n"
    (outside / "made.txt").write_text("edited")

    assert playground.actions() == {"make": "run"}
    assert not (playground.root / "dvc.lock").exists()


def test_directories_help_and_title_are_filled_in(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": "vars: {name: x, where: [a, b/c]}\ntitle: On ${vars.name}\n"
            "directories: ['${vars.name}-data', '${vars.where}']\n"
            "commands: [{name: s, help: 'Shows ${vars.name}, not ${this}', script: ['python -V']}]",
        }
    )

    playground.project("run", "s")

    assert [(playground.root / name).is_dir() for name in ("x-data", "a", "b/c")] == [True] * 3
    assert "Shows x, not ${this}" in playground.project("render")


def test_a_doubled_dollar_is_one(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": "vars: {x: 1}\ncommands: [{name: s, script: ['python show.py $$HOME $${vars.x} a$$b $']}]",
            "show.py": "import sys; open('seen', 'w').write('|'.join(sys.argv[1:]))",
        }
    )

    playground.project("run", "s")

    assert playground.read("seen") == "$HOME|${vars.x}|a$b|$"


def test_keys_that_weasel_does_not_look_at_are_left_alone_with_a_warning(playground: Playground) -> None:
    from frostline.runner.project.parse import parse_spec

    spec = parse_spec("assets: [{dest: a, licence: MIT, git: {repo: r, path: '', depth: 1}}]\nauthor: me\n")

    assert [warning.split(": ")[1] for warning in spec.warnings] == [
        "unknown key 'author' is ignored",
        "unknown key 'licence' in an asset is ignored",
        "unknown key 'depth' in an asset's git is ignored",
    ]


def test_a_workflow_may_be_called_fetch(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": "assets: [{dest: a, url: https://example.org/a}]\nworkflows: {fetch: [s]}\n"
            "commands: [{name: s, script: ['python -V']}]",
        }
    )

    assert "1 step ran" in playground.project("run", "fetch")


def test_a_step_that_stands_twice_in_a_workflow_is_warned_of() -> None:
    from frostline.runner.project.parse import parse_spec

    spec = parse_spec("workflows: {all: [a, b, a, a]}\ncommands: [{name: a}, {name: b}]\n")

    assert spec.warnings == ("project.yml:1:13: 'a' stands twice in the workflow 'all', and is run once",)
