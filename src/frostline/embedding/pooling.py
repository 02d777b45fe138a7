"""Word pieces to tokens: one vector per token from those of its pieces.

Each function takes (n_pieces, width) float32 and the pieces of each token, gives (n_tokens, width), and a vector of
zeros for a token without pieces. All can be differentiated, add in a fixed order on every device, and are found
by name in a config. What a layer or a window is, others know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from frostline.config import registry
from frostline.embedding.hidden_weights import weights_in
from frostline.errors import ConfigError, did_you_mean

Pooling: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def pool(activations: Tensor, n_pieces_of_token: Tensor, *, mode: str | Pooling) -> Tensor:
    """Pool pieces to tokens.

    Args:
        activations: (n_pieces, width), pieces in token order.
        n_pieces_of_token: (n_tokens,) integers that sum to n_pieces, on the same device.
        mode: "mean", "max", "sum", "first", "last", the name of a registered pooling, or a pooling itself.
    Returns:
        (n_tokens, width).
    Raises:
        ConfigError: no pooling has that name.
        ValueError: the numbers do not sum to n_pieces.
    """
    pooled = pooling_of(mode)(activations, n_pieces_of_token)
    n_tokens = len(n_pieces_of_token)
    if pooled.shape[:1] != (n_tokens,) or pooled.ndim != 2:
        raise ConfigError(
            f"The pooling {mode!r} gives a tensor of shape {tuple(pooled.shape)} for {n_tokens} tokens.",
            where="pooling",
            fix="A pooling takes (n_pieces, width) and the pieces of each token, and gives (n_tokens, width).",
        )
    return pooled


def pooling_of(mode: str | Pooling) -> Pooling:
    """The pooling of that name, or the one that is given; ConfigError where no pooling has the name."""
    if callable(mode):
        return mode
    if mode not in BY_MODE and mode not in registry.poolings:
        raise ConfigError(f"'{mode}' is no pooling.", where="pooling", fix=did_you_mean(mode, BY_MODE))
    registered: Pooling = BY_MODE.get(mode) or registry.poolings.get(mode)()
    return registered


def check_pooling(mode: str | Pooling) -> None:
    """Raise ConfigError where there is no such pooling, or it holds weights: nobody would train or save them."""
    holder = weights_in(pooling_of(mode))
    if holder is not None:
        raise ConfigError(
            f"The pooling holds weights ({holder}), which would be neither trained nor saved.",
            where="pooling",
            fix="Let the pooling be a function without weights, and put them into a layer of your own around the "
            "embedding.",
        )


def mean(activations: Tensor, n_pieces_of_token: Tensor) -> Tensor:
    """The mean of a token's pieces."""
    if _is_one_to_one(activations, n_pieces_of_token):
        return activations
    total = sums(activations, n_pieces_of_token)
    return total / n_pieces_of_token.clamp(min=1).to(total.dtype)[:, None]


def sums(activations: Tensor, n_pieces_of_token: Tensor) -> Tensor:
    """The sum of a token's pieces."""
    if _is_one_to_one(activations, n_pieces_of_token):
        return activations
    if activations.device.type != "cpu":  # index_add adds in no fixed order there
        return torch.segment_reduce(activations, "sum", lengths=n_pieces_of_token.long(), axis=0, initial=0)
    n_tokens = len(n_pieces_of_token)
    token_of_piece = torch.repeat_interleave(torch.arange(n_tokens), n_pieces_of_token)
    zeros = activations.new_zeros((n_tokens, activations.shape[1]))
    return zeros.index_add(0, token_of_piece, activations)


def maximum(activations: Tensor, n_pieces_of_token: Tensor) -> Tensor:
    """The largest number of a token's pieces in each dimension."""
    if _is_one_to_one(activations, n_pieces_of_token):
        return activations
    filled = torch.nonzero(n_pieces_of_token)[:, 0]
    largest = activations  # for a batch without pieces, which segment_reduce refuses
    if len(filled):
        largest = torch.segment_reduce(activations, "max", lengths=n_pieces_of_token[filled].long(), axis=0)
    return _spread(largest, filled, n_pieces_of_token)


def first(activations: Tensor, n_pieces_of_token: Tensor) -> Tensor:
    """A token's first piece."""
    if _is_one_to_one(activations, n_pieces_of_token):
        return activations
    filled = torch.nonzero(n_pieces_of_token)[:, 0]
    starts = n_pieces_of_token.cumsum(0) - n_pieces_of_token
    return _spread(activations.index_select(0, starts[filled]), filled, n_pieces_of_token)


def last(activations: Tensor, n_pieces_of_token: Tensor) -> Tensor:
    """A token's last piece."""
    if _is_one_to_one(activations, n_pieces_of_token):
        return activations
    filled = torch.nonzero(n_pieces_of_token)[:, 0]
    ends = n_pieces_of_token.cumsum(0)
    return _spread(activations.index_select(0, ends[filled] - 1), filled, n_pieces_of_token)


BY_MODE: dict[str, Pooling] = {"mean": mean, "max": maximum, "sum": sums, "first": first, "last": last}


@registry.poolings("frostline.mean.v1")
def build_mean() -> Pooling:
    """The mean of a token's pieces: the usual choice."""
    return mean


@registry.poolings("frostline.max.v1")
def build_max() -> Pooling:
    """The largest number of a token's pieces in each dimension."""
    return maximum


@registry.poolings("frostline.sum.v1")
def build_sum() -> Pooling:
    """The sum of a token's pieces."""
    return sums


@registry.poolings("frostline.first.v1")
def build_first() -> Pooling:
    """A token's first piece, as BERT's own taggers do."""
    return first


@registry.poolings("frostline.last.v1")
def build_last() -> Pooling:
    """A token's last piece."""
    return last


def _is_one_to_one(activations: Tensor, n_pieces_of_token: Tensor) -> bool:
    """Whether every token has one piece; checks the sum on the way.

    Raises:
        ValueError: the numbers do not sum to n_pieces.
    """
    total = int(n_pieces_of_token.sum())
    if total != len(activations):
        raise ValueError(f"tokens have {total} pieces, but {len(activations)} vectors are given")
    return total == len(n_pieces_of_token) and bool((n_pieces_of_token == 1).all())


def _spread(vectors: Tensor, tokens: Tensor, n_pieces_of_token: Tensor) -> Tensor:
    """(n_tokens, width): the vectors at their tokens, zeros elsewhere."""
    if len(tokens) == len(n_pieces_of_token):
        return vectors
    zeros = vectors.new_zeros((len(n_pieces_of_token), vectors.shape[1]))
    return zeros.index_copy(0, tokens, vectors)
