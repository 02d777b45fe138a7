"""Lay windows out as padded rows, and find their pieces again in what comes back.

Two layouts: rows sorted by length under a budget of padded pieces, for training and prediction; and a fixed set of
(rows, length) shapes, where the shape a window is computed in is a function of its length alone, for frozen encoders
whose numbers must not depend on a window's neighbours. Index arithmetic in NumPy; the network is encoder.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frostline.embedding.pieces import Tokenizer, encode_words
from frostline.embedding.windows import Windows

Ints = NDArray[np.int64]

_PROBES = ("a", "the", "1", ".", "one two")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialTokens:
    """What a tokenizer puts around one text.

    type_ids: of the prefix, the content and the suffix; None where all are 0, which is every encoder's default.
    """

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    pad_id: int
    type_ids: tuple[tuple[int, ...], int, tuple[int, ...]] | None = None

    @property
    def n(self) -> int:
        """How many come on top of a window's own pieces."""
        return len(self.prefix) + len(self.suffix)

    @property
    def bare(self) -> SpecialTokens:
        """The same padding, and nothing around a text: for windows that hold their special tokens as pieces."""
        return SpecialTokens(prefix=(), suffix=(), pad_id=self.pad_id)

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> SpecialTokens:
        """Learn them from a text whose own pieces are known."""
        pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        for probe in _PROBES:
            (content,) = encode_words(tokenizer, [probe])
            encoded = tokenizer(probe, add_special_tokens=True, return_token_type_ids=True, verbose=False)
            ids, types = tuple(encoded["input_ids"]), tuple(encoded["token_type_ids"])
            for start in range(len(ids) - len(content) + 1):
                end = start + len(content)
                if content and ids[start:end] == content:
                    type_ids = (types[:start], types[start], types[end:]) if any(types) else None
                    return cls(prefix=ids[:start], suffix=ids[end:], pad_id=pad_id, type_ids=type_ids)
        return cls(prefix=(), suffix=(), pad_id=pad_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Windows of one length, side by side in a row."""

    start: int  # of the first one
    n_windows: int
    length: int  # special tokens included


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows for one run of the encoder.

    Rows that hold no window (they fill up a fixed shape) are padding but for their first position.
    """

    ids: Ints  # (n_rows, length)
    mask: Ints | None  # (n_rows, length) 1 where a piece or special token stands; None where that is everywhere
    type_ids: Ints | None  # (n_rows, length)
    positions: Ints  # (n,) of the batch's pieces in its flattened rows
    places: Ints  # (n,) of the same pieces among the pieces of all windows, in window order
    position_ids: Ints | None = None  # (1, length) of a packed row
    runs: tuple[Run, ...] | None = None  # where the windows of a packed row stand: see packed.py


def batches_by_length(
    ids: Ints, windows: Windows, special: SpecialTokens, *, max_batch_pieces: int, equal: bool = False
) -> Iterator[Batch]:
    """Rows sorted by length, longest first, at most `max_batch_pieces` padded pieces at once (but at least one row).

    Args:
        equal: only rows of one length in a batch, so that there is no padding.
    """
    order = np.argsort(-windows.n_pieces, kind="stable")
    in_order = windows.n_pieces[order]
    start = 0
    while start < len(order):
        length = int(in_order[start]) + special.n
        end = start + max(1, max_batch_pieces // length)
        if equal:
            end = min(end, start + int((in_order[start:end] == in_order[start]).sum()))
        yield _lay_out(ids, windows, order[start:end], special, length=length)
        start = end


def batches_of_fixed_shapes(
    ids: Ints,
    windows: Windows,
    special: SpecialTokens,
    *,
    n_padded_pieces: int,
    max_length: int,
    leave_padding: bool,
    equal: bool = False,
) -> Iterator[Batch]:
    """Rows in shapes that depend on nothing but the length of the row itself.

    Args:
        n_padded_pieces: of a batch, about.
        max_length: of a row, special tokens included.
        leave_padding: have some position masked in every batch, for encoders that would take another path, with
            other rounding, through a batch without padding.
        equal: no padding within a row; rows that fill up the shape repeat the batch's first.
    """
    longest = int(windows.n_pieces.max(initial=0))
    lengths = np.array(
        [n + special.n if equal else fixed_length(n, special.n, max_length) for n in range(longest + 1)]
    )
    length_of_window = lengths[windows.n_pieces]
    for length in np.unique(length_of_window)[::-1].tolist():
        n_rows = fixed_rows(length, n_padded_pieces, leave_padding=leave_padding)
        waiting = np.flatnonzero(length_of_window == length)
        while len(waiting):
            chosen = waiting[:n_rows]
            if leave_padding and len(chosen) == n_rows and bool((windows.n_pieces[chosen] + special.n == length).all()):
                chosen = chosen[:-1]
            yield _lay_out(ids, windows, chosen, special, length=length, n_rows=n_rows, repeat_first=equal)
            waiting = waiting[len(chosen) :]


def fixed_length(n_pieces: int, n_special: int, max_length: int) -> int:
    """The padded length for a window of `n_pieces`: multiples of 8, farther apart the longer they are."""
    needed = n_pieces + n_special
    step = 8 if needed <= 64 else 16
    while step * 32 < needed:
        step *= 2
    return max(min(-(-needed // step) * step, max_length), needed)


def fixed_rows(length: int, n_padded_pieces: int, *, leave_padding: bool = False) -> int:
    """The number of rows that go with a padded length; with `leave_padding` one of them must stay free at times."""
    return max(2 if leave_padding else 1, n_padded_pieces // length)


def _lay_out(
    ids: Ints,
    windows: Windows,
    chosen: Ints,
    special: SpecialTokens,
    *,
    length: int,
    n_rows: int | None = None,
    repeat_first: bool = False,
) -> Batch:
    """Rows of the `chosen` windows, in that order; `n_rows` more than there are windows are filled up."""
    n_rows = len(chosen) if n_rows is None else n_rows
    n_prefix, n_suffix = len(special.prefix), len(special.suffix)
    first, n_pieces = windows.first_piece[chosen], windows.n_pieces[chosen]
    ends = np.cumsum(windows.n_pieces)
    within = np.arange(int(n_pieces.sum())) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    row_starts = np.arange(len(chosen), dtype=np.int64) * length
    positions = np.repeat(row_starts + n_prefix, n_pieces) + within

    rows = np.full((n_rows, length), special.pad_id, dtype=np.int64)
    flat = rows.reshape(-1)
    flat[positions] = ids[np.repeat(first, n_pieces) + within]
    rows[: len(chosen), :n_prefix] = special.prefix
    suffix_starts = row_starts + n_prefix + n_pieces
    for offset, token in enumerate(special.suffix):
        flat[suffix_starts + offset] = token

    n_filled = np.ones(n_rows, dtype=np.int64)
    n_filled[: len(chosen)] = n_pieces + n_prefix + n_suffix
    if repeat_first:
        rows[len(chosen) :], n_filled[len(chosen) :] = rows[0], n_filled[0]
    full = bool((n_filled == length).all())
    mask = None if full else (np.arange(length) < n_filled[:, None]).astype(np.int64)
    return Batch(
        ids=rows,
        mask=mask,
        type_ids=_type_ids(special, rows.shape, suffix_starts),
        positions=positions,
        places=np.repeat((ends - windows.n_pieces)[chosen], n_pieces) + within,
    )


def _type_ids(special: SpecialTokens, shape: tuple[int, ...], suffix_starts: Ints) -> Ints | None:
    if special.type_ids is None:
        return None
    prefix, content, suffix = special.type_ids
    types = np.full(shape, content, dtype=np.int64)
    types[:, : len(prefix)] = prefix
    for offset, value in enumerate(suffix):
        types.reshape(-1)[suffix_starts + offset] = value
    return types


def ranks_of_covers(windows: Windows) -> list[tuple[Ints, Ints]]:
    """Where windows overlap: which rows hold the first reading of a piece, which the second, and so on.

    Returns:
        For each rank (places among the pieces of all windows in window order, the pieces they read); the first
        rank has every piece, in order, and no rank has a piece twice.
    """
    n_pieces = windows.n_pieces
    within = np.arange(int(n_pieces.sum())) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    piece_of_place = np.repeat(windows.first_piece, n_pieces) + within
    order = np.argsort(piece_of_place, kind="stable")
    pieces = piece_of_place[order]
    is_first = np.concatenate(([True], pieces[1:] != pieces[:-1])) if len(pieces) else np.zeros(0, dtype=bool)
    starts = np.flatnonzero(is_first)
    rank = np.arange(len(pieces)) - np.repeat(starts, np.diff(np.append(starts, len(pieces))))
    return [(order[rank == r], pieces[rank == r]) for r in range(int(rank.max(initial=0)) + 1)]
