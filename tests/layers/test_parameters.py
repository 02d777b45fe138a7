"""Flat buffers: views both ways, frozen groups, swapping values and always restoring them."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from thinc.api import Linear, chain
from thinc.api import Model as ThincModel

from frostline.layers.parameters import ALIGNMENT_BYTES, ParameterStore
from frostline.layers.resizing import resize


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.LayerNorm(5), torch.nn.Linear(5, 2))


def thinc_layer() -> ThincModel:
    return Linear(nO=2, nI=3).initialize()


def test_values_are_unchanged_by_the_move() -> None:
    module = network()
    before = {name: p.detach().clone() for name, p in module.named_parameters()}

    store = ParameterStore.gather([("tagger", module)])

    for name, value in before.items():
        assert torch.equal(store.named_values[f"tagger/{name}"], value)
    assert store.n_parameters == sum(value.numel() for value in before.values())


def test_gradients_of_a_module_land_in_the_flat_buffers() -> None:
    module = network()
    store = ParameterStore.gather([("tagger", module)])

    for _ in range(2):
        module(torch.ones(4, 3)).square().sum().backward()

    twin = network()
    for _ in range(2):
        twin(torch.ones(4, 3)).square().sum().backward()
    for name, parameter in twin.named_parameters():
        assert torch.equal(store.named_gradients[f"tagger/{name}"], parameter.grad)
    assert sum(float(g.gradients.abs().sum()) for g in store.groups) > 0


def test_moving_a_buffer_moves_the_module() -> None:
    module = network()
    store = ParameterStore.gather([("tagger", module)])

    for group in store.groups:
        group.values.fill_(2.0)

    assert all(bool((p == 2.0).all()) for p in module.parameters())


def test_biases_and_norms_do_not_decay() -> None:
    store = ParameterStore.gather([("tagger", network())])

    assert {g.name: (g.decays, [e.name for e in g.entries]) for g in store.groups} == {
        "tagger/weights": (True, ["0.weight", "2.weight"]),
        "tagger/biases": (False, ["0.bias", "1.weight", "1.bias", "2.bias"]),
    }


def test_every_parameter_starts_on_a_cache_line() -> None:
    store = ParameterStore.gather([("tagger", network())])

    assert all(value.data_ptr() % ALIGNMENT_BYTES == 0 for value in store.named_values.values())


def test_a_thinc_layer_views_the_buffers() -> None:
    layer = thinc_layer()
    before = layer.get_param("W").copy()
    store = ParameterStore.gather([("tagger", layer)])

    _, backprop = layer.begin_update(numpy.ones((4, 3), dtype="float32"))
    backprop(numpy.ones((4, 2), dtype="float32"))
    store.group("tagger/weights").values.mul_(2)

    assert numpy.array_equal(layer.get_param("W"), before * 2)
    assert store.named_gradients["tagger/W"].tolist() == [[4.0] * 3] * 2


def test_repeated_layers_of_a_tree_get_numbered_names() -> None:
    store = ParameterStore.gather([("tagger", chain(thinc_layer(), Linear(nO=1, nI=2)).initialize())])

    assert sorted(store.named_values) == ["tagger/linear.0.W", "tagger/linear.0.b", "tagger/linear.1.W",
                                          "tagger/linear.1.b"]  # fmt: skip


def test_a_module_inside_a_thinc_node_is_found() -> None:
    module = network()
    node: ThincModel = ThincModel("bridge", lambda model, x, is_train: (x, lambda d: d), attrs={"torch_module": module})

    store = ParameterStore.gather([("tagger", node)])

    assert "tagger/0.weight" in store.named_values


def test_a_shared_parameter_belongs_to_its_first_owner() -> None:
    module = network()

    store = ParameterStore.gather([("transformer", module), ("tagger", module)])

    assert {group.component for group in store.groups} == {"transformer"}


def test_frozen_parameters_have_no_gradient_buffer_and_keep_their_type() -> None:
    module = network().requires_grad_(False).to(torch.bfloat16)

    store = ParameterStore.gather([("transformer", module), ("tagger", network())])

    frozen = [group for group in store.groups if not group.trainable]
    assert {(g.component, g.gradients, g.values.dtype) for g in frozen} == {("transformer", None, torch.bfloat16)}
    assert store.n_trainable == store.n_parameters // 2


def test_refresh_follows_what_was_frozen_and_keeps_the_values() -> None:
    module = network()
    store = ParameterStore.gather([("tagger", module)])
    before = {name: value.clone() for name, value in store.named_values.items()}

    module[0].requires_grad_(False)
    store.refresh()

    assert {g.name for g in store.groups} == {"tagger/weights", "tagger/biases", "tagger/weights/frozen",
                                              "tagger/biases/frozen"}  # fmt: skip
    assert all(torch.equal(store.named_values[name], value) for name, value in before.items())
    assert module[0].weight.grad is None and module[2].weight.grad is not None


def test_other_values_are_in_for_the_block_only() -> None:
    store = ParameterStore.gather([("tagger", network())])
    before = {group.name: group.values.clone() for group in store.groups}
    ones = {name: torch.ones_like(value) for name, value in before.items()}
    zeros = {name: torch.zeros_like(value) for name, value in before.items()}

    with pytest.raises(RuntimeError), store.use(ones):
        with store.use(zeros):
            assert store.norm_of_gradients() == 0.0
            assert all(not bool(g.values.any()) for g in store.groups)
        assert all(bool((g.values == 1).all()) for g in store.groups)
        raise RuntimeError

    assert all(torch.equal(group.values, before[group.name]) for group in store.groups)


def frozen_in(module: torch.nn.Sequential, store: ParameterStore) -> None:
    module[0].requires_grad_(False)
    store.refresh()


def thawed_in(module: torch.nn.Sequential, store: ParameterStore) -> None:
    module.requires_grad_(True)
    store.refresh()


def grown_in(module: torch.nn.Sequential, store: ParameterStore) -> None:
    store.refresh(resize(module[2], n_out=4))


def cut_in(module: torch.nn.Sequential, store: ParameterStore) -> None:
    store.refresh(resize(module[2], n_out=1))


def grown_unsaid_in(module: torch.nn.Sequential, store: ParameterStore) -> None:
    resize(module[2], n_out=4)
    store.refresh()


CHANGES = [frozen_in, thawed_in, grown_in, cut_in, grown_unsaid_in]


@pytest.mark.parametrize("first", CHANGES)
@pytest.mark.parametrize("second", CHANGES)
def test_own_values_come_back_whatever_was_sorted_or_resized_in_the_block(first: Any, second: Any) -> None:
    module = network()
    module[0].requires_grad_(first is not thawed_in)
    store = ParameterStore.gather([("tagger", module), ("parser", thinc_layer())])
    before = {name: value.clone() for name, value in store.named_values.items()}
    zeros = {group.name: torch.zeros_like(group.values) for group in store.groups}
    ones = {group.name: torch.ones_like(group.values) for group in store.groups if group.trainable}

    with pytest.raises(RuntimeError), store.use(zeros):
        with store.use(ones):
            first(module, store)
        assert not any(bool(value.any()) for value in store.named_values.values())
        second(module, store)
        raise RuntimeError

    assert store.named_values.keys() == before.keys()
    for name, value in store.named_values.items():
        n_rows = min(1 if cut_in in (first, second) else len(value), len(before[name])) if "2." in name else len(value)
        assert torch.equal(value[:n_rows], before[name][:n_rows])
        assert not value[n_rows:].any()
    assert all(p.data_ptr() == store.named_values[f"tagger/{name}"].data_ptr() for name, p in module.named_parameters())


def test_what_came_in_the_block_stays_and_what_went_is_forgotten() -> None:
    module = torch.nn.ModuleDict({"old": torch.nn.Linear(2, 2), "kept": torch.nn.Linear(2, 2)})
    store = ParameterStore.gather([("tagger", module)])
    before = module["kept"].weight.detach().clone()

    with store.use({group.name: torch.zeros_like(group.values) for group in store.groups}):
        del module["old"]
        module["new"] = torch.nn.Linear(2, 2)
        new = module["new"].weight.detach().clone()
        store.refresh()

    assert torch.equal(module["kept"].weight, before)
    assert torch.equal(module["new"].weight, new)


def test_swapping_in_an_unknown_group_changes_nothing() -> None:
    store = ParameterStore.gather([("tagger", network())])
    before = store.groups[0].values.clone()

    with pytest.raises(KeyError), store.use({store.groups[0].name: torch.ones_like(before), "parser": before}):
        pass

    assert torch.equal(store.groups[0].values, before)


@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_swapping_in_values_of_another_shape_changes_nothing(shape: tuple[int, ...]) -> None:
    store = ParameterStore.gather([("tagger", network())])
    first, second = store.groups[:2]
    before = first.values.clone()

    with (
        pytest.raises(ValueError, match=f"'{second.name}' have shape .*, but must have"),
        store.use({first.name: torch.ones_like(before), second.name: torch.zeros(shape)}),
    ):
        pass

    assert torch.equal(first.values, before)


def test_the_norm_is_over_all_groups() -> None:
    store = ParameterStore.gather([("a", network()), ("b", network())])
    for gradient in store.named_gradients.values():
        gradient.fill_(1.0)

    assert store.norm_of_gradients() == pytest.approx(store.n_parameters**0.5)
    store.zero_gradients()
    assert store.norm_of_gradients() == 0.0


def test_what_moves_must_be_float32() -> None:
    with pytest.raises(ValueError, match=r"0\.weight.*float32"):
        ParameterStore.gather([("tagger", network().to(torch.bfloat16))])
