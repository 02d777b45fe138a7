"""Adam on flat buffers: the same numbers as torch's own, rates by component, nothing frozen touched."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from frostline.errors import ConfigError, TrainingError
from frostline.layers.parameters import ParameterStore
from frostline.training.optimizer import Adam, build_adam


def network(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.LayerNorm(5), torch.nn.Linear(5, 2))


def backward(module: torch.nn.Module) -> None:
    module(torch.arange(12.0).view(4, 3)).square().sum().backward()


def trained(adam: Adam, store: ParameterStore, module: torch.nn.Module, steps: range) -> None:
    for step in steps:
        store.zero_gradients()
        backward(module)
        adam.step(store, step=step)


def test_the_weights_are_those_of_plain_torch() -> None:
    module, twin = network(), network()
    store = ParameterStore.gather([("tagger", module)])
    trained(build_adam(learn_rate=0.01, weight_decay=0.1, grad_clip=2.0), store, module, range(5))

    decays = [p for p in twin.parameters() if p.ndim > 1]
    others = [p for p in twin.parameters() if p.ndim == 1]
    groups = [{"params": decays, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    plain = torch.optim.AdamW(groups, lr=0.01)
    for _ in range(5):
        plain.zero_grad()
        backward(twin)
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 2.0)
        plain.step()

    for ours, theirs in zip(module.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_each_component_has_its_rate() -> None:
    module = network()
    store = ParameterStore.gather([("transformer", module), ("tagger", network(1))])
    backward(module)

    done = build_adam(learn_rate=0.01, rates={"tagger": 10.0}).step(store, step=0)

    assert done.learn_rates == pytest.approx({"transformer": 0.01, "tagger": 0.1})
    assert done.grad_norm > 0


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"grad_clip": -1.0}, "grad_clip is -1.0"),  # it would turn every gradient round
        ({"beta2": 1.0}, "beta2 is 1.0"),
        ({"eps": -1e-8}, "eps is -1e-08"),
        ({"weight_decay": float("nan")}, "weight_decay is nan"),
        ({"rates": {"tagger": -2.0}}, "rates.tagger is -2.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        build_adam(learn_rate=0.01, **settings)


def test_a_rate_for_an_unknown_component_names_the_nearest() -> None:
    store = ParameterStore.gather([("tagger", network())])

    with pytest.raises(ConfigError, match="tagger"):
        build_adam(learn_rate=0.01, rates={"taggre": 10.0}).step(store, step=0)


def test_a_rate_for_a_frozen_component_is_no_fault() -> None:
    store = ParameterStore.gather([("transformer", network().requires_grad_(False)), ("tagger", network(1))])

    done = build_adam(learn_rate=0.01, rates={"transformer": 0.1}).step(store, step=0)

    assert done.learn_rates == {"tagger": 0.01}


def test_what_is_frozen_does_not_move_by_a_bit() -> None:
    frozen, module = network().requires_grad_(False), network(1)
    store = ParameterStore.gather([("transformer", frozen), ("tagger", module)])
    before = [p.clone() for p in frozen.parameters()]

    trained(build_adam(learn_rate=0.1), store, module, range(3))

    assert all(torch.equal(a, b) for a, b in zip(before, frozen.parameters(), strict=True))


def test_a_pipeline_with_nothing_to_move_steps_without_effect() -> None:
    store = ParameterStore.gather([("transformer", network().requires_grad_(False))])

    assert build_adam(learn_rate=0.1).step(store, step=0).grad_norm == 0.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_no_number_names_component_and_step_and_moves_nothing(bad: float) -> None:
    module = network()
    store = ParameterStore.gather([("tagger", module), ("parser", network(1))])
    before = {name: value.clone() for name, value in store.named_values.items()}
    store.named_gradients["tagger/0.bias"][1] = bad

    with pytest.raises(TrainingError, match="gradient of 'tagger' is not a finite number at step 9"):
        build_adam(learn_rate=0.1).step(store, step=9)

    assert all(torch.equal(value, before[name]) for name, value in store.named_values.items())


def test_saved_and_loaded_it_goes_on_with_the_same_bits() -> None:
    module, twin = network(), network()
    store, twin_store = ParameterStore.gather([("tagger", module)]), ParameterStore.gather([("tagger", twin)])
    adam = build_adam(learn_rate=0.01)
    trained(adam, store, module, range(3))
    other = build_adam(learn_rate=0.01)

    other.load_state_dict(twin_store, {name: tensor.clone() for name, tensor in adam.state_dict().items()})
    for name, value in twin_store.named_values.items():
        value.copy_(store.named_values[name])
    trained(adam, store, module, range(3, 6))
    trained(other, twin_store, twin, range(3, 6))

    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), twin.parameters(), strict=True))


def test_moments_follow_their_parameters_when_something_is_frozen() -> None:
    module, twin = network(), network()
    store, twin_store = ParameterStore.gather([("tagger", module)]), ParameterStore.gather([("tagger", twin)])
    adam, other = build_adam(learn_rate=0.01, grad_clip=0.0), build_adam(learn_rate=0.01, grad_clip=0.0)
    trained(adam, store, module, range(3))
    trained(other, twin_store, twin, range(3))

    module[0].requires_grad_(False)
    store.refresh()
    trained(adam, store, module, range(3, 4))
    trained(other, twin_store, twin, range(3, 4))

    assert torch.equal(module[2].weight, twin[2].weight)
    assert not torch.equal(module[0].weight, twin[0].weight)
