"""Show which step needs which, and what would become of each: as text, as a Mermaid diagram, or as an SVG picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from frostline.console import out, say
from frostline.errors import UsageError
from frostline.files import write_text_atomic
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.furnishing.drawing import Node, as_mermaid, as_svg, as_text, without_implied
from frostline.runner.planning.plan import Action, Decision
from frostline.runner.session import Session

RANK = [Action.SKIP, Action.RESTORE, Action.RUN]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project graph`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="steps or workflows (default: every step)")
    parser.add_argument(
        "--format", choices=("text", "mermaid", "svg"), help="default: what --output ends in, else text"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write to a file: .svg, .mmd or anything else")
    parser.add_argument("--commands", action="store_true", help="draw a matrix as one node")
    parser.add_argument("--all-edges", action="store_true", help="in the picture: edges that follow from others too")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Plan, and draw."""
    session = open_session(values, rest)
    decisions = {decision.step: decision for decision in session.plan(session.select(values.names))}
    session.hasher.save()
    nodes = nodes_of(session, decisions, commands=values.commands)
    kind = values.format or {".svg": "svg", ".mmd": "mermaid"}.get(Path(values.output or "").suffix, "text")
    if kind == "svg":
        drawn = as_svg(nodes if values.all_edges else without_implied(nodes), session.spec.title)
    else:
        drawn = as_mermaid(nodes) if kind == "mermaid" else as_text(nodes)
    if not values.output:
        out(drawn)
        return
    if Path(values.output).is_dir():
        raise UsageError(f"'{values.output}' is a folder.", fix="Name a file.")
    write_text_atomic(Path(values.output), drawn + "\n")
    say(f"written: {values.output}")


def nodes_of(session: Session, decisions: dict[str, Decision], *, commands: bool) -> dict[str, Node]:
    """The nodes to draw; a matrix as one node is as stale as its stalest cell."""

    def node_of(name: str) -> str:
        return session.graph.steps[name].command if commands else name

    nodes: dict[str, Node] = {}
    for name, decision in decisions.items():
        before = nodes.get(node_of(name), Node(Action.SKIP, (), 0))
        needed = list(before.needs)
        for other in session.graph.upstream[name]:
            if other in decisions and node_of(other) not in (*needed, node_of(name)):
                needed.append(node_of(other))
        action = max(before.action, decision.action, key=RANK.index)
        nodes[node_of(name)] = Node(action, tuple(needed), before.n_steps + 1)
    return nodes
