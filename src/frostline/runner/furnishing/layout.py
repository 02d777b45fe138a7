"""Lay a graph out in columns, sources on the left: which column a node stands in, in which order, at which height.

The usual four moves for layered drawings: columns by longest path, a bend for each column that an edge passes, sweeps
that put each node near the middle of its neighbours, heights that keep a distance. Pure; knows names and sizes only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SWEEPS = 12
Node = tuple[str, int]  # (name, 0), or a bend: ("a → b", column)


@dataclass(slots=True)
class Layout:
    """Where everything stands; heights are in units of one box."""

    columns: list[list[str]] = field(default_factory=list)  # names, top to bottom
    heights: dict[str, float] = field(default_factory=dict)  # name -> middle of the box
    paths: dict[tuple[str, str], list[tuple[int, float]]] = field(default_factory=dict)  # edge -> (column, height)


def lay_out(needs: Mapping[str, Sequence[str]], *, bend: float = 0.45) -> Layout:
    """Lay out nodes (name -> the names it needs).

    Args:
        bend: how much of a box's height an edge takes that passes a column.
    """
    column_of = _columns(needs)
    chains = {(source, target): _chain(source, target, column_of) for target in needs for source in needs[target]}
    columns: list[list[Node]] = [[] for _ in range(max(column_of.values(), default=-1) + 1)]
    for name, column in column_of.items():
        columns[column].append((name, 0))
    for chain in chains.values():
        for node in chain[1:-1]:
            columns[node[1]].append(node)
    left, right = _neighbours(chains)
    for sweep in range(SWEEPS):
        _sweep(columns, left if sweep % 2 == 0 else right, forward=sweep % 2 == 0)
    sizes = {node: 1.0 if node[1] == 0 else bend for column in columns for node in column}
    heights = _heights(columns, left, right, sizes)
    return Layout(
        columns=[[node[0] for node in column if node[1] == 0] for column in columns],
        heights={node[0]: height for node, height in heights.items() if node[1] == 0},
        paths={
            edge: [(column_of[node[0]] if node[1] == 0 else node[1], heights[node]) for node in chain]
            for edge, chain in chains.items()
        },
    )


def _columns(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The longest way from a source to each node; an edge that closes a circle does not count."""
    found: dict[str, int] = {}
    for start in needs:
        path: dict[str, None] = {}
        stack = [(start, False)]
        while stack:
            name, leaving = stack.pop()
            if leaving:
                del path[name]
                found[name] = max((found[other] + 1 for other in needs[name] if other in found), default=0)
            elif name not in found and name not in path:
                path[name] = None
                stack.append((name, True))
                stack += [(other, False) for other in reversed(needs[name])]
    return found


def _chain(source: str, target: str, column_of: Mapping[str, int]) -> list[Node]:
    """An edge as nodes: its ends, and a bend in each column between them."""
    between = range(column_of[source] + 1, column_of[target])
    return [(source, 0), *((f"{source} → {target}", column) for column in between), (target, 0)]


def _neighbours(
    chains: Mapping[tuple[str, str], list[Node]],
) -> tuple[dict[Node, list[Node]], dict[Node, list[Node]]]:
    """(node -> its neighbours one column to the left, the same to the right)."""
    left: dict[Node, list[Node]] = {}
    right: dict[Node, list[Node]] = {}
    for chain in chains.values():
        for one, other in pairwise(chain):
            left.setdefault(other, []).append(one)
            right.setdefault(one, []).append(other)
    return left, right


def _sweep(columns: list[list[Node]], neighbours: Mapping[Node, list[Node]], *, forward: bool) -> None:
    """Sort each column by the mean place of the neighbours on one side; nodes without any keep theirs."""
    for column in columns if forward else reversed(columns):
        places = {node: index / max(1, len(other) - 1) for other in columns for index, node in enumerate(other)}
        wanted = {node: _mean([places[other] for other in neighbours.get(node, ())], places[node]) for node in column}
        column.sort(key=lambda node: wanted[node])


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _heights(
    columns: list[list[Node]],
    left: Mapping[Node, list[Node]],
    right: Mapping[Node, list[Node]],
    sizes: Mapping[Node, float],
) -> dict[Node, float]:
    """Heights near the neighbours' mean, in the order of each column and with room between."""
    heights: dict[Node, float] = {}
    for column in columns:
        total = 0.0
        for node in column:
            heights[node] = total + sizes[node] / 2
            total += sizes[node]
        for node in column:
            heights[node] -= total / 2
    for sweep in range(SWEEPS):
        sides = left if sweep % 2 == 0 else right
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = [_mean([heights[other] for other in sides.get(node, ())], heights[node]) for node in column]
            for node, height in zip(column, _apart(wanted, [sizes[node] for node in column]), strict=True):
                heights[node] = height
    top = min((heights[node] - sizes[node] / 2 for node in heights), default=0.0)
    return {node: height - top for node, height in heights.items()}


def _apart(wanted: list[float], sizes: list[float]) -> list[float]:
    """Heights in this order, as near to the wanted ones as their sizes allow.

    Neighbours that would touch move as one block, around the mean of what its members want.
    """
    blocks: list[tuple[float, float, list[int]]] = []  # (mean wanted top, height, members)
    for index, (middle, size) in enumerate(zip(wanted, sizes, strict=True)):
        blocks.append((middle - size / 2, size, [index]))
        while len(blocks) > 1 and blocks[-2][0] + blocks[-2][1] > blocks[-1][0]:
            top, height, members = blocks.pop()
            above_top, above_height, above = blocks.pop()
            share = len(above) / (len(above) + len(members))
            mean = above_top * share + (top - above_height) * (1 - share)
            blocks.append((mean, above_height + height, above + members))
    found = [0.0] * len(wanted)
    for top, _, members in blocks:
        for index in members:
            found[index] = top + sizes[index] / 2
            top += sizes[index]
    return found
