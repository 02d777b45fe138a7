"""Modes: what moves, what drops out, and that a block leaves modules as it found them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from frostline.errors import ConfigError
from frostline.layers import modes
from frostline.layers.torch_bridge import apply_module


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Sequential(nn.Linear(4, 2)))


def test_a_frozen_module_is_in_evaluation_state_and_its_parameters_want_no_gradient() -> None:
    module = network()

    modes.declare({"net": module}, {"net.*": "frozen"})

    with modes.running(module, is_train=True):
        assert not any(part.training for part in module.modules())
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_a_pattern_freezes_the_part_it_names_and_what_is_in_it() -> None:
    module = network()

    modes.declare({"net": module}, {"net.3": "frozen"})

    assert [name for name, p in module.named_parameters() if not p.requires_grad] == ["3.0.weight", "3.0.bias"]


def test_a_later_pattern_wins() -> None:
    module = network()

    modes.declare({"net": module}, {"net.*": "frozen", "net.0": "train"})

    assert [name for name, p in module.named_parameters() if p.requires_grad] == ["0.weight", "0.bias"]


def test_eval_moves_parameters_but_keeps_evaluation_behaviour() -> None:
    module = network()

    modes.declare({"net": module}, {"net.*": "eval"})

    with modes.running(module, is_train=True):
        assert not module[2].training
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_sample_keeps_dropout_on_in_prediction_and_nothing_else() -> None:
    module = network()

    modes.declare({"net": module}, {"net.*": "sample"})

    with modes.running(module, is_train=False):
        assert module[2].training
        assert not module[1].training


def test_a_frozen_batch_norm_keeps_its_statistics_in_training() -> None:
    module = network()
    modes.declare({"net": module}, {"net.1": "frozen"})
    before = module[1].running_mean.clone()

    with modes.running(module, is_train=True):
        module(torch.randn(8, 3))

    assert torch.equal(module[1].running_mean, before)


def test_frozen_batch_norm_and_dropout_rest_in_a_net_that_trains_around_them() -> None:
    module = network()
    modes.declare({"net": module}, {"net.1": "frozen", "net.2": "frozen"})
    inputs = torch.randn(8, 3)
    statistics = {name: buffer.clone() for name, buffer in module.named_buffers()}

    trained, backprop = apply_module(module, inputs, is_train=True)
    backprop(torch.ones_like(trained))
    predicted, _ = apply_module(module, inputs, is_train=False)

    assert torch.equal(trained, predicted)
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in module.named_buffers())
    assert [name for name, p in module.named_parameters() if p.grad is not None] == [
        "0.weight", "0.bias", "3.0.weight", "3.0.bias"]  # fmt: skip


def test_a_module_that_samples_drops_out_in_training_too_and_teaches_nobody() -> None:
    module = nn.Sequential(nn.Linear(3, 50), nn.Dropout(0.5))
    modes.declare({"net": module}, {"net.*": "sample"})

    outputs, backprop = apply_module(module, torch.ones(4, 3).requires_grad_(), is_train=True)

    assert (outputs == 0).float().mean() > 0.2
    assert backprop(torch.ones_like(outputs)) is None
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_declaration_replaces_the_one_before() -> None:
    module = network()
    modes.declare({"net": module}, {"net.*": "frozen"})

    modes.declare({"net": module}, {})

    assert all(parameter.requires_grad for parameter in module.parameters())


def test_running_puts_back_the_state_it_found_after_an_exception() -> None:
    module = network()
    module[1].eval()
    before = [part.training for part in module.modules()]

    with pytest.raises(RuntimeError, match="in between"), modes.running(module, is_train=False):
        raise RuntimeError("in between")

    assert [part.training for part in module.modules()] == before


@pytest.mark.parametrize(
    ("declared", "message", "fix"),
    [({"net.*": "frozn"}, "'frozn' is no mode", "frozen"), ({"nat.*": "frozen"}, "matches no module", "net")],
)
def test_a_fault_in_a_declaration_is_named_with_its_mend(declared: dict[str, str], message: str, fix: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        modes.declare({"net": network()}, declared)

    assert fix in str(error.value.fix)
    assert error.value.where is not None
    assert error.value.where.startswith("pipeline.modes")


@pytest.mark.parametrize(
    ("pattern", "fix"),
    [("net.encoder.LayerNorm.*", "'net.encoder' has layer, rel_embeddings."),
     ("net.encoder.layr.0.*", "Did you mean 'net.encoder.layer.0.*'?"), ("nat.encodr", "Did you mean 'net.encoder'?"),
     ("net.encoder.layer.12", "'net.encoder.layer' has 0, 1."),
     ("net.encoder.layer.0.x", "'net.encoder.layer.0' has no parts."),
     ("other.*", "The pipeline has net."), ("net.encoder.*.layer", "Did you mean 'net.encoder.layer'?")],
)  # fmt: skip
def test_the_module_told_for_a_pattern_is_never_one_that_holds_more_than_was_meant(pattern: str, fix: str) -> None:
    layers = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
    encoder = nn.ModuleDict({"layer": layers, "rel_embeddings": nn.Linear(1, 1)})

    with pytest.raises(ConfigError) as told:
        modes.declare({"net": nn.ModuleDict({"encoder": encoder})}, {pattern: "frozen"})

    assert told.value.fix == fix
