"""Scores for every label of every token: the part of a tagger that lies on the embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from thinc.api import Model
from torch import Tensor, nn

from frostline.errors import ConfigError
from frostline.layers.dropout import Dropout
from frostline.layers.resizing import Changes, resize
from frostline.layers.torch_bridge import Backprop, apply_module


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the scores of labels that were added later stand.

    sizes: rows of the output layer that came together; each lot is a matrix product of its own, since a wider one
    would change the last bits of the scores that were there.
    order: for each score as callers see it, its row.
    """

    sizes: tuple[int, ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, n_labels: int) -> Layout:
        """That of a head to which nothing was added."""
        return cls(sizes=(n_labels,), order=tuple(range(n_labels)))

    def with_added(self, places: Sequence[int]) -> Layout:
        """With new scores in these places, counted as they will stand; the rows come last."""
        order, first = list(self.order), len(self.order)
        for number, place in enumerate(sorted(places)):
            order.insert(place, first + number)
        return Layout(sizes=(*self.sizes, len(places)), order=tuple(order))


class TokenHead(nn.Module):
    """Dropout, an optional hidden layer with GELU, and one linear layer over all labels.

    Args:
        width: of the embedding.
        layout: of the labels of all label sets together.
        hidden_width: 0 for no hidden layer.
    """

    def __init__(self, width: int, layout: Layout, hidden_width: int = 0) -> None:
        super().__init__()
        self.layout = layout
        self.dropout = Dropout(0.0)
        self.hidden = nn.Linear(width, hidden_width) if hidden_width else None
        self.output = nn.Linear(hidden_width or width, len(layout.order))

    def forward(self, embedded: Tensor) -> Tensor:
        """(n_tokens, width) -> (n_tokens, n_labels), not normalised."""
        embedded = self.dropout(embedded)
        if self.hidden is not None:
            embedded = self.dropout(nn.functional.gelu(self.hidden(embedded)))
        if len(self.layout.sizes) == 1:
            scores: Tensor = self.output(embedded)
            return scores
        weights = torch.split(self.output.weight, list(self.layout.sizes))
        biases = torch.split(self.output.bias, list(self.layout.sizes))
        lots = [nn.functional.linear(embedded, *lot) for lot in zip(weights, biases, strict=True)]
        order = torch.tensor(self.layout.order, device=embedded.device)
        return torch.cat(lots, dim=1).index_select(1, order)


def token_head(*, hidden_width: int = 0) -> Model:
    """A layer (n_tokens, width) -> (n_tokens, n_labels); it gets its module from `build` once both sizes are known.

    Raises:
        ConfigError: a width below 0.
    """
    if hidden_width < 0:
        message = f"hidden_width is {hidden_width}, but must be 0 or more."
        raise ConfigError(message, where="hidden_width", fix="Give 0 for no hidden layer.")
    return Model("token_head", _forward, attrs={"hidden_width": hidden_width, "torch_module": None})


def build(model: Model, *, width: int, layout: Layout, seed: int) -> None:
    """Make the head's module, with weights that are a function of the sizes and the seed alone.

    The output layer starts at zero, so that every label is equally likely before the first step.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = TokenHead(width, layout, model.attrs["hidden_width"])
        nn.init.zeros_(module.output.weight)
        nn.init.zeros_(module.output.bias)
    model.attrs["torch_module"] = module


def head_of(model: Model) -> TokenHead:
    """The one head of a model tree; RuntimeError before `build`."""
    for node in model.walk():
        module = node.attrs.get("torch_module")
        if isinstance(module, TokenHead):
            return module
    raise RuntimeError("The head has not been built yet.")


def add_outputs(model: Model, places: Sequence[int]) -> Changes:
    """Give the head of a model tree new scores in these places, counted as they will stand; their weights are zero.

    The scores that were there stay as they are, bit for bit. Returns how the parameters changed.
    """
    head = head_of(model)
    head.layout = head.layout.with_added(places)
    return resize(head.output, n_out=len(head.layout.order))


def set_dropout(model: Model, rate: float) -> None:
    """Set the dropout rate of every head in a model tree; 0 <= rate < 1."""
    for node in model.walk():
        module = node.attrs.get("torch_module")
        if isinstance(module, TokenHead):
            module.dropout.p = rate


def _forward(model: Model, embedded: Any, is_train: bool) -> tuple[Tensor, Backprop]:
    return apply_module(model.attrs["torch_module"], embedded, is_train=is_train)
