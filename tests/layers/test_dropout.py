"""Dropout: the right rate and mean, a function of torch's seed, off in evaluation."""

from __future__ import annotations

import pytest
import torch
from tests.embedding.tiny import tiny_encoder

from frostline.layers.dropout import Dropout, dropout_mask, use_fast_dropout


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_a_mask_drops_at_its_rate_and_keeps_the_mean(rate: float) -> None:
    torch.manual_seed(0)
    mask = dropout_mask(torch.empty(300, 333), rate)

    assert (mask == 0).float().mean().item() == pytest.approx(rate, abs=0.006)
    assert mask.max().item() == pytest.approx(1 / (1 - rate), rel=1e-4)
    assert mask.unique().numel() == (1 if rate == 0.0 else 2)


def test_everything_is_dropped_at_a_rate_of_one() -> None:
    assert not dropout_mask(torch.empty(5, 5), 1.0).any()


def test_a_mask_is_a_function_of_torchs_seed() -> None:
    like = torch.empty(7, 13)
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append((dropout_mask(like, 0.5), dropout_mask(like, 0.5)))

    assert torch.equal(masks[0][0], masks[1][0])
    assert torch.equal(masks[0][1], masks[1][1])
    assert not torch.equal(masks[0][0], masks[0][1])
    assert not torch.equal(masks[0][0], masks[2][0])


@pytest.mark.parametrize("contiguous", [True, False])
def test_a_layer_drops_in_training_only_and_its_gradient_with_it(contiguous: bool) -> None:
    layer = Dropout(0.5)
    vectors = torch.ones(40, 30).requires_grad_()
    inputs = vectors if contiguous else vectors.t()

    dropped = layer(inputs)
    dropped.sum().backward()
    layer.eval()

    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert vectors.grad is not None
    assert torch.equal(vectors.grad, dropped if contiguous else dropped.t())
    assert layer(inputs) is inputs


def test_a_models_dropout_layers_are_replaced_with_their_rates_and_states() -> None:
    model = torch.nn.Sequential(torch.nn.Dropout(0.3), torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.ReLU()))
    model[1].eval()

    use_fast_dropout(model)

    layers = [module for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert [(type(layer), layer.p, layer.training) for layer in layers] == [(Dropout, 0.3, True), (Dropout, 0.2, False)]


def test_an_encoder_has_no_slow_dropout_left() -> None:
    assert not [module for module in tiny_encoder().modules() if type(module) is torch.nn.Dropout]
