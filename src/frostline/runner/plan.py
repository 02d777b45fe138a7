"""Decide which steps must run, and say why.

Pure: takes the graph, what is on record and today's fingerprints, returns decisions. Starts nothing and reads no
file itself, so `project why`, `status`, `run --dry` and `run` cannot disagree. Order is graph.py's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

from frostline.runner.graph import Graph
from frostline.runner.ledger import Body, Record, command_of
from frostline.runner.spec import Step


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
    reasons: tuple[str, ...] = ()
    body: Body | None = None  # of a restore: the entry of dvc.lock that is brought back
    missing: tuple[PurePosixPath, ...] = ()  # deps that are not there and that no step makes
    is_behind: bool = False  # nothing is to be made, but the ledger does not say so yet: see refresh.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a plan is made from; each is asked only where it matters."""

    record: Callable[[str], Record | None]  # what is on record for a step
    digest: Callable[[PurePosixPath], str | None]  # today's digest of a path; None: not there
    context: Callable[[Step], Mapping[str, str]]  # today's environment digests and package versions
    restorable: Callable[[Step, Mapping[str, str], Record | None], Body | None]  # a stored result for these deps
    # whether a dep that has changed means what it meant on record
    equivalent: Callable[[Step, Record, PurePosixPath], bool] = lambda step, record, dep: False


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
    reasons = [] if not force else ["asked for by --force"]
    reasons += _standing_reasons(step)
    moved = _changes(step, record, deps, context, facts)
    reasons += moved
    reasons += [f"dep '{dep}' comes from '{maker}', which {_verb(planned[maker])}" for dep, maker in awaited]
    reasons += [f"dep '{path}' is missing" for path in missing]
    output_reasons = [] if record is None else _output_reasons(graph, step, record, facts)
    reasons += output_reasons
    if not reasons:
        return _skip(step, record, deps)
    if not (force or awaited or missing or _standing_reasons(step)):
        trusted = record if record is not None and not moved else None
        body = facts.restorable(step, deps, trusted)
        if body is not None:
            return Decision(step=step.name, action=Action.RESTORE, reasons=tuple(reasons), body=body)
    return Decision(step=step.name, action=Action.RUN, reasons=tuple(reasons), missing=tuple(missing))


def _skip(step: Step, record: Record | None, deps: Mapping[str, str]) -> Decision:
    """The decision for a step that is up to date. Deps that differ all the same do so in comments or layout only."""
    if record is None:
        return Decision(step=step.name, action=Action.SKIP)
    recorded = record.digests("deps")
    edited = [dep for dep, digest in deps.items() if dep in recorded and recorded[dep] != digest]
    return Decision(
        step=step.name,
        action=Action.SKIP,
        reasons=tuple(f"dep '{dep}' changed in comments or layout only" for dep in edited),
        is_behind=record.context is None or any(recorded.get(dep) != digest for dep, digest in deps.items()),
    )


def _verb(decision: Decision) -> str:
    return "runs" if decision.action is Action.RUN else "is restored"


def _standing_reasons(step: Step) -> list[str]:
    """Why a step runs whatever is on record."""
    if not step.all_outputs:
        return ["always runs: it has no outputs"]
    return ["always runs: no_skip is set"] if step.no_skip else []


def _deps_today(
    graph: Graph, step: Step, facts: Facts, planned: Mapping[str, Decision]
) -> tuple[dict[str, str], list[tuple[PurePosixPath, str]], list[PurePosixPath]]:
    """(dep -> digest where known, deps that a step before makes anew, deps that are simply not there)."""
    known: dict[str, str] = {}
    awaited: list[tuple[PurePosixPath, str]] = []
    missing: list[PurePosixPath] = []
    for dep in step.deps:
        makers = [name for name in graph.producers[step.name][dep] if name in planned]
        acting = [name for name in makers if planned[name].action is not Action.SKIP]
        promised = _promised(dep, planned[acting[0]]) if len(acting) == 1 else None
        if promised is not None:
            known[str(dep)] = promised
        elif acting:
            awaited.append((dep, acting[0]))
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
) -> list[str]:
    """How the fingerprint differs from the one on record; outputs aside."""
    if record is None:
        return ["never ran here"] if step.all_outputs else []
    reasons = [
        f"vars.{name} changed: {_short(record.variables[name])} → {_short(value)}"
        for name, value in step.variables
        if name in record.variables and record.variables[name] != value
    ]
    if record.body.get("cmd") != command_of(step):
        reasons.append("command changed")
    recorded = record.digests("deps")
    for dep, digest in deps.items():
        if dep not in recorded:
            if record.context is None and PurePosixPath(dep) in step.imports:
                continue  # DVC wrote the record: it can't know an import that its stage does not list
            reasons.append(f"dep '{dep}' is new")
        elif recorded[dep] != digest and not facts.equivalent(step, record, PurePosixPath(dep)):
            reasons.append(f"dep '{dep}' changed: {recorded[dep][:8]} → {digest[:8]}")
    made = record.digests("outs")
    reasons += [f"output '{path}' is new" for path in step.all_outputs if str(path) not in made]
    return reasons + _context_changes(record, context)


def _context_changes(record: Record, context: Mapping[str, str]) -> list[str]:
    if record.context is None:
        return []
    reasons = []
    for key, today in context.items():
        kind, _, name = key.partition("/")
        before = record.context.get(key)
        if before == today or (kind == "env" and not record.knows_env):
            continue
        if kind == "env":
            reasons.append(f"environment variable {name} changed")
        elif kind == "requires":
            reasons.append(f"package {name} changed: {before or 'not on record'} → {today or 'not installed'}")
        else:
            reasons.append("what it is told in the project file changed")
    return reasons


def _output_reasons(graph: Graph, step: Step, record: Record, facts: Facts) -> list[str]:
    """Outputs that are gone or not as they were made. A path that a later step writes is that step's affair."""
    reasons = []
    made = record.digests("outs")
    for path in step.all_outputs:
        if str(path) not in made:
            continue
        today = facts.digest(path)
        if today is None:
            reasons.append(f"output '{path}' is missing")
        elif (
            graph.last_writers[path] == step.name and today != made[str(path)] and not _others_write(graph, step, path)
        ):
            reasons.append(f"output '{path}' is not as the step left it")
    return reasons


def _others_write(graph: Graph, step: Step, path: PurePosixPath) -> bool:
    """Whether another step writes inside `path` or above it."""
    if step.name not in graph.overlapping:
        return False
    around = map(PurePosixPath, graph.writers.around(str(path)))
    return any(graph.last_writers[other] != step.name for other in around)


def _short(value: str) -> str:
    return value if len(value) <= 40 else value[:37] + "…"
