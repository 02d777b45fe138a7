"""What scoring needs of a doc. `frostline.tokens.Doc` has it; so may anything else with these columns.

A protocol rather than an import, because tokens and evaluation stand on the same floor and neither leans on the other.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MISSING = -1


class Column(Protocol):
    """Dictionary-encoded strings, one per token: `table[codes[i]]`, or missing where the code is -1."""

    @property
    def codes(self) -> NDArray[Any]:
        """(n_tokens,) integers into `table`."""
        ...

    @property
    def table(self) -> tuple[str, ...]:
        """The distinct strings; it may hold more than this doc uses."""
        ...


class ScoredDoc(Protocol):
    """A doc as the scorers see it. A column that is None is wholly missing."""

    @property
    def doc_id(self) -> str: ...
    @property
    def group(self) -> str | None: ...
    @property
    def text(self) -> str: ...
    @property
    def starts(self) -> NDArray[Any]: ...
    @property
    def ends(self) -> NDArray[Any]: ...
    @property
    def words(self) -> Column: ...
    @property
    def xpos(self) -> Column | None: ...
    @property
    def upos(self) -> Column | None: ...
    @property
    def feats(self) -> Column | None: ...
    @property
    def lemmas(self) -> Column | None: ...
    @property
    def heads(self) -> NDArray[Any] | None: ...
    @property
    def deprels(self) -> Column | None: ...
    @property
    def sent_starts(self) -> NDArray[Any] | None: ...
    @property
    def ents(self) -> Column | None: ...
    def __len__(self) -> int: ...


def strings(column: Column) -> list[str | None]:
    """The column's values, None where missing."""
    table = column.table
    return [None if code < 0 else table[code] for code in column.codes.tolist()]
