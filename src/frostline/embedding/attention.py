"""Scaled dot-product attention for CPUs, as a function that transformers calls.

Torch's own falls back to a slow general way there as soon as dropout is on, and in bf16 its backward pass takes four
times as long as the few matrix products below. Where it is the faster one (float32 without dropout, long rows, other
devices) it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from frostline.embedding.packed import RUNS, window_attention
from frostline.layers.dropout import dropout_mask

NAME = "frostline"
MAX_LENGTH = 512  # of rows whose weights are kept as matrices; longer ones would take too much memory

_always_masked: ContextVar[bool] = ContextVar("always_masked", default=False)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """What transformers asks of an attention function.

    Args:
        query, key, value: (n_rows, n_heads, length, head_width).
        attention_mask: True (or 0.0) where to look, False (or a large negative number) elsewhere; can be broadcast
            to (n_rows, n_heads, length, length). None looks everywhere.
    Returns:
        (n_rows, length, n_heads, head_width), and no weights.
    """
    if torch.is_autocast_enabled(query.device.type):
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if settings.get(RUNS) is not None:
        if attention_mask is not None or settings.get("position_bias") is not None:
            raise NotImplementedError("a packed row has neither a mask nor relative positions")
        with torch.autocast(query.device.type, enabled=False):
            return window_attention(query, key, value, settings[RUNS], scale=scale, dropout=dropout), None
    is_faster = query.dtype != torch.float32 or (dropout > 0.0 and torch.is_grad_enabled())
    plain = (
        query.device.type == "cpu"
        and is_faster
        and query.shape == key.shape == value.shape
        and query.shape[2] <= MAX_LENGTH
        and not _is_causal(module, settings)
        and settings.get("position_bias") is None
        and settings.get("softcap") is None
    )
    if not plain:
        result: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scale, **settings
        )
        return result
    mask = None if attention_mask is None else _as_addend(attention_mask, query.dtype)
    mixed: Tensor = _Attention.apply(query, key, value, mask, scale, dropout)  # type: ignore[no-untyped-call]
    return mixed.transpose(1, 2), None


class _Attention(torch.autograd.Function):
    """softmax(scale · query keyᵀ + mask), dropped out, times value; keeps the weights and what was dropped."""

    @staticmethod
    def forward(
        context: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, rate: float
    ) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            scores = torch.matmul(query * scale, key.transpose(-1, -2))
            if mask is not None:
                scores += mask
            weights = torch.softmax(scores, -1)
            dropped = dropout_mask(weights, rate) if rate > 0.0 else None
            context.scale = scale
            context.save_for_backward(query, key, value, weights, dropped)
            return torch.matmul(weights if dropped is None else weights * dropped, value)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        query, key, value, weights, dropped = context.saved_tensors
        mixing = weights if dropped is None else weights * dropped
        of_value = torch.matmul(mixing.transpose(-1, -2), gradient)
        of_weights = torch.matmul(gradient, value.transpose(-1, -2))
        if dropped is not None:
            of_weights *= dropped
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        of_query = torch.matmul(of_scores, key).mul_(context.scale)
        of_key = torch.matmul(of_scores.transpose(-1, -2), query).mul_(context.scale)
        return of_query, of_key, of_value, None, None, None


def _is_causal(module: nn.Module, settings: dict[str, Any]) -> bool:
    asked = settings.get("is_causal")
    return bool(getattr(module, "is_causal", True) if asked is None else asked)


def _as_addend(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask to add to the scores."""
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)


@contextmanager
def always_masked() -> Iterator[None]:
    """Within the block a batch without padding is computed with a mask too, as those with padding are."""
    token = _always_masked.set(True)
    try:
        yield
    finally:
        _always_masked.reset(token)


def use_fast_attention(model: Any) -> bool:
    """Let a transformers model that would use SDPA call `attention` instead; others stay as they are.

    Returns:
        Whether the model calls it, so that `always_masked` holds for it.
    """
    is_new = int(transformers.__version__.partition(".")[0]) >= 5
    if not is_new or not getattr(model, "_supports_attention_backend", False):
        return False
    if model.config._attn_implementation not in ("sdpa", NAME):
        return False
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    transformers.AttentionInterface.register(NAME, attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, _mask)
    model.config._attn_implementation = NAME
    return True


def _mask(*arguments: Any, **settings: Any) -> Tensor | None:
    """What transformers asks of a mask function: a bool mask, or None where there is nothing to mask."""
    from transformers.masking_utils import sdpa_mask

    if _always_masked.get():
        settings["allow_is_bidirectional_skip"] = False
    mask: Tensor | None = sdpa_mask(*arguments, **settings)
    return mask
