"""Windows one after another in a single row, so that no padding is computed.

On CPUs an encoder's cost is its matrix products, which grow with padding: by half in a usual batch. In a row of all
windows only attention must know where each one ends; attention.py hands such rows to `window_attention`. Whether an
encoder bears it is not guessed from its name but tried: see `why_not_packed`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frostline.embedding.batches import Batch, Run, SpecialTokens
from frostline.embedding.windows import Windows
from frostline.layers.dropout import dropout_mask

HuggingFaceModel: TypeAlias = Any  # transformers comes without usable types
Ints = NDArray[np.int64]

RUNS = "frostline_runs"  # the keyword that models pass on to the attention function
TOLERANCE = 1e-3  # of the largest number; a wrong layout is off by the order of 1
_LOCAL = ("sliding_window", "local_attention", "attention_window")  # windows within windows: the probe is too short
_PROBE_LENGTHS = (7, 4, 4)


def packed_batches(
    ids: Ints, windows: Windows, special: SpecialTokens, *, max_batch_pieces: int, first_position: int
) -> Iterator[Batch]:
    """All windows in rows of at most `max_batch_pieces` (but at least one window), longest first.

    Windows of one length stand side by side, because attention takes them together.

    Args:
        first_position: the position id of a window's first place.
    """
    lengths = windows.n_pieces + special.n
    order = np.argsort(-lengths, kind="stable")
    start, filled = 0, 0
    for i, window in enumerate(order.tolist()):
        if i > start and filled + int(lengths[window]) > max_batch_pieces:
            yield in_one_row(ids, windows, order[start:i], special, first_position)
            start, filled = i, 0
        filled += int(lengths[window])
    if start < len(order):
        yield in_one_row(ids, windows, order[start:], special, first_position)


def in_one_row(ids: Ints, windows: Windows, chosen: Ints, special: SpecialTokens, first_position: int) -> Batch:
    """One row of the `chosen` windows, in that order."""
    n_prefix, n_suffix = len(special.prefix), len(special.suffix)
    first, n_pieces = windows.first_piece[chosen], windows.n_pieces[chosen]
    lengths = n_pieces + special.n
    starts = np.cumsum(lengths) - lengths
    within = _counted(n_pieces)
    positions = np.repeat(starts + n_prefix, n_pieces) + within
    row = np.empty(int(lengths.sum()), dtype=np.int64)
    types = np.zeros_like(row)
    row[positions] = ids[np.repeat(first, n_pieces) + within]
    for offset, token in enumerate(special.prefix):
        row[starts + offset] = token
    for offset, token in enumerate(special.suffix):
        row[starts + lengths - n_suffix + offset] = token
    if special.type_ids is not None:
        prefix, content, suffix = special.type_ids
        types[positions] = content
        for offset, value in enumerate(prefix):
            types[starts + offset] = value
        for offset, value in enumerate(suffix):
            types[starts + lengths - n_suffix + offset] = value
    ends = np.cumsum(windows.n_pieces)
    return Batch(
        ids=row[None, :],
        mask=None,
        type_ids=types[None, :] if special.type_ids is not None else None,
        positions=positions,
        places=np.repeat((ends - windows.n_pieces)[chosen], n_pieces) + within,
        position_ids=(_counted(lengths) + first_position)[None, :],
        runs=tuple(_runs(starts, lengths)),
    )


def _runs(starts: Ints, lengths: Ints) -> Iterator[Run]:
    """Neighbours of one length."""
    begins = np.flatnonzero(np.concatenate(([True], lengths[1:] != lengths[:-1])))
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(lengths)], strict=True):
        yield Run(start=int(starts[begin]), n_windows=end - begin, length=int(lengths[begin]))


def first_position_of(model: HuggingFaceModel) -> int:
    """The position id of a text's first place: 0, but behind the padding's where positions are counted so."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return int(module.padding_idx) + 1
    return 0


def why_not_packed(model: HuggingFaceModel) -> str:
    """Try whether windows in one row get the numbers that they get in rows of their own.

    Args:
        model: in evaluation state, on the CPU, with attention.py's function.
    Returns:
        "" where they do, else the reason in words.
    """
    for key in _LOCAL:
        if getattr(model.config, key, None):
            return f"its attention is local ({key})"
    vocabulary = min(int(model.get_input_embeddings().num_embeddings), 1000)
    ids = np.arange(sum(_PROBE_LENGTHS), dtype=np.int64) % (vocabulary // 2) + vocabulary // 2
    lengths = np.array(_PROBE_LENGTHS, dtype=np.int64)
    windows = Windows(first_piece=np.cumsum(lengths) - lengths, n_pieces=lengths)
    bare = SpecialTokens(prefix=(), suffix=(), pad_id=0)
    first = first_position_of(model)
    (batch,) = packed_batches(ids, windows, bare, max_batch_pieces=len(ids), first_position=first)
    try:
        with torch.no_grad():
            packed = model(input_ids=torch.from_numpy(batch.ids), **inputs_of_row(batch)).last_hidden_state[0]
            parts = torch.split(torch.from_numpy(ids), list(_PROBE_LENGTHS))
            alone = torch.cat([model(input_ids=part[None]).last_hidden_state[0] for part in parts])
    except Exception as error:  # whatever a model says to inputs that it was not made for
        said = str(error).strip().split("\n")[0]
        return f"it does not take a row of several windows: {said or type(error).__name__}"
    if packed.shape != alone.shape or not (packed - alone).abs().max() <= TOLERANCE * alone.abs().max():
        return "windows in one row would get other numbers: its positions or its attention are of another kind"
    return ""


def inputs_of_row(batch: Batch) -> dict[str, Any]:
    """What a model is given beside the ids for a packed row; nothing for other batches."""
    if batch.runs is None or batch.position_ids is None:
        return {}
    return {"position_ids": torch.from_numpy(batch.position_ids), RUNS: batch.runs}


def window_attention(
    query: Tensor, key: Tensor, value: Tensor, runs: tuple[Run, ...], *, scale: float, dropout: float
) -> Tensor:
    """softmax(scale · query keyᵀ), dropped out, times value, within each window of a packed row.

    Args:
        query, key, value: (1, n_heads, length, head_width).
        runs: where the windows are; together they are the whole row.
    Returns:
        (1, length, n_heads, head_width).
    """
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))
    mixed: Tensor = _WindowAttention.apply(q, k, v, runs, scale, dropout)  # type: ignore[no-untyped-call]
    return mixed.unsqueeze(0)


class _WindowAttention(torch.autograd.Function):
    """On (length, n_heads, head_width); keeps one matrix of weights for each run, and the mask if any."""

    @staticmethod
    def forward(
        context: Any, query: Tensor, key: Tensor, value: Tensor, runs: tuple[Run, ...], scale: float, rate: float
    ) -> Tensor:
        query = query * scale
        mixed = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        kept: list[Tensor] = []
        for run in runs:
            weights = torch.softmax(torch.matmul(_of(query, run), _of(key, run).transpose(-1, -2)), -1)
            kept.append(weights)
            if rate > 0.0:
                kept.append(dropout_mask(weights, rate))
                weights = weights * kept[-1]
            _of(mixed, run).copy_(torch.matmul(weights, _of(value, run)))
        context.save_for_backward(query, key, value, *kept)
        context.runs, context.scale, context.drops = runs, scale, rate > 0.0
        return mixed

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        query, key, value, *kept = context.saved_tensors
        of_query, of_key, of_value = (torch.empty_like(query) for _ in range(3))
        left = iter(kept)
        for run in context.runs:
            weights = next(left)
            dropped = next(left) if context.drops else None
            of_mixed = _of(gradient, run)
            mixing = weights if dropped is None else weights * dropped
            _of(of_value, run).copy_(torch.matmul(mixing.transpose(-1, -2), of_mixed))
            of_weights = torch.matmul(of_mixed, _of(value, run).transpose(-1, -2))
            if dropped is not None:
                of_weights *= dropped
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            _of(of_query, run).copy_(torch.matmul(of_scores, _of(key, run)))
            _of(of_key, run).copy_(torch.matmul(of_scores.transpose(-1, -2), _of(query, run)))
        return of_query.mul_(context.scale), of_key, of_value, None, None, None


def _of(states: Tensor, run: Run) -> Tensor:
    """A run's (n_windows, n_heads, length, head_width), a view of the row's (length, n_heads, head_width)."""
    part = states[run.start : run.start + run.n_windows * run.length]
    return part.view(run.n_windows, run.length, *part.shape[1:]).transpose(1, 2)


def _counted(lengths: Ints) -> Ints:
    """0, 1, 2, … anew for each length."""
    return np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
