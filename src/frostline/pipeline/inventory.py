"""What a pipeline is made of and what of it moves: the table of `frostline debug model`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from frostline.embedding.transformer import Transformer
from frostline.layers import modes
from frostline.layers.module_tree import ThincNode
from frostline.layers.parameters import ParameterStore
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.wiring import named_embedders

HEADINGS = ("module", "parameters", "mode", "moves", "optimizer group", "bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One module, with all that is in it."""

    module: str  # as patterns of [pipeline.modes] see it
    parameters: int
    mode: str  # of the modules that have parameters; several where they differ
    moves: bool
    groups: tuple[str, ...]  # of the optimizer; empty where nothing moves
    bytes: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "groups": list(self.groups)}


def inventory(pipeline: Pipeline, *, every: bool = False) -> list[Row]:
    """The modules of a pipeline in its order, those of one fate as one row.

    Args:
        every: a row for each module that has parameters of its own, whatever its neighbours do.
    """
    groups = _groups_of(pipeline.parameters)
    rows: list[Row] = []
    for name, tree in pipeline.freezing.trees.items():
        rows += _rows(name, tree, groups, every)
    return rows


def as_table(rows: Sequence[Row]) -> list[str]:
    """The rows as lines of text, numbers to the right, with a last line for all of them together."""
    n_moving = sum(row.parameters for row in rows if row.moves)
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    total, n_bytes = sum(row.parameters for row in rows), sum(row.bytes for row in rows)
    cells.append(("all", f"{total:,}", "", f"{n_moving:,}", "", f"{n_bytes:,}"))
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    right = (1, 5)
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]


def what_is_kept(pipeline: Pipeline) -> Iterator[str]:
    """A sentence for each transformer of which a run keeps what its lower layers give; see embedding/depths.py."""
    for name in pipeline.order:
        for own, embedder in named_embedders(pipeline, name):
            if isinstance(embedder, Transformer) and embedder.depth is not None:
                yield f"{own}: hidden state {embedder.depth.number} never moves, so a run computes what lies below once"


def _cells(row: Row) -> tuple[str, ...]:
    return (row.module, f"{row.parameters:,}", row.mode, "yes" if row.moves else "no",
            ", ".join(row.groups) or "-", f"{row.bytes:,}")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaf:
    """One parameter where it lies."""

    n_values: int
    n_bytes: int
    moves: bool
    group: str
    mode: str


def _groups_of(store: ParameterStore) -> dict[int, tuple[str, bool]]:
    """Address of a parameter -> its group, and whether it moves."""
    return {
        entry.view(group.values).data_ptr(): (group.name, group.trainable)
        for group in store.groups
        for entry in group.entries
        if entry.n_values
    }


def _rows(name: str, module: nn.Module, groups: dict[int, tuple[str, bool]], every: bool) -> Iterator[Row]:
    leaves = list(_leaves(module, groups))
    if not leaves:
        return
    own = list(_leaves(module, groups, recurse=False))
    children = list(module.named_children())
    is_one = len({(leaf.moves, leaf.mode) for leaf in leaves}) == 1 and not every
    if is_one or not children:
        yield _row(name, leaves)
        return
    if own:
        yield _row(name, own)
    for child, inner in children:
        yield from _rows(f"{name}.{child}", inner, groups, every)


def _row(name: str, leaves: Sequence[_Leaf]) -> Row:
    moves = any(leaf.moves for leaf in leaves)
    names = tuple(dict.fromkeys(leaf.group for leaf in leaves if leaf.moves))
    return Row(
        module=name, parameters=sum(leaf.n_values for leaf in leaves),
        mode=", ".join(dict.fromkeys(leaf.mode for leaf in leaves)), moves=moves, groups=names,
        bytes=sum(leaf.n_bytes for leaf in leaves),
    )  # fmt: skip


def _leaves(module: nn.Module, groups: dict[int, tuple[str, bool]], *, recurse: bool = True) -> Iterator[_Leaf]:
    seen: set[int] = set()
    for part in module.modules() if recurse else [module]:
        mode = modes.mode_of(part).value
        for parameter in part.parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                group, moves = groups.get(parameter.data_ptr(), ("", parameter.requires_grad))
                yield _Leaf(n_values=parameter.numel(), n_bytes=parameter.numel() * parameter.element_size(),
                            moves=moves, group=group, mode=mode)  # fmt: skip
        if isinstance(part, ThincNode):
            for name in part.node.param_names:
                if part.node.has_param(name):
                    values = part.node.get_param(name)
                    group, moves = groups.get(values.ctypes.data if hasattr(values, "ctypes") else 0, ("", True))
                    yield _Leaf(n_values=values.size, n_bytes=values.nbytes, moves=moves, group=group, mode=mode)
