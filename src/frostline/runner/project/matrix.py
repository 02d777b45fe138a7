"""The cells of a matrix. Pure.

The product of the axes, the first one slowest; `exclude` takes cells away; an entry of `include` adds its further
keys to the cells it matches, or is a cell of its own when it matches none. One whose cells are only gone because the
command line, or this profile, has narrowed an axis falls away with them.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from frostline.runner.project.faults import kind_of
from frostline.runner.project.references import Scope
from frostline.runner.project.spec import Matrix, Place

Cell = dict[str, Any]
MAX_CELLS = 100_000  # of one command


def cells(matrix: Matrix, scope: Scope, *, own: Scope | None = None, others: Iterable[Scope] = ()) -> list[Cell]:
    """All cells, in order. What is wrong with them is noted in the scope's faults.

    Args:
        own: the scope without the command line's values; None: it gave none.
        others: the scopes of the other profiles that have the command.
    """
    base_of = functools.cache(lambda scope: _product(matrix, scope))
    base = base_of(scope)
    found = [dict(cell) for cell in base]

    def has_cells(raw: Mapping[str, Any], scope: Scope) -> bool:
        return bool(_picked(_filled_entry(raw, matrix, scope), matrix, base_of(scope)))

    for raw in matrix.include:
        entry = _filled_entry(raw, matrix, scope)
        picked = _picked(entry, matrix, base)
        for index in picked:
            found[index] |= {key: value for key, value in entry.items() if key not in matrix.axes}
        if picked or (own is not None and has_cells(raw, own)):
            continue  # an addition to cells, be they here or narrowed away
        missing = [name for name in matrix.axes if name not in entry]
        if not missing:
            found.append(dict(entry))
        elif not any(has_cells(raw, other) for other in others):
            _note_slip(raw, missing[0], matrix, scope)
    return found


def _product(matrix: Matrix, scope: Scope) -> list[Cell]:
    """The cells before `include`."""
    axes = {name: _values(name, value, matrix.place, scope) for name, value in matrix.axes.items()}
    if not axes:
        return []
    n_cells = math.prod(map(len, axes.values()))
    if n_cells > MAX_CELLS:  # counted before any is made: they may take more memory than there is
        shown = " × ".join(f"{name} ({len(values):,})" for name, values in axes.items())
        message = f"This matrix has {n_cells:,} cells: {shown}. A command may have {MAX_CELLS:,}."
        scope.faults.add(matrix.place, message, "Take values away, or divide the command.")
        return []
    found: list[Cell] = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    for entry in matrix.exclude:
        _check_axes(entry, matrix, scope)
        found = [cell for cell in found if not _matches(cell, entry)]
    return found


def _picked(entry: Cell, matrix: Matrix, base: list[Cell]) -> list[int]:
    """The places in `base` of the cells that an entry of `include` matches by the axes it names."""
    on_axes = {key: value for key, value in entry.items() if key in matrix.axes}
    return [index for index, cell in enumerate(base) if on_axes and _matches(cell, on_axes)]


def _note_slip(raw: Mapping[str, Any], missing: str, matrix: Matrix, scope: Scope) -> None:
    named = " and ".join(key for key in raw if key in matrix.axes) or "the axes"
    scope.faults.add(
        getattr(raw, "place", matrix.place),
        f"This cell has no value for the axis '{missing}' and matches no other cell.",
        f"Give it one to make it a cell of its own, or mend {named} so that it matches.",
    )


def _filled_entry(raw: Mapping[str, Any], matrix: Matrix, scope: Scope) -> Cell:
    place = getattr(raw, "place", matrix.place)
    return {key: _filled(value, place, scope) for key, value in raw.items()}


def _filled(value: Any, place: Place, scope: Scope) -> Any:
    """A value of `include` with its references filled in, inside a list too."""
    if isinstance(value, list):
        return [scope.value(item, place) for item in value]
    return scope.value(value, place)


def _values(name: str, value: Any, place: Place, scope: Scope) -> list[Any]:
    here = getattr(value, "place", place)
    values = scope.value(value, here)
    if not isinstance(values, list):
        if not isinstance(values, str) or "${" not in values:
            scope.faults.add(here, f"The axis '{name}' must be a list of values, not {kind_of(values)}.")
        return []
    filled = [scope.value(item, getattr(item, "place", here)) for item in values]
    for item in filled:
        if item is None or isinstance(item, dict | list):
            scope.faults.add(here, f"The axis '{name}' must hold plain values, not {kind_of(item)}.")
    return filled


def _check_axes(entry: Mapping[str, Any], matrix: Matrix, scope: Scope) -> None:
    for key in entry:
        if key not in matrix.axes:
            scope.faults.unknown(getattr(entry, "place", matrix.place), "axis", key, matrix.axes)


def _matches(cell: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    return all(key in cell and cell[key] == value for key, value in entry.items())
