"""Fewer rows for as many words: those that are dropped point to the nearest that is kept."""

from __future__ import annotations

import numpy as np

from frostline.errors import ConfigError
from frostline.vectors.table import Vectors

WORDS_AT_ONCE = 1024


def prune(vectors: Vectors, n: int) -> Vectors:
    """Keep the vectors of the `n` most frequent words (the first ones), and map each other word to the nearest of them.

    Nearest is by cosine, the first of several; a word whose vector is all zeros gets the first row. Subwords stay.

    Raises:
        ConfigError: n is below 1.
    """
    if n < 1:
        raise ConfigError(f"{n} vectors can't be kept.", where="--prune", fix="Give a number from 1 up.")
    if n >= len(vectors):
        return vectors
    kept_rows, new_row = np.unique(vectors.rows[:n], return_inverse=True)
    kept = Vectors(range_of_names(len(kept_rows)), np.ascontiguousarray(vectors.table[kept_rows]))
    rows = np.empty(len(vectors), dtype=np.int64)
    rows[:n] = new_row.reshape(-1)
    for start in range(n, len(vectors), WORDS_AT_ONCE):
        block = np.asarray(vectors.table[vectors.rows[start : start + WORDS_AT_ONCE]])
        rows[start : start + len(block)] = kept.similarities(block).argmax(axis=1)
    return Vectors(vectors.words, kept.table, rows=rows, subwords=vectors.subwords, keys=vectors.keys)


def range_of_names(n: int) -> tuple[str, ...]:
    """As many words as there are rows, for a table that nobody looks words up in."""
    return tuple(map(str, range(n)))
