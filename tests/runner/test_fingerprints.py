"""Random variables, matrices and graphs against definitions by brute force.

A variable's change moves the fingerprints of exactly the steps whose text uses it, directly, through other variables or
through a matrix; edges, names and patterns are those that a look at every pair of steps gives.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from frostline.errors import ProjectFileError, UsageError
from frostline.runner.keeping.ledger import command_of
from frostline.runner.planning.graph import Writers, all_below, all_needed, build_graph, select
from frostline.runner.planning.names import Names
from frostline.runner.project.expand import expand
from frostline.runner.project.parse import parse_spec
from frostline.runner.project.patterns import with_patterns_filled
from frostline.runner.project.spec import Step

REFERENCE = re.compile(r"\$\{vars\.([a-z.]+)\}")


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def looked_up(variables: dict[str, Any], path: str) -> Any:
    value: Any = variables
    for part in path.split("."):
        value = value[part]
    return value


def resolved(variables: dict[str, Any], text: str) -> str:
    """`text` with references replaced again and again until none is left."""
    while match := REFERENCE.search(text):
        value = looked_up(variables, match[1])
        text = text[: match.start()] + text_of(value) + text[match.end() :]
    return text


plain_values = st.sampled_from(["p", "q", 1, 0.5, True, "two words"])


@st.composite
def variable_sets(draw: st.DrawFn) -> dict[str, Any]:
    """Variables of any kind; texts may refer to those before, a mapping's and a list's texts too."""
    variables: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=5, unique=True)):
        references = [f"${{vars.{other}}}" for other, value in variables.items() if not isinstance(value, dict)]
        references += [f"${{vars.{other}.k}}" for other, value in variables.items() if isinstance(value, dict)]
        leaf = st.one_of(
            plain_values, *([st.sampled_from(references).map(lambda ref: f"x{ref}")] if references else [])
        )
        variables[name] = draw(
            st.one_of(leaf, leaf, st.fixed_dictionaries({"k": leaf, "l": plain_values}), st.lists(leaf, max_size=2))
        )
    return variables


@st.composite
def projects(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(variables, commands): each command's text uses some variables, and may have a matrix."""
    variables = draw(variable_sets())
    references = []
    for name, value in variables.items():
        references.append(f"${{vars.{name}.k}}" if isinstance(value, dict) else f"${{vars.{name}}}")
    commands = []
    for number in range(draw(st.integers(1, 4))):
        used = draw(st.lists(st.sampled_from(references), max_size=2))
        where = draw(st.sampled_from(["script", "deps", "outputs", "env"]))
        command: dict[str, Any] = {"name": f"c{number}", "script": ["run it"], "outputs": [f"o{number}"]}
        if where == "script":
            command["script"] = [f"run {reference}" for reference in used] or ["run"]
        elif where == "env":
            command["env"] = {f"V{at}": reference for at, reference in enumerate(used)} or {"V": "1"}
        else:
            command[where] = [f"{where}{number}-{at}-{reference}" for at, reference in enumerate(used)]
        if draw(st.booleans()):
            command["matrix"] = {"axis": draw(st.sampled_from([["m", "n"], ["m", *used[:1]]]))}
            command["script"] = [*command["script"], "${matrix.axis}"]
        commands.append(command)
    return variables, commands


def fingerprints(variables: dict[str, Any], commands: list[dict[str, Any]]) -> dict[str, Any]:
    """step -> all that decides about it, by the runner."""
    text = json.dumps({"vars": variables, "profiles": {"p": {}}, "commands": commands})
    steps = expand(parse_spec(text)).steps
    return {
        step.name: (json.dumps(command_of(step)), sorted(map(str, step.deps)), sorted(map(str, step.all_outputs)))
        for step in steps
    }


def texts(variables: dict[str, Any], commands: list[dict[str, Any]]) -> dict[str, str]:
    """step -> its command with every reference replaced, by brute force."""
    found = {}
    for command in commands:
        for value in command.get("matrix", {}).get("axis", [None]):
            bare = {key: part for key, part in command.items() if key != "matrix"}
            text = json.dumps(bare).replace("${matrix.axis}", resolved(variables, text_of(value)))
            axis = "" if value is None else f"-{resolved(variables, text_of(value))}"
            found[f"{command['name']}{axis}"] = resolved(variables, text)
    return found


@given(project=projects(), data=st.data())
def test_a_variable_moves_the_fingerprints_of_exactly_the_steps_that_use_it(
    project: tuple[dict[str, Any], list[dict[str, Any]]], data: st.DataObject
) -> None:
    variables, commands = project
    for command in commands:
        axis = command.get("matrix", {}).get("axis", [])
        assume(len({resolved(variables, text_of(value)) for value in axis}) == len(axis))
    changed = data.draw(st.sampled_from(sorted(variables)))
    value = data.draw(plain_values)
    old = variables[changed]
    new = {**variables, changed: {**old, "k": value} if isinstance(old, dict) else [value] if old == [] else value}
    try:
        before, after = fingerprints(variables, commands), fingerprints(new, commands)
    except ProjectFileError:
        assume(False)  # two cells or two outputs became the same
    texts_before, texts_after = texts(variables, commands), texts(new, commands)

    assert before.keys() == texts_before.keys() and after.keys() == texts_after.keys()
    for name in before.keys() & after.keys():
        assert (before[name] != after[name]) == (texts_before[name] != texts_after[name]), name


paths = st.lists(st.sampled_from(["a", "b", "c", "a.x"]), min_size=1, max_size=3).map("/".join)


@st.composite
def step_lists(draw: st.DrawFn) -> tuple[Step, ...]:
    """Steps whose deps and outputs nest and overlap at will."""
    steps = []
    for number in range(draw(st.integers(1, 6))):
        deps, outputs = (draw(st.lists(paths, max_size=3, unique=True)) for _ in range(2))
        steps.append(
            Step(
                name=f"s{number}",
                script=("x",),
                deps=tuple(map(PurePosixPath, deps)),
                outputs=tuple(map(PurePosixPath, outputs)),
            )
        )
    return tuple(steps)


def overlap(one: PurePosixPath, other: PurePosixPath) -> bool:
    return one == other or one in other.parents or other in one.parents


@given(steps=step_lists(), path=paths)
def test_writers_of_a_path_are_those_above_it_and_inside_it(steps: tuple[Step, ...], path: str) -> None:
    wanted = PurePosixPath(path)

    found = Writers(steps).of(wanted)

    assert found == {at for at, step in enumerate(steps) if any(overlap(wanted, out) for out in step.outputs)}
    assert Writers(steps).of(PurePosixPath(".")) == {at for at, step in enumerate(steps) if step.outputs}


@given(steps=step_lists())
def test_overlapping_steps_are_those_that_share_nest_or_read_their_own(steps: tuple[Step, ...]) -> None:
    expected = {
        step.name
        for step in steps
        if any(overlap(out, other) for out in step.outputs for one in steps if one != step for other in one.outputs)
        or any(overlap(out, dep) for out in step.outputs for dep in step.deps)
        or any(overlap(one, other) for one, other in itertools.combinations(step.outputs, 2))
    }

    assert build_graph(steps).overlapping == expected


@given(steps=step_lists())
def test_where_nobody_overlaps_a_step_needs_all_who_write_what_it_reads(steps: tuple[Step, ...]) -> None:
    graph = build_graph(steps)
    assume(not graph.overlapping)

    for step in steps:
        expected = [
            one.name
            for one in steps
            if one != step and any(overlap(dep, out) for dep in step.deps for out in one.outputs)
        ]
        assert list(graph.upstream[step.name]) == expected


@given(steps=step_lists(), names=st.lists(st.sampled_from([f"s{n}" for n in range(6)]), min_size=1, unique=True))
def test_a_selection_has_all_that_is_needed_in_an_order_that_holds_or_names_a_true_circle(
    steps: tuple[Step, ...], names: list[str]
) -> None:
    text = "profiles: {p: {}}\ncommands:\n" + "".join(
        f"  - {{name: {s.name}, script: [x], deps: {[*map(str, s.deps)]}, outputs: {[*map(str, s.outputs)]}}}\n"
        for s in steps
    )
    project = expand(parse_spec(text))
    graph = build_graph(project.steps)
    names = [name for name in names if name in graph.steps] or [steps[0].name]
    wanted = set(names).union(*(all_needed(graph.upstream, name) for name in names))
    try:
        order = select(project, graph, names).order
    except ProjectFileError as error:
        circle = re.findall(r"s\d", error.message)
        assert circle[0] == circle[-1] and len(circle) > 2
        assert all(one in graph.upstream[two] for one, two in itertools.pairwise(circle))
        return

    assert set(order) == wanted and len(order) == len(wanted)
    assert all(order.index(up) < order.index(name) for name in order for up in graph.upstream[name])
    below = {name for name in graph.steps if all_needed(graph.upstream, name) & set(names)}
    assert set(all_below(graph, names)) == below


STEM = st.sampled_from(["t", "t-a", "t-a-0", "t-b", "tt", "u"])


@given(
    cells=st.dictionaries(st.sampled_from(["t-a-0", "t-a-1", "t-b", "tt-a", "t-a", "u"]), st.booleans(), min_size=1),
    command=STEM,
    word=st.one_of(STEM, st.sampled_from(["t-*", "*", "t-[ab]", "?", "none"])),
)
def test_a_word_means_a_step_a_glob_or_the_cells_that_begin_so(cells: dict[str, bool], command: str, word: str) -> None:
    steps = [
        Step(name=name, script=(), command=command if is_cell else name, cell=(("x", "1"),) if is_cell else ())
        for name, is_cell in cells.items()
    ]
    of_matrix = [s.name for s in steps if s.cell and (s.name.startswith(f"{word}-") or s.command == word)]
    globbed = [name for name in cells if fnmatch.fnmatchcase(name, word)]
    if word in cells and set(of_matrix) - {word}:
        with pytest.raises(UsageError, match="also the beginning of"):
            Names(steps).matching(word)
        return

    assert Names(steps).matching(word) == (
        [word] if word in cells else globbed if set(word) & set("*?[") else of_matrix
    )


@given(steps=step_lists(), pattern=st.sampled_from(["*", "a/*", "*/b", "a/*/c", "*.x", "a*/b", "b/*", "none/*"]))
def test_a_pattern_stands_for_the_outputs_of_others_that_it_matches_part_by_part(
    steps: tuple[Step, ...], pattern: str
) -> None:
    reader = Step(name="reader", script=(), deps=(PurePosixPath(pattern),), outputs=(PurePosixPath("a/b"),))
    matches = [
        out
        for step in steps
        for out in step.outputs
        if len(out.parts) == len(PurePosixPath(pattern).parts)
        and all(map(fnmatch.fnmatchcase, out.parts, PurePosixPath(pattern).parts))
    ]

    filled = with_patterns_filled([reader, *steps])

    assert filled[0].deps == (tuple(dict.fromkeys(matches)) or (PurePosixPath(pattern),))
    assert filled[1:] == list(steps)
