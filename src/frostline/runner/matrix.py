"""The cells of a matrix. Pure.

The product of the axes, the first one slowest; `exclude` takes cells away; an entry of `include` adds its further
keys to the cells it matches, or is a cell of its own when it matches none.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from frostline.runner.faults import kind_of
from frostline.runner.references import Scope
from frostline.runner.spec import Matrix, Place

Cell = dict[str, Any]


def cells(matrix: Matrix, scope: Scope) -> list[Cell]:
    """All cells, in order. What is wrong with them is noted in the scope's faults."""
    axes = {name: _values(name, value, matrix.place, scope) for name, value in matrix.axes.items()}
    found: list[Cell] = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    if not axes:
        found = []
    for entry in matrix.exclude:
        _check_axes(entry, matrix, scope)
        found = [cell for cell in found if not _matches(cell, entry)]
    base = [dict(cell) for cell in found]
    for raw in matrix.include:
        entry = {key: _filled(value, getattr(raw, "place", matrix.place), scope) for key, value in raw.items()}
        on_axes = {key: entry[key] for key in entry if key in axes}
        picked = [index for index, cell in enumerate(base) if on_axes and _matches(cell, on_axes)]
        for index in picked:
            found[index] |= {key: value for key, value in entry.items() if key not in axes}
        if not picked:
            missing = [name for name in axes if name not in entry]
            if missing:
                place = getattr(raw, "place", matrix.place)
                scope.faults.add(
                    place,
                    f"This cell has no value for the axis '{missing[0]}' and matches no other cell.",
                    f"Give it one to make it a cell of its own, or mend {' and '.join(on_axes) or 'the axes'} "
                    "so that it matches.",
                )
                continue  # the names in the command would all be faults too
            found.append(dict(entry))
    return found


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
