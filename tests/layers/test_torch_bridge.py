"""The bridge gives torch's own numbers and gradients, and computes no gradient that nobody wants."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from frostline.layers import modes
from frostline.layers.torch_bridge import apply_module, wrap


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2))


def test_forward_and_backward_are_torchs_own() -> None:
    ours, plain = network(), network()
    inputs, gradient = torch.randn(5, 3), torch.randn(5, 2)
    wanted = inputs.clone().requires_grad_()
    plain(wanted).backward(gradient)

    outputs, backprop = wrap(ours, name="net")(inputs.clone().requires_grad_(), is_train=True)
    of_inputs = backprop(gradient)

    assert torch.equal(outputs, plain(inputs))
    assert torch.equal(of_inputs, wanted.grad)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(ours.parameters(), plain.parameters(), strict=True))


def test_an_input_that_wants_no_gradient_gets_none() -> None:
    _, backprop = apply_module(network(), torch.randn(5, 3), is_train=True)

    assert backprop(torch.ones(5, 2)) is None


def test_a_frozen_module_passes_the_gradient_to_what_lies_below_and_keeps_none() -> None:
    module = network()
    modes.declare({"net": module}, {"net.*": "frozen"})

    outputs, backprop = apply_module(module, torch.randn(5, 3).requires_grad_(), is_train=True)

    assert backprop(torch.ones_like(outputs)).abs().max() > 0
    assert all(parameter.grad is None for parameter in module.parameters())


def test_gradients_of_two_passes_add_up() -> None:
    once, twice = network(), network()
    inputs = torch.randn(4, 3)
    apply_module(once, inputs, is_train=True)[1](torch.ones(4, 2))

    for part in (inputs[:1], inputs[1:]):
        apply_module(twice, part, is_train=True)[1](torch.ones(len(part), 2))

    for a, b in zip(once.parameters(), twice.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_a_prediction_has_no_way_back() -> None:
    outputs, backprop = apply_module(network(), torch.randn(5, 3).requires_grad_(), is_train=False)

    assert not outputs.requires_grad
    with pytest.raises(RuntimeError, match="no backward pass"):
        backprop(torch.ones(5, 2))
