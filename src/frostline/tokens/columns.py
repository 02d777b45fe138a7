"""Columns of strings, dictionary-encoded: an int32 code for each row, and a table of the distinct strings.

A code of -1 is *missing* (nobody annotated it); the empty string is *none* (annotated, and there is nothing). The
table belongs to the column, often shared by all docs of a corpus shard, and never grows once it is made. Knows
nothing about what the strings mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

MISSING = -1

Codes = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]


class StringColumn:
    """Strings by row, in dictionary encoding. Immutable by agreement: a change is a new column.

    codes: (n_rows,) int32, each -1 or an index into `table`. table: the strings, distinct, in any order; it may hold
    strings that no row uses. Two columns are equal when their rows are, whatever their tables.
    """

    __hash__ = None  # type: ignore[assignment]  # equality is by value, and rows are arrays
    __slots__ = ("codes", "table")

    def __init__(self, codes: npt.ArrayLike, table: Sequence[str]) -> None:
        self.codes: Codes = np.asarray(codes, dtype=np.int32)
        self.table: tuple[str, ...] = tuple(table)

    @classmethod
    def from_values(cls, values: Iterable[str | None]) -> StringColumn:
        """Encode strings; the table has them in the order of first appearance, None is missing."""
        index: dict[str, int] = {}
        codes = [MISSING if value is None else index.setdefault(value, len(index)) for value in values]
        return cls(np.array(codes, dtype=np.int32), tuple(index))

    @classmethod
    def missing(cls, n_rows: int) -> StringColumn:
        """A column in which every row is missing."""
        return cls(np.full(n_rows, MISSING, dtype=np.int32), ())

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, row: int) -> str | None: ...

    @overload
    def __getitem__(self, row: slice) -> StringColumn: ...

    def __getitem__(self, row: int | slice) -> str | StringColumn | None:
        if isinstance(row, slice):
            return StringColumn(self.codes[row], self.table)
        code = self.codes[row]
        return None if code < 0 else self.table[code]

    def __iter__(self) -> Iterator[str | None]:
        return iter(self.values())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StringColumn):
            return NotImplemented
        if self.table is other.table:
            return bool(np.array_equal(self.codes, other.codes))
        return len(self) == len(other) and self.values() == other.values()

    def __repr__(self) -> str:
        shown = self[:8].values()
        more = f", … {len(self)} rows" if len(self) > len(shown) else ""
        return f"StringColumn({', '.join(map(repr, shown))}{more})"

    def __reduce__(self) -> tuple[Any, ...]:
        compact = self.compact()
        return StringColumn, (compact.codes, compact.table)

    @property
    def is_missing(self) -> Bools:
        """(n_rows,) True where nothing is annotated."""
        return self.codes < 0

    def values(self) -> list[str | None]:
        """The rows as strings, None where missing."""
        table = self.table  # of a whole corpus, maybe: not to be copied for one doc
        return [table[code] if code >= 0 else None for code in self.codes.tolist()]

    def texts(self) -> list[str]:
        """The rows as strings, "" where missing."""
        table, codes = self.table, self.codes.tolist()
        if self.is_missing.any():
            return [table[code] if code >= 0 else "" for code in codes]
        return [table[code] for code in codes]

    def take(self, rows: npt.NDArray[np.integer[Any]]) -> StringColumn:
        """The rows at these indices, in their order; an index of -1 gives a missing row."""
        if len(self) == 0:
            return StringColumn.missing(len(rows))
        return StringColumn(np.where(rows < 0, MISSING, self.codes[rows]), self.table)

    def distinct(self) -> list[str]:
        """The strings that some row has, in table order."""
        used = np.unique(self.codes)
        return [self.table[code] for code in used.tolist() if code >= 0]

    def compact(self) -> StringColumn:
        """An equal column whose table holds only what its rows use, sorted."""
        strings = sorted(self.distinct())
        index = {string: code for code, string in enumerate(strings)}
        return StringColumn(self.encode(index), strings)

    def encode(self, index: Mapping[str, int], *, unknown: int = MISSING) -> npt.NDArray[np.int32]:
        """Translate every row, (n_rows,) int32: -1 where missing, `unknown` where `index` has no such string.

        Each distinct string is looked up once.
        """
        used, rows = np.unique(self.codes, return_inverse=True)
        targets = [MISSING if code < 0 else index.get(self.table[code], unknown) for code in used.tolist()]
        return np.array(targets, dtype=np.int32)[rows.reshape(-1)] if targets else np.zeros(0, dtype=np.int32)


def concat(columns: Sequence[StringColumn]) -> StringColumn:
    """One column with the rows of all, in order. Columns that share a table keep it."""
    if not columns:
        return StringColumn.missing(0)
    first = columns[0].table
    if all(column.table is first for column in columns):
        return StringColumn(np.concatenate([column.codes for column in columns]), first)
    index: dict[str, int] = {}
    for column in columns:
        for string in column.distinct():
            index.setdefault(string, len(index))
    return StringColumn(np.concatenate([column.encode(index) for column in columns]), tuple(index))
