"""Cut docs into windows: what one transformer row sees.

A window is a run of consecutive pieces of one doc. A doc that fits is one window; a longer one gets overlapping
windows, cut between tokens where possible. Pure: which windows a doc gets depends on that doc alone. Special tokens
come on top and are encoder.py's business, as is averaging where windows overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows over the pieces of a batch, in doc order; every piece is in one or more."""

    first_piece: NDArray[np.int64]  # (n_windows,)
    n_pieces: NDArray[np.int64]  # (n_windows,) each above 0

    def __len__(self) -> int:
        return len(self.first_piece)

    @property
    def overlap(self) -> bool:
        """Whether some piece is in more than one window."""
        ends = self.first_piece + self.n_pieces
        return bool((ends[:-1] > self.first_piece[1:]).any())


def plan_windows(
    n_pieces_of_doc: NDArray[np.int32], n_pieces_of_token: NDArray[np.int32], *, window: int, stride: int
) -> Windows:
    """Cover every piece of every doc.

    Args:
        n_pieces_of_doc: (n_docs,); a doc without pieces gets no window.
        n_pieces_of_token: (n_tokens,) of all docs. Where a doc must be cut, it is cut between tokens; a token longer
            than the stride is cut within.
        window: the most pieces in one window, special tokens not counted; above 0.
        stride: from one window's start to the next one's, at most; from 1 to `window` (no overlap).
    Raises:
        ValueError: window or stride is out of range.
    """
    if not 1 <= stride <= window:
        raise ValueError(f"stride must be from 1 to the window, but stride is {stride} and window {window}")
    lengths = n_pieces_of_doc.astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    if bool((lengths <= window).all()):
        filled = lengths > 0
        return Windows(first_piece=starts[filled], n_pieces=lengths[filled])
    borders = np.unique(np.concatenate(([0], np.cumsum(n_pieces_of_token, dtype=np.int64))))
    first_piece: list[int] = []
    n_pieces: list[int] = []
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        if 0 < length <= window:
            first_piece.append(start)
            n_pieces.append(length)
        elif length > window:
            for first, end in _cut(start, start + length, borders, window, stride):
                first_piece.append(first)
                n_pieces.append(end - first)
    return Windows(
        first_piece=np.asarray(first_piece, dtype=np.int64), n_pieces=np.asarray(n_pieces, dtype=np.int64)
    )


def _cut(start: int, end: int, borders: NDArray[np.int64], window: int, stride: int) -> list[tuple[int, int]]:
    """Windows (first, end) of one doc from piece `start` to `end`, longer than a window."""
    cuts = []
    first = start
    while end - first > window:
        cuts.append((first, _border_before(first, first + window, borders)))
        first = _border_before(first, first + stride, borders)
    cuts.append((first, end))
    return cuts


def _border_before(first: int, limit: int, borders: NDArray[np.int64]) -> int:
    """The last token border after `first` and up to `limit`; `limit` when there is none."""
    border = int(borders[np.searchsorted(borders, limit, side="right") - 1])
    return border if border > first else limit
