"""Attention: the numbers and gradients of torch's own, with every kind of mask, in and out of training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from frostline.embedding import attention as attention_module
from frostline.embedding.attention import attention
from frostline.layers.dropout import dropout_mask
from tests.embedding.tiny import tiny_encoder


class Bidirectional(torch.nn.Module):
    is_causal = False


def inputs(dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(3, 7, 2, 4).to(dtype).transpose(1, 2).requires_grad_() for _ in range(3)]


def mask(kind: str) -> torch.Tensor | None:
    if kind == "none":
        return None
    seen = torch.arange(7) < torch.tensor([7, 3, 1])[:, None]
    wide = seen[:, None, None, :].expand(3, 1, 7, 7)
    return wide if kind == "bool" else torch.where(wide, 0.0, -1e9).double()


def gradients(output: torch.Tensor, of: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1)).to(output.dtype)
    return torch.autograd.grad((output * weights).sum(), of)


@pytest.mark.parametrize("kind", ["none", "bool", "addend"])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_numbers_and_gradients_are_those_of_torch(kind: str, scaling: float | None) -> None:
    ours, theirs = inputs(), inputs()

    mixed, _ = attention(Bidirectional(), *ours, mask(kind), scaling=scaling)
    expected = F.scaled_dot_product_attention(*theirs, attn_mask=mask(kind), scale=scaling).transpose(1, 2)

    torch.testing.assert_close(mixed, expected)
    for got, wanted in zip(gradients(mixed, ours), gradients(expected, theirs), strict=True):
        torch.testing.assert_close(got, wanted)


def test_dropout_drops_weights_after_the_softmax() -> None:
    ours, (query, key, value) = inputs(), inputs()

    torch.manual_seed(5)
    mixed, _ = attention(Bidirectional(), *ours, mask("bool"), dropout=0.5)
    torch.manual_seed(5)
    scores = (query @ key.transpose(-1, -2) / 2).masked_fill(~mask("bool"), -torch.inf)  # type: ignore[operator]
    weights = scores.softmax(-1)
    expected = (weights * dropout_mask(weights, 0.5) @ value).transpose(1, 2)

    torch.testing.assert_close(mixed, expected)
    for got, wanted in zip(gradients(mixed, ours), gradients(expected, [query, key, value]), strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("why", ["causal", "long", "float32", "grouped"])
def test_what_it_does_not_do_itself_goes_to_torch(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    torchs_own = "sdpa_attention_forward"
    monkeypatch.setattr(attention_module, torchs_own, lambda *args, **settings: asked.append(args) or (None, None))
    query, key, value = inputs(torch.float32 if why == "float32" else torch.bfloat16)
    if why == "long":
        monkeypatch.setattr(attention_module, "MAX_LENGTH", 6)
    if why == "grouped":
        key, value = key[:, :1], value[:, :1]

    attention(Bidirectional(), query, key, value, None, is_causal=why == "causal")

    assert len(asked) == 1


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra", "albert", "modernbert"])
def test_a_batch_without_padding_is_masked_when_asked_for(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[bool] = []
    torchs_own = attention_module.sdpa_attention_forward

    def spy(module: Any, query: Any, key: Any, value: Any, mask: Any, **settings: Any) -> Any:
        masked.append(mask is not None)
        return torchs_own(module, query, key, value, mask, **settings)

    model = tiny_encoder(family).model
    monkeypatch.setattr(attention_module, "sdpa_attention_forward", spy)
    ids = torch.tensor([[5, 6, 7]])

    with torch.no_grad():
        plain = model(input_ids=ids).last_hidden_state
        with attention_module.always_masked():
            with_mask = model(input_ids=ids).last_hidden_state

    assert masked[:2] == [False, False]
    assert masked[-2:] == [True, True]
    torch.testing.assert_close(plain, with_mask)
