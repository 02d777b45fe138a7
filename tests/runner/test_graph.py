"""Edges, names and order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frostline.errors import ProjectFileError, UsageError
from frostline.runner.planning.graph import build_graph, check_workflows, refuse_overlaps, select
from frostline.runner.project.expand import Project, expand
from frostline.runner.project.parse import parse_spec

TEXT = """
workflows: {all: [convert, train, pick], part: [train-a]}
commands:
  - {name: convert, deps: [raw], outputs: [corpus]}
  - {name: train, matrix: {v: [a, ab], s: [0, 1]}, deps: [corpus/train], outputs: ["out/${matrix.v}-${matrix.s}"]}
  - {name: pick, deps: [out], outputs: [best]}
  - {name: alone, wait_for: [convert]}
"""


def order(text: str, *names: str, only: bool = False) -> tuple[str, ...]:
    project = expand(parse_spec(text))
    return select(project, build_graph(project.steps), names, only=only).order


def test_edges_come_from_equal_inner_and_outer_paths() -> None:
    graph = build_graph(expand(parse_spec(TEXT)).steps)

    assert graph.upstream["train-a-0"] == ("convert",)
    assert graph.upstream["pick"] == ("train-a-0", "train-a-1", "train-ab-0", "train-ab-1")
    assert graph.upstream["alone"] == ("convert",)
    assert graph.downstream("convert") == ("train-a-0", "train-a-1", "train-ab-0", "train-ab-1", "alone")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train-a-1",), ("convert", "train-a-1")),
        (("train-a",), ("convert", "train-a-0", "train-a-1")),
        (("train",), ("convert", "train-a-0", "train-a-1", "train-ab-0", "train-ab-1")),
        (("*-1",), ("convert", "train-a-1", "train-ab-1")),
        (("part", "alone"), ("convert", "train-a-0", "train-a-1", "alone")),
        (("all",), ("convert", "train-a-0", "train-a-1", "train-ab-0", "train-ab-1", "pick")),
    ],
)
def test_a_name_is_a_step_a_workflow_a_prefix_or_a_glob(names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert order(TEXT, *names) == expected


def test_only_leaves_out_what_is_upstream() -> None:
    assert order(TEXT, "train-ab", only=True) == ("train-ab-0", "train-ab-1")


def test_a_name_that_means_nothing_suggests_one_that_does() -> None:
    with pytest.raises(UsageError) as caught:
        order(TEXT, "trian")

    assert caught.value.fix == "Did you mean 'train'?"


def test_a_name_that_is_a_step_and_a_prefix_is_an_error() -> None:
    with pytest.raises(UsageError, match="also the beginning"):
        order(TEXT + "  - {name: train-a, outputs: [x]}\n", "train-a")


def test_a_workflow_that_names_no_step_is_a_fault_with_its_place() -> None:
    with pytest.raises(ProjectFileError) as caught:
        check_workflows(expand(parse_spec("workflows:\n  all: [trian]\ncommands: [{name: train}]")))

    assert caught.value.where == "project.yml:2:9"
    assert caught.value.fix == "Did you mean 'train'?"


def test_a_circle_is_named_whole() -> None:
    text = "profiles: {p: {}}\ncommands:\n" + "".join(
        f"  - {{name: {a}, deps: [{b}], outputs: [{a}]}}\n" for a, b in (("a", "c"), ("b", "a"), ("c", "b"))
    )

    with pytest.raises(ProjectFileError) as caught:
        order(text, "a")

    assert "a → b → c → a" in caught.value.message


CIRCLE = """
commands:
  - {name: read, deps: [state], outputs: [batch]}
  - {name: learn, deps: [batch], outputs: [weights]}
  - {name: write, deps: [weights], outputs: [state]}
  - {name: show, deps: [weights]}
"""


@pytest.mark.parametrize(
    ("workflow", "name", "expected"),
    [
        ("", "read", ("read",)),
        ("", "write", ("read", "learn", "write")),
        ("", "show", ("read", "learn", "show")),
        ("workflows: {all: [learn, write, read, show]}", "learn", ("learn",)),
        ("workflows: {all: [learn, write, read, show]}", "read", ("learn", "write", "read")),
        ("workflows: {all: [write, read]}", "all", ("learn", "write", "read")),
        ("workflows: {all: [write, read]}", "read", ("read",)),
    ],
)
def test_in_a_weasel_file_a_circle_begins_where_the_workflow_or_else_the_file_does(
    workflow: str, name: str, expected: tuple[str, ...]
) -> None:
    assert order(CIRCLE + workflow, name) == expected


def test_a_circle_has_no_place_in_a_parallel_run() -> None:
    project = expand(parse_spec(CIRCLE))

    with pytest.raises(ProjectFileError) as caught:
        refuse_overlaps(project, build_graph(project.steps), ("read", "learn", "write"))

    assert "in a circle: " in caught.value.message and "learn → write → read" in caught.value.message * 2
    assert caught.value.fix is not None and "without -j" in caught.value.fix
    refuse_overlaps(project, build_graph(project.steps), ("read", "learn", "show"))


def test_of_several_writers_the_last_before_the_reader_owns_a_path() -> None:
    text = """
commands:
  - {name: one, outputs: [x]}
  - {name: two, deps: [x], outputs: [x]}
  - {name: reader, deps: [x], outputs: [y]}
  - {name: three, outputs: [x]}
"""
    graph = build_graph(expand(parse_spec(text)).steps)

    assert graph.upstream == {"one": (), "two": ("one",), "reader": ("two",), "three": ()}
    assert graph.overlapping == {"one", "two", "three"}


def test_a_weasel_workflow_keeps_its_order_whatever_the_deps_say() -> None:
    text = "commands: [{name: a, outputs: [x]}, {name: b, deps: [x], outputs: [y]}]\nworkflows: {all: [b, a]}\n"

    assert order(text, "all") == ("b", "a")
    assert order(text + "profiles: {p: {}}", "all") == ("a", "b")


def test_a_parallel_run_refuses_two_writers_and_nested_outputs() -> None:
    text = "commands: [{name: a, outputs: [x]}, {name: b, outputs: [x/y]}, {name: c, deps: [z], outputs: [z]}]"
    project = expand(parse_spec(text))

    with pytest.raises(ProjectFileError) as caught:
        refuse_overlaps(project, build_graph(project.steps), ("a", "b", "c"))

    assert "'a' and 'b' both write 'x'" in caught.value.message
    assert "'c' reads what it writes" in caught.value.message


def test_a_chain_of_thousands_of_steps_is_ordered_without_recursion() -> None:
    lines = [f"  - {{name: s{i}, deps: [f{i - 1}], outputs: [f{i}]}}" for i in range(3000, 0, -1)]

    assert order("profiles: {p: {}}\ncommands:\n" + "\n".join(lines), "s3000")[:2] == ("s1", "s2")


@st.composite
def projects(draw: st.DrawFn) -> Project:
    """Up to eight steps in any order of the file, each reading outputs of some others, without circles."""
    n = draw(st.integers(1, 8))
    deps = {i: draw(st.lists(st.integers(0, i - 1), unique=True, max_size=3)) if i else [] for i in range(n)}
    listed = draw(st.permutations(range(n)))
    lines = [f"  - {{name: s{i}, deps: [{', '.join(f'f{d}' for d in deps[i])}], outputs: [f{i}]}}" for i in listed]
    return expand(parse_spec("profiles: {p: {}}\ncommands:\n" + "\n".join(lines)))


@settings(max_examples=50, deadline=None)
@given(projects(), st.data())
def test_the_order_holds_everything_needed_and_nothing_else(project: Project, data: st.DataObject) -> None:
    graph = build_graph(project.steps)
    names = data.draw(st.lists(st.sampled_from(sorted(graph.steps)), min_size=1, unique=True))

    found = select(project, graph, names).order

    needed: set[str] = set()
    pending: list[Any] = list(names)
    while pending:
        name = pending.pop()
        needed.add(name)
        pending += [step.name for step in project.steps if set(step.all_outputs) & set(graph.steps[name].deps)]
    assert sorted(found) == sorted(needed)
    position = {name: index for index, name in enumerate(found)}
    assert all(position[up] < position[name] for name in found for up in graph.upstream[name])
