"""Fewer rows for as many words: those that are dropped point to the nearest that is kept."""

from __future__ import annotations

import numpy as np

from frostline.errors import ConfigError
from frostline.vectors.table import Vectors

WORDS_AT_ONCE = 1024


def prune(vectors: Vectors, n: int) -> Vectors:
    """Keep the vectors of the `n` most frequent words (the first ones), and map each other word to the nearest of them.

    Nearest is by cosine, the first of several. A word whose vector is all zeros is near to none and keeps zeros, for
    which there may be one row more. Subwords stay.

    Raises:
        ConfigError: n is below 1.
    """
    if n < 1:
        raise ConfigError(f"{n} vectors can't be kept.", where="--prune", fix="Give a number from 1 up.")
    if n >= len(vectors):
        return vectors
    kept_rows, new_row = np.unique(vectors.rows[:n], return_inverse=True)
    kept = Vectors(range_of_names(len(kept_rows)), np.ascontiguousarray(vectors.table[kept_rows]))
    of_zeros = np.flatnonzero(~kept.table.any(axis=1))
    is_zero = np.zeros(len(vectors), dtype=np.bool_)  # of the words behind the first n
    rows = np.empty(len(vectors), dtype=np.int64)
    rows[:n] = new_row.reshape(-1)
    for start in range(n, len(vectors), WORDS_AT_ONCE):
        block = np.asarray(vectors.table[vectors.rows[start : start + WORDS_AT_ONCE]])
        similarities = kept.similarities(block)
        similarities[:, of_zeros] = -np.inf  # nearest to nobody, even where all others are below 0
        rows[start : start + len(block)] = similarities.argmax(axis=1)
        is_zero[start : start + len(block)] = ~block.any(axis=1)
    table = kept.table
    if is_zero.any():
        if not len(of_zeros):
            of_zeros, table = np.array([len(table)]), np.vstack([table, np.zeros_like(table[:1])])
        rows[is_zero] = of_zeros[0]
    return Vectors(vectors.words, table, rows=rows, subwords=vectors.subwords, keys=vectors.keys)


def range_of_names(n: int) -> tuple[str, ...]:
    """As many words as there are rows, for a table that nobody looks words up in."""
    return tuple(map(str, range(n)))
