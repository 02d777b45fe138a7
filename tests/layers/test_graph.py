"""Composed layers equal the plain torch expression, values and gradients; foreign layers take part."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from thinc.api import Model
from thinc.api import chain as thinc_chain
from torch import Tensor, nn

from frostline.errors import ConfigError, UsageError
from frostline.layers.distinct_words import DistinctWords
from frostline.layers.graph import add, chain, concatenate, graph_layer, module_layer, module_tree, per_token, run
from frostline.layers.maxout import Maxout, maxout
from frostline.layers.torch_bridge import wrap
from frostline.layers.words import extract_features, remap_ids
from frostline.tokens import Doc
from frostline.tokens.attributes import hashes

DOCS = [Doc.from_words(["the", "cat", "The"]), Doc.from_words([]), Doc.from_words(["cat", "sat"])]


def linear(n_inputs: int, width: int, *, seed: int = 0) -> Model:
    torch.manual_seed(seed)
    return module_layer("linear", nn.Linear(n_inputs, width), width=width)


def lengths_of_words(scale: float = 1.0) -> Model:
    """A layer of a user's: reads the docs, has no weights."""

    def compute(model: Model, docs: Any, is_train: bool) -> Tensor:
        return torch.tensor([[scale * len(word)] for doc in docs for word in doc.words.values()])

    return graph_layer("lengths", compute, width=1)


def test_the_combinators_equal_the_plain_expression_with_its_gradients() -> None:
    first, second, third = linear(3, 4), linear(3, 4, seed=1), linear(8, 2, seed=2)
    model = chain(concatenate(add(first, second), second), third)
    inputs = torch.randn(5, 3, requires_grad=True)
    modules = [layer.attrs["torch_module"] for layer in (first, second, third)]

    outputs, backprop = model(inputs, is_train=True)
    returned = backprop(torch.ones_like(outputs))

    plain = inputs.detach().clone().requires_grad_()
    expected = modules[2](torch.cat([modules[0](plain) + modules[1](plain), modules[1](plain)], dim=1))
    ours = [parameter.grad.clone() for module in modules for parameter in module.parameters()]
    (gradient,) = torch.autograd.grad(expected.sum(), [plain], retain_graph=True)
    reference = torch.autograd.grad(expected.sum(), [p for module in modules for p in module.parameters()])
    assert torch.equal(outputs, expected) and torch.allclose(returned, gradient, rtol=1e-6)
    assert all(torch.allclose(a, b, rtol=1e-6) for a, b in zip(ours, reference, strict=True))
    assert model.attrs["width"] == 2


@pytest.mark.parametrize("is_train", [False, True])
def test_a_module_that_works_in_place_leaves_what_its_neighbours_read(is_train: bool) -> None:
    activation = module_layer("relu", nn.ReLU(inplace=True), width=3)
    inputs = torch.linspace(-1, 1, 6).view(2, 3)
    given = inputs.clone().requires_grad_(is_train)

    outputs, _ = add(activation, module_layer("same", nn.Identity(), width=3))(given, is_train=is_train)

    assert torch.equal(given, inputs)
    assert torch.equal(outputs, inputs.relu() + inputs)


class Doubles(nn.Module):
    """Writes on what it is given, and does not say so."""

    def forward(self, rows: Tensor) -> Tensor:
        return rows.mul_(2)


def test_a_module_that_writes_on_its_rows_unsaid_is_refused() -> None:
    with pytest.raises(UsageError, match="Doubles wrote on its input"):
        module_layer("doubles", Doubles(), width=3)(torch.ones(2, 3), is_train=False)


def test_a_prediction_has_no_way_back() -> None:
    outputs, backprop = linear(3, 4)(torch.ones(2, 3), is_train=False)

    assert not outputs.requires_grad
    with pytest.raises(RuntimeError, match="no backward pass"):
        backprop(outputs)


def test_a_thinc_layer_with_its_own_callback_is_a_node_of_the_graph() -> None:
    torch.manual_seed(0)
    module = nn.Linear(1, 3)
    foreign = thinc_chain(lengths_of_words(), wrap(module, name="wrapped"))

    with torch.enable_grad():
        rows = run(chain(foreign, linear(3, 2)), DOCS, is_train=True)
        rows.sum().backward()

    assert rows.shape == (5, 2)
    assert module.weight.grad is not None and module.weight.grad.abs().sum() > 0


def test_layers_of_words_are_spread_over_the_tokens_beside_layers_of_docs() -> None:
    def numbers(model: Model, words: DistinctWords, is_train: bool) -> Tensor:
        return torch.arange(len(words.words)).float()[:, None]

    by_word = graph_layer("numbers", numbers, reads="words", width=1)

    rows = run(concatenate(lengths_of_words(), by_word), DOCS, is_train=False)

    assert rows.tolist() == [[3, 0], [3, 1], [3, 2], [3, 1], [3, 3]]
    assert per_token(lengths_of_words()).name == "lengths"


def test_distinct_words_are_numbered_by_first_appearance() -> None:
    found = DistinctWords.of(DOCS)

    assert found.words == ("the", "cat", "The", "sat")
    assert found.row_of_token.tolist() == [0, 1, 2, 1, 3]


def test_extracted_features_are_the_hashes_of_the_attributes() -> None:
    layer = extract_features(["norm", "suffix"])

    rows = run(layer, DistinctWords.of(DOCS[:1]), is_train=False)

    assert (rows.numpy().view("uint64") == hashes(DOCS[:1], ["norm", "suffix"])).all()


def test_the_table_of_hashes_is_bounded_over_ever_new_words() -> None:
    layer = extract_features(["norm"])
    extractor = layer.attrs["extractor"]
    extractor.max_entries = 50

    for start in range(0, 1000, 40):
        words = [f"word{start + number}" for number in range(40)] + ["x" * 100]
        found = extractor.hashes(words)
        assert (found == extract_features(["norm"]).attrs["extractor"].hashes(words)).all()
        assert len(extractor) <= 50


def test_remapped_ids_are_those_of_known_values() -> None:
    layer = chain(extract_features(["norm"]), remap_ids({"cat": 2, "the": 1}, attribute="norm"))

    assert run(layer, DistinctWords.of(DOCS), is_train=False).tolist() == [[1], [2], [1], [0]]
    nothing = remap_ids({}, attribute="norm", default=7)
    assert run(nothing, torch.ones(2, 1).long(), is_train=False).tolist() == [[7], [7]]


@pytest.mark.parametrize("n_pieces", [1, 2, 3, 5])
@pytest.mark.parametrize("n_rows", [0, 1, 7])
def test_maxout_equals_the_plain_expression_with_its_gradients(n_pieces: int, n_rows: int) -> None:
    torch.manual_seed(0)
    module = Maxout(4, 6, n_pieces=n_pieces, normalize=False)
    inputs = torch.randn(n_rows, 4, requires_grad=True)
    plain = inputs.detach().clone().requires_grad_()

    outputs = module(inputs)
    outputs.square().sum().backward()

    expected = (plain @ module.weight.T + module.bias).view(n_rows, n_pieces, 6).amax(1)
    expected.square().sum().backward()
    assert torch.allclose(outputs, expected, atol=1e-6) and torch.allclose(inputs.grad, plain.grad, atol=1e-5)


def test_equal_pieces_let_the_first_learn() -> None:
    module = Maxout(1, 1, n_pieces=2, normalize=False)
    nn.init.ones_(module.weight)

    module(torch.ones(1, 1)).sum().backward()

    assert module.weight.grad.tolist() == [[1.0], [0.0]]


def test_a_tree_names_modules_as_the_layers_are_named() -> None:
    model = chain(concatenate(linear(3, 4), linear(3, 4)), maxout(8, 5), name="mixed")

    names = [name for name, _ in module_tree(model).named_parameters() if name.endswith("weight")]

    assert names == ["concatenate.linear.weight", "concatenate.linear_1.weight", "maxout.weight", "maxout.norm.weight"]


def test_sums_of_different_widths_and_empty_compositions_are_refused() -> None:
    with pytest.raises(ConfigError, match="linear 4, lengths 1"):
        add(linear(3, 4), lengths_of_words())
    for combine in (add, chain, concatenate):
        with pytest.raises(ConfigError, match="was given no layers"):
            combine()
