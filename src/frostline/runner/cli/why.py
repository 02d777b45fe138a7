"""Show everything that decides about one step: the decision, its causes, and what follows from it."""

from __future__ import annotations

import argparse
import json

from frostline.console import out
from frostline.runner.cli.options import add_project_options, add_strict, open_session
from frostline.runner.ledger import command_of
from frostline.runner.plan import Action, Decision
from frostline.runner.session import Session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project why`."""
    parser.add_argument("names", nargs="+", metavar="STEP", help="step (or workflow, prefix, glob)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_strict(parser)
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Plan with everything upstream, and show the named steps' part."""
    session = open_session(values, rest)
    selection = session.select(values.names)
    decisions = {decision.step: decision for decision in session.plan(selection)}
    session.hasher.save()
    named = [name for name in selection.order if name in selection.named]
    if values.json:
        out(json.dumps([_as_json(session, decisions[name]) for name in named], indent=2, ensure_ascii=False))
        return
    for name in named:
        _show(session, decisions[name])


def _show(session: Session, decision: Decision) -> None:
    words = {Action.RUN: "would run", Action.RESTORE: "would be restored from the store", Action.SKIP: "is up to date"}
    out(f"{decision.step} {words[decision.action]}")
    for reason in decision.reasons:
        out(f"  {'though' if decision.action is Action.SKIP else 'because'} {reason}")
    if "command changed" in decision.reasons:
        _show_command(session, decision.step)
    imports = session.graph.steps[decision.step].imports
    if imports:
        out(f"  its code, found by following imports: {', '.join(map(str, imports))}")
    below = _downstream(session, decision.step)
    if decision.action is not Action.SKIP and below:
        out(f"  downstream: {', '.join(below)}")


def _show_command(session: Session, name: str) -> None:
    """The command on record against today's, line by line."""
    import difflib

    record = session.ledger.record(name)
    before = record.body.get("cmd", "") if record else ""
    after = command_of(session.graph.steps[name])
    old, new = ([lines] if isinstance(lines, str) else list(lines) for lines in (before, after))
    for line in list(difflib.unified_diff(old, new, lineterm="", n=1))[2:]:
        if not line.startswith("@@"):
            out(f"    {line}")


def _downstream(session: Session, name: str) -> list[str]:
    """All steps below a step, in the file's order."""
    found: set[str] = set()
    pending = [name]
    while pending:
        for below in session.graph.downstream(pending.pop()):
            if below not in found:
                found.add(below)
                pending.append(below)
    return [step for step in session.graph.steps if step in found]


def _as_json(session: Session, decision: Decision) -> dict[str, object]:
    return {
        "step": decision.step,
        "action": decision.action.value,
        "reasons": list(decision.reasons),
        "upstream": list(session.graph.upstream[decision.step]),
        "downstream": _downstream(session, decision.step),
    }
