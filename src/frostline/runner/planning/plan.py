"""Decide which steps must run, and say why.

Pure: takes the graph, what is on record and today's fingerprints, returns decisions. Starts nothing and reads no
file itself, so `project why`, `status`, `run --dry` and `run` cannot disagree. Order is graph.py's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

from frostline.runner.digests.walking import DeadLink
from frostline.runner.keeping.context import LINKS
from frostline.runner.keeping.ledger import Body, Record, command_of
from frostline.runner.planning.causes import Cause, Kind
from frostline.runner.planning.graph import Graph
from frostline.runner.project.spec import Step


class Action(Enum):
    """What becomes of a step."""

    RUN = "run"
    SKIP = "skip"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of one step, and why."""

    step: str
    action: Action
    causes: tuple[Cause, ...] = ()
    body: Body | None = None  # of a restore: the entry of dvc.lock that is brought back
    missing: tuple[PurePosixPath, ...] = ()  # deps that are not there and that no step makes
    is_behind: bool = False  # nothing is to be made, but the ledger does not say so yet: see refresh.py

    @property
    def reasons(self) -> tuple[str, ...]:
        """The causes in words."""
        return tuple(map(str, self.causes))

    @property
    def is_certain(self) -> bool:
        """Whether it will be so whatever the steps before make: one that only waits for them may be skipped yet."""
        return self.action is Action.SKIP or any(cause.is_certain for cause in self.causes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a plan is made from; each is asked only where it matters."""

    record: Callable[[str], Record | None]  # what is on record for a step
    digest: Callable[[PurePosixPath], str | None]  # today's digest of a path; None: not there
    context: Callable[[Step], Mapping[str, str]]  # today's environment digests and package versions
    restorable: Callable[[Step, Mapping[str, str], Record | None], Body | None]  # a stored result for these deps
    # whether a dep that has changed means what it meant on record
    equivalent: Callable[[Step, Record, PurePosixPath], bool] = lambda step, record, dep: False
    is_there: Callable[[PurePosixPath], bool] = lambda path: True  # on disk, and not only promised


def make_plan(
    graph: Graph,
    order: Iterable[str],
    facts: Facts,
    *,
    forced: frozenset[str] = frozenset(),
) -> list[Decision]:
    """A decision for each step of `order`, which puts every step after those it needs.

    A step downstream of one that will run is planned to run; when its turn comes it is decided again, and is
    skipped when what it reads turns out the same.
    """
    planned: dict[str, Decision] = {}
    for name in order:
        planned[name] = decide(graph, graph.steps[name], facts, planned, force=name in forced)
    return list(planned.values())


def decide(graph: Graph, step: Step, facts: Facts, planned: Mapping[str, Decision], *, force: bool = False) -> Decision:
    """The decision for one step, given those for the steps before it."""
    deps, awaited, missing = _deps_today(graph, step, facts, planned)
    record = facts.record(step.name)
    context = facts.context(step)
    causes = [Cause(kind=Kind.FORCED)] if force else []
    standing = _standing_causes(step)
    moved = _changes(step, record, deps, context, facts)
    causes += standing + moved + awaited
    recorded = {} if record is None else record.digests("deps")
    causes += [Cause(kind=Kind.DEP, name=str(path), old=recorded.get(str(path))) for path in missing]
    causes += [] if record is None else _output_causes(graph, step, record, facts)
    if not causes:
        return _skip(step, record, deps)
    if not (force or awaited or missing or standing):
        trusted = record if record is not None and not moved else None
        body = facts.restorable(step, deps, trusted)
        if body is not None:
            return Decision(step=step.name, action=Action.RESTORE, causes=tuple(causes), body=body)
    return Decision(step=step.name, action=Action.RUN, causes=tuple(causes), missing=tuple(missing))


def _skip(step: Step, record: Record | None, deps: Mapping[str, str]) -> Decision:
    """The decision for a step that is up to date. Deps that differ all the same do so in comments or layout only."""
    if record is None:
        return Decision(step=step.name, action=Action.SKIP)
    recorded = record.digests("deps")
    edited = [dep for dep, digest in deps.items() if dep in recorded and recorded[dep] != digest]
    return Decision(
        step=step.name,
        action=Action.SKIP,
        causes=tuple(Cause(kind=Kind.EQUIVALENT, name=dep, old=recorded[dep], new=deps[dep]) for dep in edited),
        is_behind=record.context is None or any(recorded.get(dep) != digest for dep, digest in deps.items()),
    )


def _verb(decision: Decision) -> str:
    return "runs" if decision.action is Action.RUN else "is restored"


def _standing_causes(step: Step) -> list[Cause]:
    """Why a step runs whatever is on record."""
    if not step.all_outputs:
        return [Cause(kind=Kind.ALWAYS, note="it has no outputs")]
    return [Cause(kind=Kind.ALWAYS, note="no_skip is set")] if step.no_skip else []


def _deps_today(
    graph: Graph, step: Step, facts: Facts, planned: Mapping[str, Decision]
) -> tuple[dict[str, str], list[Cause], list[PurePosixPath]]:
    """(dep -> digest where known, deps that a step before makes anew, deps that are simply not there)."""
    known: dict[str, str] = {}
    awaited: list[Cause] = []
    missing: list[PurePosixPath] = []
    for dep in step.deps:
        makers = [name for name in graph.producers[step.name][dep] if name in planned]
        acting = [name for name in makers if planned[name].action is not Action.SKIP]
        promised = _promised(dep, planned[acting[0]]) if len(acting) == 1 else None
        if promised is not None:
            known[str(dep)] = promised
        elif acting:
            awaited.append(
                Cause(kind=Kind.UPSTREAM, name=str(dep), steps=tuple(acting), note=_verb(planned[acting[0]]))
            )
        else:
            today = facts.digest(dep)
            if today is None:
                missing.append(dep)
            else:
                known[str(dep)] = today
    return known, awaited, missing


def _promised(dep: PurePosixPath, decision: Decision) -> str | None:
    """The digest a dep will have when its maker is restored."""
    if decision.action is Action.RESTORE and decision.body is not None:
        for entry in decision.body.get("outs", ()):
            if entry["path"] == str(dep):
                return str(entry["md5"])
    return None


def _changes(
    step: Step, record: Record | None, deps: Mapping[str, str], context: Mapping[str, str], facts: Facts
) -> list[Cause]:
    """How the fingerprint differs from the one on record; outputs aside."""
    if record is None:
        return [Cause(kind=Kind.NEVER_RAN)] if step.all_outputs else []
    causes = [
        Cause(kind=Kind.VARIABLE, name=name, old=record.variables[name], new=value)
        for name, value in step.variables
        if name in record.variables and record.variables[name] != value
    ]
    before, today = record.body.get("cmd"), command_of(step)
    if before != today:
        causes.append(Cause(kind=Kind.COMMAND, old=before, new=today))
    recorded = record.digests("deps")
    for dep, digest in deps.items():
        if dep not in recorded:
            if record.context is None and PurePosixPath(dep) in step.imports:
                continue  # DVC wrote the record: it can't know an import that its stage does not list
            causes.append(Cause(kind=Kind.DEP, name=dep, new=digest))
        elif recorded[dep] != digest and not facts.equivalent(step, record, PurePosixPath(dep)):
            causes.append(Cause(kind=Kind.DEP, name=dep, old=recorded[dep], new=digest))
    made = record.digests("outs")
    causes += [Cause(kind=Kind.OUTPUT, name=str(path)) for path in step.all_outputs if str(path) not in made]
    return causes + _context_causes(record, context) + _link_causes(record, context, facts)


def _context_causes(record: Record, context: Mapping[str, str]) -> list[Cause]:
    if record.context is None:
        return []
    causes = []
    for key, today in context.items():
        kind, _, name = key.partition("/")
        before = record.context.get(key)
        if before == today or (kind == "env" and not record.knows_env) or key.startswith(LINKS):
            continue
        if kind == "env":
            causes.append(Cause(kind=Kind.ENVIRONMENT, name=name))
        elif kind == "requires":
            causes.append(Cause(kind=Kind.PACKAGE, name=name, old=before, new=today or None))
        else:
            causes.append(Cause(kind=Kind.DECLARED))
    return causes


def _link_causes(record: Record, context: Mapping[str, str], facts: Facts) -> list[Cause]:
    """Links to folders in deps that are new, gone, or lead elsewhere; of a dep that is not on disk nothing is known."""
    if record.context is None:
        return []
    keys = [key for key in {**record.context, **context} if key.startswith(LINKS)]
    return [
        Cause(kind=Kind.LINKS, name=key.removeprefix(LINKS), old=record.context.get(key), new=context.get(key))
        for key in keys
        if record.context.get(key) != context.get(key) and facts.is_there(PurePosixPath(key.removeprefix(LINKS)))
    ]


def _output_causes(graph: Graph, step: Step, record: Record, facts: Facts) -> list[Cause]:
    """Outputs that are gone or not as they were made. A path that a later step writes is that step's affair."""
    causes = []
    made = record.digests("outs")
    for path in step.all_outputs:
        before = made.get(str(path))
        if before is None:
            continue
        try:
            today = facts.digest(path)
        except DeadLink as error:  # what was made is lost, in part at least: no fault that only the user can mend
            causes.append(Cause(kind=Kind.OUTPUT, name=str(path), old=before, note=error.message))
            continue
        if today is None:
            causes.append(Cause(kind=Kind.OUTPUT, name=str(path), old=before))
        elif graph.last_writers[path] == step.name and today != before and not _others_write(graph, step, path):
            causes.append(Cause(kind=Kind.OUTPUT, name=str(path), old=before, new=today))
    return causes


def _others_write(graph: Graph, step: Step, path: PurePosixPath) -> bool:
    """Whether another step writes inside `path` or above it."""
    if step.name not in graph.overlapping:
        return False
    around = map(PurePosixPath, graph.writers.around(str(path)))
    return any(graph.last_writers[other] != step.name for other in around)


def following(graph: Graph, decisions: Mapping[str, Decision], names: Iterable[str]) -> list[Decision]:
    """The decisions that follow from those on `names`: steps that act as a dep of theirs is made anew, directly or not.

    Args:
        decisions: in the plan's order, those of the steps below `names` among them.
    """
    given = set(names)
    reached = {name for name in given if decisions[name].action is not Action.SKIP}
    found = []
    for step, decision in decisions.items():
        if decision.action is Action.SKIP or step in given:
            continue
        producers = graph.producers[step]
        about = [PurePosixPath(cause.name) for cause in decision.causes if cause.kind in (Kind.UPSTREAM, Kind.DEP)]
        if any(maker in reached for path in about for maker in producers.get(path, ())):
            reached.add(step)
            found.append(decision)
    return found
