"""Draw steps and their edges: as text, as a Mermaid flowchart, as an SVG picture. Pure: values in, text out.

The SVG needs no other program: layout.py says where everything stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from frostline.runner.furnishing.layout import lay_out
from frostline.runner.planning.plan import Action
from frostline.runner.project.naming import plain_name

MARKS = {Action.RUN: "●", Action.RESTORE: "◐", Action.SKIP: "○"}
LEGEND = {Action.RUN: "to run", Action.RESTORE: "to restore", Action.SKIP: "up to date"}

# SVG, in pixels
CHAR_WIDTH = 7.3  # of the monospaced font, at its size
BOX_HEIGHT = 28.0
ROW_HEIGHT = 42.0
GAP = 56.0  # between columns
MARGIN = 16.0
LEGEND_HEIGHT = 34.0
# Attributes rather than a style sheet: every viewer knows them.
COLOURS = {
    Action.RUN: ("#fdeedc", "#c8761a"),
    Action.RESTORE: ("#e3effb", "#3b76b5"),
    Action.SKIP: ("#f1f4f6", "#9aa7b4"),
}
INK = "#1c2733"
LINE = "#9aa7b4"
FONT = "DejaVu Sans Mono, Menlo, Consolas, monospace"


@dataclass(frozen=True, slots=True)
class Node:
    """One step, or all the cells of a matrix."""

    action: Action
    needs: tuple[str, ...]  # names of nodes
    n_steps: int = 1


Nodes = Mapping[str, Node]


def without_implied(nodes: Nodes) -> dict[str, Node]:
    """The same nodes without the edges that follow from others: of fetch → convert → train, not fetch → train."""
    above: dict[str, set[str]] = {}

    def reach(name: str) -> set[str]:
        """Everything that a node needs, at any distance; a node on the way there counts as known, against circles."""
        pending = [name]
        while pending:
            current = pending[-1]
            missing = [other for other in nodes[current].needs if other not in above]
            if missing and current not in above:
                above[current] = set()
                pending += missing
                continue
            above[current] = {*nodes[current].needs, *(far for other in nodes[current].needs for far in above[other])}
            pending.pop()
        return above[name]

    for name in nodes:
        reach(name)
    kept = {}
    for name, node in nodes.items():
        implied = {far for other in node.needs for far in above[other] if name not in above[other]}
        kept[name] = Node(node.action, tuple(other for other in node.needs if other not in implied), node.n_steps)
    return kept


def as_text(nodes: Nodes) -> str:
    """A line for each node: what becomes of it, and what it needs."""
    width = max(map(len, nodes), default=0)
    lines = [
        f"{MARKS[node.action]} {name:<{width}}" + (f"  ← {', '.join(node.needs)}" if node.needs else "")
        for name, node in nodes.items()
    ]
    legend = "  ".join(f"{mark} {LEGEND[action]}" for action, mark in MARKS.items())
    return "\n".join([*(line.rstrip() for line in lines), "", legend])


def as_mermaid(nodes: Nodes) -> str:
    """A Mermaid flowchart; steps that would run are dashed."""
    lines = ["flowchart TD"]
    lines += [f'    {_mermaid_id(name)}["{escape(_label(name, node))}"]' for name, node in nodes.items()]
    lines += [
        f"    {_mermaid_id(other)} --> {_mermaid_id(name)}" for name, node in nodes.items() for other in node.needs
    ]
    stale = [_mermaid_id(name) for name, node in nodes.items() if node.action is Action.RUN]
    if stale:
        lines += ["    classDef stale stroke-dasharray: 4", f"    class {','.join(stale)} stale"]
    return "\n".join(lines)


def _mermaid_id(name: str) -> str:
    """`end` alone would end Mermaid's diagram."""
    plain = plain_name(name)
    return f"{plain}_" if plain.lower() == "end" else plain


def _label(name: str, node: Node) -> str:
    return f"{name} × {node.n_steps}" if node.n_steps > 1 else name


def as_svg(nodes: Nodes, title: str = "") -> str:
    """A picture, from left to right."""
    layout = lay_out({name: node.needs for name, node in nodes.items()})
    labels = {name: _label(name, node) for name, node in nodes.items()}
    widths = [max((_width(labels[name]) for name in column), default=0.0) for column in layout.columns]
    starts = [MARGIN + sum(widths[:index]) + GAP * index for index in range(len(widths))]
    rows = max((height + 0.5 for path in layout.paths.values() for _, height in path), default=1.0)
    rows = max(rows, *(height + 0.5 for height in layout.heights.values())) if layout.heights else 1.0
    width = max((starts[-1] + widths[-1] if widths else 0.0) + MARGIN, 360.0)
    height = rows * ROW_HEIGHT + LEGEND_HEIGHT + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>{escape(title or 'Steps')}</title>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'<g fill="none" stroke="{LINE}" stroke-width="1.2">',
    ]
    for (source, _), path in layout.paths.items():
        parts.append(_edge(path, starts, widths, start=starts[path[0][0]] + _width(labels[source])))
    parts += ["</g>", f'<g fill="{LINE}">']
    parts += dict.fromkeys(_tip(starts[path[-1][0]], _y(path[-1][1])) for path in layout.paths.values())
    parts += ["</g>", f'<g font-family="{FONT}" font-size="12" stroke-width="1.2">']
    for index, column in enumerate(layout.columns):
        parts += [_box(name, labels[name], nodes[name], starts[index], layout.heights[name]) for name in column]
    parts.append(_legend(height - LEGEND_HEIGHT + 12))
    return "\n".join([*parts, "</g>", "</svg>"])


def _width(label: str) -> float:
    return len(label) * CHAR_WIDTH + 20


def _y(height: float) -> float:
    return MARGIN + (height - 0.5) * ROW_HEIGHT + BOX_HEIGHT / 2


def _box(name: str, label: str, node: Node, left: float, height: float) -> str:
    top = _y(height) - BOX_HEIGHT / 2
    return (
        f"<g><title>{escape(name)}: {LEGEND[node.action]}</title>"
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{_width(label):.1f}" height="{BOX_HEIGHT:.0f}" rx="5"'
        f" {_paint(node.action)}/>"
        f'<text x="{left + 10:.1f}" y="{top + BOX_HEIGHT / 2 + 4:.1f}" fill="{INK}">{escape(label)}</text></g>'
    )


def _paint(action: Action) -> str:
    fill, stroke = COLOURS[action]
    return f'fill="{fill}" stroke="{stroke}"'


def _edge(path: list[tuple[int, float]], starts: list[float], widths: list[float], *, start: float) -> str:
    """Curves from the right side of one box, past the columns between, to the left side of another."""
    column, height = path[0]
    x, y = start, _y(height)
    commands = [f"M{x:.1f},{y:.1f}"]
    edge = starts[column] + widths[column]
    if edge > x:
        commands.append(f"H{edge:.1f}")
    for column, height in path[1:]:
        before = starts[column] - GAP
        last = column == path[-1][0]
        target_x, target_y = starts[column] - (5 if last else 0), _y(height)
        middle = (before + target_x) / 2
        commands.append(f"C{middle:.1f},{y:.1f} {middle:.1f},{target_y:.1f} {target_x:.1f},{target_y:.1f}")
        if not last:
            commands.append(f"H{starts[column] + widths[column]:.1f}")
        y = target_y
    return f'<path d="{" ".join(commands)}"/>'


def _tip(x: float, y: float) -> str:
    return f'<path d="M{x:.1f},{y:.1f} l-7,-3.5 v7 z"/>'


def _legend(top: float) -> str:
    parts = []
    left = MARGIN
    for action, text in LEGEND.items():
        parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="12" height="12" rx="3" {_paint(action)}/>'
            f'<text x="{left + 18:.1f}" y="{top + 10.5:.1f}" fill="{INK}">{text}</text>'
        )
        left += 18 + len(text) * CHAR_WIDTH + 24
    return "".join(parts)
