"""Bring the ledger up to date where nothing is to be made: a dep was edited in comments or layout only, or DVC ran it.

The step's outputs stay what they are; its entry in dvc.lock gets the deps' digests of today, and the run cache an entry
for them, so that DVC finds the result too. What dvc.yaml says of it follows when it is written next.
"""

from __future__ import annotations

from collections.abc import Iterable

from frostline.runner.keeping.ledger import Body, Entry, entry_of
from frostline.runner.planning.plan import Action, Decision, decide
from frostline.runner.project.spec import Step
from frostline.runner.running.locks import Locks
from frostline.runner.session import Session


def with_deps_of_today(session: Session, step: Step, body: Body) -> Body:
    """A body of dvc.lock with the step's deps as they are now; one that is not there stays as it is on record."""
    recorded = {entry["path"]: entry for entry in body.get("deps", ())}
    deps = []
    for path in sorted(step.deps, key=str):
        digest = session.digest(path)
        if digest is not None and not session.absent.of(path):
            deps.append(entry_of(path, digest))
        elif str(path) in recorded:
            deps.append(recorded[str(path)])
    new: Body = {}
    for key in ("cmd", "deps", *body):
        if key == "deps":
            if deps:
                new["deps"] = deps
        elif key in body:
            new[key] = body[key]
    return new


def refresh(session: Session, decisions: Iterable[Decision], locks: Locks) -> list[Decision]:
    """Note the deps of today for every step that is up to date but behind on record; give those decisions."""
    behind = [decision for decision in decisions if decision.is_behind and decision.action is Action.SKIP]
    if not behind or session.under_dvc or not session.places.dvc.is_dir():
        return []
    steps = [session.graph.steps[decision.step] for decision in behind]
    meanings = {step.name: session.meanings(step) for step in steps}  # files are read before the lock is taken
    entries = []
    with locks.ledger():
        session.ledger.reload()
        for step in steps:
            record = session.ledger.record(step.name)
            if record is None or not decide(session.graph, step, session.facts(), {}).is_behind:
                continue  # another runner was faster
            body = with_deps_of_today(session, step, record.body)
            context = session.contexts.of(step)
            if step.name in session.ledger.managed and session.restorer.has_all(step, body):
                session.restorer.remember(body, context)
            entries.append(Entry(step=step, body=body, context=context, meanings=meanings[step.name]))
        session.ledger.put(entries)
    session.hasher.save()
    return behind
