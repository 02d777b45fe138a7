"""Show which step needs which: as text, or as a Mermaid diagram for a README."""

from __future__ import annotations

import argparse

from frostline.console import out
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.places import plain_name
from frostline.runner.plan import Action, Decision
from frostline.runner.session import Session

MARKS = {Action.RUN: "●", Action.RESTORE: "◐", Action.SKIP: "○"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project graph`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="steps or workflows (default: every step)")
    parser.add_argument("--format", choices=("text", "mermaid"), default="text", help="default: text")
    parser.add_argument("--commands", action="store_true", help="draw a matrix as one node")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Plan, and draw."""
    session = open_session(values, rest)
    decisions = {decision.step: decision for decision in session.plan(session.select(values.names))}
    session.hasher.save()
    draw = mermaid if values.format == "mermaid" else text
    out("\n".join(draw(session, decisions, commands=values.commands)))


def _nodes(session: Session, decisions: dict[str, Decision], *, commands: bool) -> dict[str, tuple[Action, list[str]]]:
    """node -> (what becomes of it, the nodes it needs); a matrix is as stale as its stalest cell."""
    rank = [Action.SKIP, Action.RESTORE, Action.RUN]

    def node_of(name: str) -> str:
        return session.graph.steps[name].command if commands else name

    nodes: dict[str, tuple[Action, list[str]]] = {}
    for name, decision in decisions.items():
        before, needed = nodes.get(node_of(name), (Action.SKIP, []))
        for other in session.graph.upstream[name]:
            if other in decisions and node_of(other) not in (*needed, node_of(name)):
                needed.append(node_of(other))
        nodes[node_of(name)] = (max(before, decision.action, key=rank.index), needed)
    return nodes


def text(session: Session, decisions: dict[str, Decision], *, commands: bool = False) -> list[str]:
    """A line for each step: what becomes of it, and what it needs."""
    nodes = _nodes(session, decisions, commands=commands)
    width = max(map(len, nodes), default=0)
    lines = [
        f"{MARKS[action]} {name:<{width}}" + (f"  ← {', '.join(needed)}" if needed else "")
        for name, (action, needed) in nodes.items()
    ]
    return [*(line.rstrip() for line in lines), "", "● to run  ◐ to restore  ○ up to date"]


def mermaid(session: Session, decisions: dict[str, Decision], *, commands: bool = False) -> list[str]:
    """A Mermaid flowchart; steps that would run are marked."""
    nodes = _nodes(session, decisions, commands=commands)
    lines = ["flowchart TD"]
    lines += [f'    {plain_name(name)}["{name}"]' for name in nodes]
    lines += [
        f"    {plain_name(other)} --> {plain_name(name)}" for name, (_, needed) in nodes.items() for other in needed
    ]
    stale = [plain_name(name) for name, (action, _) in nodes.items() if action is Action.RUN]
    if stale:
        lines += ["    classDef stale stroke-dasharray: 4", f"    class {','.join(stale)} stale"]
    return lines
