"""Decisions: a table of single cases, and random projects and edits against a brute-force rebuild."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frostline.runner.keeping.ledger import Body, Record
from frostline.runner.planning.graph import build_graph
from frostline.runner.planning.plan import Action, Decision, Facts, decide, make_plan
from frostline.runner.project.spec import Step

from .conftest import COPY, Playground

TRAIN = Step(
    name="train",
    script=("train corpus",),
    deps=(PurePosixPath("corpus"),),
    outputs=(PurePosixPath("model"),),
    requires=("torch",),
    variables=(("lr", "0.1"),),
)
BODY: Body = {
    "cmd": "train corpus",
    "deps": [{"path": "corpus", "hash": "md5", "md5": "c" * 32, "size": 1}],
    "outs": [{"path": "model", "hash": "md5", "md5": "m" * 32, "size": 1}],
}
CONTEXT = {"requires/torch": "2.13"}
ON_RECORD = Record(body=BODY, context=CONTEXT, variables={"lr": "0.1"})
ON_DISK = {"corpus": "c" * 32, "model": "m" * 32}


def decide_train(
    record: Record | None = ON_RECORD,
    disk: dict[str, str] | None = None,
    *,
    step: Step = TRAIN,
    context: dict[str, str] | None = None,
    stored: Body | None = None,
    force: bool = False,
) -> Decision:
    facts = Facts(
        record=lambda name: record,
        digest=lambda path: (ON_DISK if disk is None else disk).get(str(path)),
        context=lambda step: CONTEXT if context is None else context,
        restorable=lambda step, deps, trusted: stored,
    )
    return decide(build_graph((step,)), step, facts, {}, force=force)


def changed(**values: object) -> Step:
    from dataclasses import replace

    return replace(TRAIN, **values)  # type: ignore[arg-type]


def test_a_step_that_is_as_recorded_is_skipped() -> None:
    assert decide_train() == Decision(step="train", action=Action.SKIP)


@pytest.mark.parametrize(
    ("reason", "arguments"),
    [
        ("never ran here", {"record": None}),
        ("command changed: corpus → other", {"step": changed(script=("train other",))}),
        ("vars.lr changed: 0.1 → 0.2", {"step": changed(variables=(("lr", "0.2"),))}),
        ("dep 'corpus' changed: cccccccc → dddddddd", {"disk": ON_DISK | {"corpus": "d" * 32}}),
        ("dep 'corpus' is missing", {"disk": {"model": "m" * 32}}),
        ("dep 'extra' is missing", {"step": changed(deps=(*TRAIN.deps, PurePosixPath("extra")))}),
        ("output 'model' is missing", {"disk": {"corpus": "c" * 32}}),
        ("output 'model' is not as the step left it: mmmmmmmm → xxxxxxxx", {"disk": ON_DISK | {"model": "x" * 32}}),
        ("output 'more' is new", {"step": changed(outputs=(PurePosixPath("model"), PurePosixPath("more")))}),
        ("package torch changed: 2.13 → 2.14", {"context": {"requires/torch": "2.14"}}),
        ("environment variable X changed", {"context": CONTEXT | {"env/X": "1"}}),
        ("what it is told in the project file changed", {"context": CONTEXT | {"declared": "1"}}),
        ("asked for by --force", {"force": True}),
        ("always runs: no_skip is set", {"step": changed(no_skip=True)}),
        ("always runs: it has no outputs", {"step": changed(outputs=())}),
    ],
)
def test_each_cause_is_named(reason: str, arguments: dict[str, object]) -> None:
    decision = decide_train(**arguments)  # type: ignore[arg-type]

    assert decision.action is Action.RUN
    assert decision.reasons[0] == reason


def test_only_the_changed_input_is_named_as_the_reason() -> None:
    decision = decide_train(disk=ON_DISK | {"corpus": "f" * 32})

    assert decision.reasons == ("dep 'corpus' changed: cccccccc → ffffffff",)


def test_a_stored_result_is_restored_unless_forced_or_bound_to_run() -> None:
    missing = {"corpus": "c" * 32}

    assert decide_train(disk=missing, stored=BODY).action is Action.RESTORE
    assert decide_train(disk=missing, stored=BODY, force=True).action is Action.RUN
    assert decide_train(disk=missing, stored=BODY, step=changed(no_skip=True)).action is Action.RUN


def test_a_body_that_dvc_wrote_counts_without_a_context() -> None:
    assert decide_train(Record(body=BODY), context={"requires/torch": "9.9"}).action is Action.SKIP


def test_a_clone_knows_versions_and_no_environment() -> None:
    record = Record(body=BODY, context=CONTEXT, knows_env=False)

    assert decide_train(record, context=CONTEXT | {"env/X": "1"}).action is Action.SKIP
    assert decide_train(record, context={"requires/torch": "9.9"}).action is Action.RUN


def test_below_a_step_that_runs_a_step_is_planned_to_run_and_below_a_restored_one_it_is_not() -> None:
    make = Step(name="make", script=("make",), outputs=(PurePosixPath("corpus"),))
    graph = build_graph((make, TRAIN))
    made: Body = {"cmd": "make", "outs": [{"path": "corpus", "hash": "md5", "md5": "c" * 32}]}

    def plan(stored: Body | None) -> list[Decision]:
        facts = Facts(
            record=lambda name: ON_RECORD if name == "train" else None,
            digest=lambda path: ON_DISK.get(str(path)),
            context=lambda step: CONTEXT if step.name == "train" else {},
            restorable=lambda step, deps, trusted: stored,
        )
        return make_plan(graph, ("make", "train"), facts)

    assert [d.action for d in plan(None)] == [Action.RUN, Action.RUN]
    assert plan(None)[1].reasons == ("dep 'corpus' comes from 'make', which runs",)
    assert [d.action for d in plan(made)] == [Action.RESTORE, Action.SKIP]


@st.composite
def scenarios(draw: st.DrawFn) -> tuple[dict[int, list[str]], list[tuple[str, str]]]:
    """(step -> the files it joins, edits of source files and commands)."""
    n = draw(st.integers(2, 4))
    joins = {}
    for i in range(n):
        options = ["a.txt", "b.txt", *(f"f{j}.txt" for j in range(i))]
        joins[i] = draw(st.lists(st.sampled_from(options), min_size=1, max_size=2, unique=True))
    edits = draw(
        st.lists(
            st.tuples(st.sampled_from(["a.txt", "b.txt"]), st.sampled_from(["", "x", "y"])), min_size=1, max_size=3
        )
    )
    return joins, edits


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scenario=scenarios())
def test_after_any_edit_exactly_the_changed_results_are_made_anew(
    scenario: tuple[dict[int, list[str]], list[tuple[str, str]]],
    tmp_path_factory: pytest.TempPathFactory,
    playground: Playground,
) -> None:
    joins, edits = scenario
    ground = Playground(tmp_path_factory.mktemp("scenario"), playground.capture)
    commands = [
        f"  - {{name: s{i}, script: ['python copy.py {' '.join(files)} f{i}.txt'],"
        f" deps: [copy.py, {', '.join(files)}], outputs: [f{i}.txt]}}"
        for i, files in joins.items()
    ]
    ground.write({"copy.py": COPY, "project.yml": "profiles: {p: {}}\ncommands:\n" + "\n".join(commands)})
    disk = {"a.txt": "1", "b.txt": "2"}
    ground.write(disk)
    seen: set[tuple[int, tuple[str, ...]]] = set()
    for name, text in [("a.txt", "1"), *edits]:
        disk[name] = text
        ground.write({name: text})
        ground.calls()

        ground.project("run", *(f"s{i}" for i in joins))

        expected = []
        for i, files in joins.items():  # the brute-force rebuild: a step runs for inputs it has never seen
            inputs = (i, tuple(disk[file] for file in files))
            disk[f"f{i}.txt"] = "".join(inputs[1])
            if inputs not in seen:
                expected.append(f"f{i}.txt")
                seen.add(inputs)
        assert ground.calls() == expected
        assert {path.name: path.read_text() for path in Path(ground.root).glob("*.txt")} == disk
