"""Layers grow with zeros and lose their last rows; moments and averages go along, and what stays keeps its bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from thinc import api as thinc
from thinc.api import Embed as ThincEmbed
from thinc.api import Linear, Model
from torch import nn
from torch.nn.utils import parametrizations, prune

from frostline.layers.parameters import ParameterStore
from frostline.layers.resizing import resize
from frostline.training.averages import RunningAverages
from frostline.training.optimizer import build_adam

TORCH = {
    "linear": lambda: nn.Linear(3, 4),
    "linear without bias": lambda: nn.Linear(3, 4, bias=False),
    "convolution 1": lambda: nn.Conv1d(3, 4, 2),
    "convolution 2": lambda: nn.Conv2d(3, 4, 2),
    "convolution 3": lambda: nn.Conv3d(3, 4, 2),
    "embedding": lambda: nn.Embedding(3, 4),
}
THINC = {
    "linear": thinc.Linear, "softmax": thinc.Softmax, "softmax 2": thinc.Softmax_v2, "relu": thinc.Relu,
    "maxout": thinc.Maxout, "gelu": thinc.Gelu, "mish": thinc.Mish, "swish": thinc.Swish,
    "hard swish": thinc.HardSwish, "hard swish of mobilenet": thinc.HardSwishMobilenet, "sigmoid": thinc.Sigmoid,
    "clipped": thinc.ClippedLinear, "hard sigmoid": thinc.HardSigmoid, "hard tanh": thinc.HardTanh,
    "relu k": thinc.ReluK,
}  # fmt: skip


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize(("n_in", "n_out"), [(5, 7), (2, 1), (None, 6), (4, None), (2, 9)])
def test_a_torch_layer_keeps_its_numbers_and_gets_zeros(kind: str, n_in: int | None, n_out: int | None) -> None:
    layer = TORCH[kind]()
    before = {name: values.clone() for name, values in layer.named_parameters()}
    fresh = type(layer)(n_in or 3, n_out or 4, *([2] if "convolution" in kind else []))

    resize(layer, n_in=n_in, n_out=n_out)

    for name, values in layer.named_parameters():
        assert values.shape == dict(fresh.named_parameters())[name].shape
        common = tuple(slice(0, min(a, b)) for a, b in zip(values.shape, before[name].shape, strict=True))
        assert torch.equal(values[common], before[name][common])
        assert values.count_nonzero() == before[name][common].count_nonzero()
    assert repr(layer).replace("bias=False", "bias=True") == repr(fresh)


@pytest.mark.parametrize("kind", THINC)
@pytest.mark.parametrize(("n_in", "n_out"), [(5, 7), (2, 1), (None, 6)])
def test_a_thinc_layer_keeps_its_numbers_and_computes_with_its_new_widths(
    kind: str, n_in: int | None, n_out: int | None
) -> None:
    layer: Model = THINC[kind](nI=3, nO=4)
    layer.initialize()
    layer.set_param("W", np.random.default_rng(0).normal(size=layer.get_param("W").shape).astype("f"))
    before = layer.get_param("W").copy()

    resize(layer, n_in=n_in, n_out=n_out)

    common = tuple(slice(0, min(a, b)) for a, b in zip(before.shape, layer.get_param("W").shape, strict=True))
    assert np.array_equal(layer.get_param("W")[common], before[common])
    outputs, backprop = layer(np.ones((2, n_in or 3), dtype="f"), is_train=True)
    assert outputs.shape == (2, n_out or 4)
    assert backprop(outputs).shape == (2, n_in or 3)


def test_a_thinc_embedding_grows_in_rows_and_width() -> None:
    layer: Model = ThincEmbed(nO=4, nV=3)
    layer.initialize()
    before = layer.get_param("E").copy()

    resize(layer, n_in=5, n_out=6)

    assert np.array_equal(layer.get_param("E")[:3, :4], before)
    assert layer.get_param("E").shape == (5, 6)


def test_a_hashed_embedding_grows_in_width_but_not_in_rows() -> None:
    layer: Model = thinc.HashEmbed(4, 10)
    keys = np.arange(20, dtype="uint64")
    layer.initialize(X=keys)
    before = layer.predict(keys)

    with pytest.raises(TypeError, match="hash modulo"):
        resize(layer, n_in=13)
    assert np.array_equal(layer.predict(keys), before)

    resize(layer, n_out=6)
    assert np.array_equal(layer.predict(keys)[:, :4], before)


def test_a_softmax_in_groups_takes_wider_inputs_but_no_more_outputs() -> None:
    layer: Model = thinc.MultiSoftmax((2, 3), 4)
    layer.initialize()
    layer.set_param("W", np.random.default_rng(0).normal(size=(5, 4)).astype("f"))
    inputs = np.ones((2, 6), dtype="f")
    before = layer.predict(inputs[:, :4])

    with pytest.raises(TypeError, match="normalised in groups"):
        resize(layer, n_out=7)
    assert np.array_equal(layer.predict(inputs[:, :4]), before)

    resize(layer, n_in=6)
    assert layer.predict(inputs) == pytest.approx(before, abs=1e-6)


def looks_affine() -> Model:
    layer: Model = Model("linear", lambda model, x, is_train: (x, lambda d: d), params={"W": None, "b": None},
                         dims={"nO": 4, "nI": 3})  # fmt: skip
    layer.set_param("W", np.ones((4, 3), dtype="f"))
    layer.set_param("b", np.ones(4, dtype="f"))
    return layer


OTHERS = {
    "layer norm": lambda: thinc.LayerNorm(4).initialize(),
    "renamed layer norm": lambda: renamed(thinc.LayerNorm(4).initialize(), "linear"),
    "sparse": lambda: thinc.SparseLinear_v2(4, 3).initialize(),
    "dish, whose way back needs a square weight": lambda: thinc.Dish(4, 3).initialize(),
    "cauchy": lambda: thinc.CauchySimilarity(4).initialize(),
    "lstm": lambda: thinc.LSTM(4, 3).initialize(),
    "attention": lambda: thinc.ParametricAttention(4).initialize(),
    "chain": lambda: thinc.Maxout(4, 3, normalize=True).initialize(),
    "somebody's": looks_affine,
}


def renamed(layer: Model, name: str) -> Model:
    layer.name = name
    return layer


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("width", ["n_in", "n_out"])
def test_a_layer_of_thinc_that_is_not_known_is_refused_and_stays(kind: str, width: str) -> None:
    layer = OTHERS[kind]()
    before = {name: layer.get_param(name).copy() for name in layer.param_names}

    with pytest.raises(TypeError, match="can't be resized"):
        resize(layer, **{width: 7})

    assert all(np.array_equal(layer.get_param(name), values) for name, values in before.items())


PARAMETRIZED = {
    "weight norm": parametrizations.weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", amount=2),
    "pruned bias": lambda layer: prune.l1_unstructured(layer, "bias", amount=1),
}


@pytest.mark.parametrize("kind", PARAMETRIZED)
def test_a_weight_that_is_computed_is_refused_and_stays(kind: str) -> None:
    layer = PARAMETRIZED[kind](nn.Linear(3, 2)).eval()  # a spectral norm is estimated anew by each pass in training
    before = layer(torch.ones(1, 3))

    with pytest.raises(TypeError, match="parametrization"):
        resize(layer, n_out=4)

    torch.testing.assert_close(layer(torch.ones(1, 3)), before)


@pytest.mark.parametrize("layer", [nn.LSTM(3, 4), nn.Conv1d(4, 4, 1, groups=2), nn.LayerNorm(3)], ids=repr)
def test_a_layer_of_another_kind_is_refused(layer: nn.Module) -> None:
    with pytest.raises(TypeError):
        resize(layer, n_out=5)


def test_a_width_below_one_and_a_cut_padding_row_are_refused() -> None:
    with pytest.raises(ValueError, match="n_out is 0"):
        resize(nn.Linear(2, 2), n_out=0)
    for wrong in (2.5, "3", True):
        with pytest.raises(TypeError, match="must be a whole number"):
            resize(nn.Linear(2, 2), n_in=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no values yet"):
        resize(nn.LazyLinear(2), n_out=3)
    with pytest.raises(ValueError, match="padding"):
        resize(nn.Embedding(4, 2, padding_idx=3), n_in=3)


def stepped(store: ParameterStore, optimizer: Any, averages: RunningAverages, *, step: int) -> None:
    for name, gradient in store.named_gradients.items():
        rows = min(2, len(gradient))
        gradient.zero_()
        gradient[:rows] = torch.linspace(-1, 1, gradient[:rows].numel()).view(gradient[:rows].shape) + len(name)
    optimizer.step(store, step=step)
    averages.update(store)


def test_moments_and_averages_go_along_and_what_stays_learns_as_if_nothing_had_been_added() -> None:
    results = []
    for grows in (False, True):
        torch.manual_seed(0)
        layer = nn.Linear(3, 2)
        store = ParameterStore.gather([("tagger", layer)])
        optimizer, averages = build_adam(learn_rate=0.1, grad_clip=0.0), RunningAverages(decay=None)
        stepped(store, optimizer, averages, step=0)
        if grows:
            store.refresh(resize(layer, n_out=4))
        stepped(store, optimizer, averages, step=1)
        mean = {entry.name: entry.view(averages.values()[group.name])[:2].clone()
                for group in store.groups for entry in group.entries}  # fmt: skip
        moments = {name: group[:6].clone() for name, group in optimizer.state_dict().items() if "weights" in name
                   and group.ndim}  # fmt: skip
        results.append((layer.weight.detach()[:2].clone(), mean, moments))

    assert torch.equal(results[0][0], results[1][0])
    assert all(torch.equal(results[0][1][name], results[1][1][name]) for name in ("weight", "bias"))
    assert all(torch.equal(results[0][2][name], results[1][2][name]) for name in results[0][2])


def test_a_layer_that_shrank_goes_on_learning() -> None:
    layer: Model = Linear(nI=3, nO=4)
    layer.initialize()
    store = ParameterStore.gather([("tagger", layer)])
    optimizer, averages = build_adam(learn_rate=0.1), RunningAverages(decay=0.9)
    stepped(store, optimizer, averages, step=0)

    store.refresh(resize(layer, n_out=2))
    stepped(store, optimizer, averages, step=1)

    assert layer.get_param("W").shape == (2, 3)
    assert all(torch.isfinite(values).all() for values in averages.values().values())
    with store.use(averages.values()):
        assert layer.predict(np.ones((1, 3), dtype="f")).shape == (1, 2)
