"""Cut docs into windows: what one transformer row sees.

A window is a run of consecutive pieces of one doc. A doc, or a span of it that somebody chose (window_getters.py),
is one window where it fits; a longer one gets overlapping windows, cut between tokens where possible. Pure: which
windows a doc gets depends on that doc alone. Special tokens come on top and are encoder.py's business; averaging where
windows overlap is readings.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows over the pieces of a batch, by their first piece; a piece may be in several of them, or in none."""

    first_piece: NDArray[np.int64]  # (n_windows,) never decreasing
    n_pieces: NDArray[np.int64]  # (n_windows,) each above 0

    def __len__(self) -> int:
        return len(self.first_piece)

    @property
    def overlap(self) -> bool:
        """Whether some piece is in more than one window."""
        ends = self.first_piece + self.n_pieces
        return bool((ends[:-1] > self.first_piece[1:]).any())

    def read_each_once(self, n_pieces: int) -> bool:
        """Whether each of `n_pieces` is in just one window."""
        return int(self.n_pieces.sum()) == n_pieces and not self.overlap

    def parts(self, n_at_once: int) -> Iterator[Windows]:
        """The windows in their order, those of about `n_at_once` pieces (but at least one) at a time."""
        ends = np.cumsum(self.n_pieces)
        start = 0
        while start < len(self):
            before = int(ends[start] - self.n_pieces[start])
            end = max(start + 1, int(np.searchsorted(ends, before + n_at_once, side="right")))
            yield Windows(first_piece=self.first_piece[start:end], n_pieces=self.n_pieces[start:end])
            start = end


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


def windows_of_spans(
    spans: Sequence[NDArray[np.int64]],
    n_tokens_of_doc: NDArray[np.int32],
    n_pieces_of_token: NDArray[np.int32],
    *,
    window: int,
    stride: int,
) -> Windows:
    """Windows over chosen spans of tokens; pieces outside all of them are in no window.

    Args:
        spans: for each doc (n_spans, 2), first token and one past the last, which may overlap; one that comes twice
            counts once, one without pieces not at all.
        n_tokens_of_doc, n_pieces_of_token: as in `Pieces`.
        window, stride: as in `plan_windows`; a span of more than `window` pieces is cut as a doc is.
    """
    borders = np.concatenate(([0], np.cumsum(n_pieces_of_token, dtype=np.int64)))
    starts = np.cumsum(n_tokens_of_doc, dtype=np.int64) - n_tokens_of_doc
    found: set[tuple[int, int]] = set()
    cuts = np.unique(borders)
    for start, of_doc in zip(starts.tolist(), spans, strict=True):
        for first, end in borders[of_doc + start].tolist():
            if end - first > window:
                found.update(_cut(first, end, cuts, window, stride))
            elif end > first:
                found.add((first, end))
    ordered = np.asarray(sorted(found), dtype=np.int64).reshape(-1, 2)
    return Windows(first_piece=ordered[:, 0], n_pieces=ordered[:, 1] - ordered[:, 0])


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
