"""Scores for every label of every token: the part of a tagger that lies on the embedding."""

from __future__ import annotations

from typing import Any

import torch
from thinc.api import Model
from torch import Tensor, nn

from frostline.errors import ConfigError
from frostline.layers.torch_bridge import Backprop, apply_module


class TokenHead(nn.Module):
    """Dropout, an optional hidden layer with GELU, and one linear layer over all labels.

    Args:
        width: of the embedding.
        n_labels: of all label sets together.
        hidden_width: 0 for no hidden layer.
    """

    def __init__(self, width: int, n_labels: int, hidden_width: int = 0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.0)
        self.hidden = nn.Linear(width, hidden_width) if hidden_width else None
        self.output = nn.Linear(hidden_width or width, n_labels)

    def forward(self, embedded: Tensor) -> Tensor:
        """(n_tokens, width) -> (n_tokens, n_labels), not normalised."""
        embedded = self.dropout(embedded)
        if self.hidden is not None:
            embedded = self.dropout(nn.functional.gelu(self.hidden(embedded)))
        scores: Tensor = self.output(embedded)
        return scores


def token_head(*, hidden_width: int = 0) -> Model:
    """A layer (n_tokens, width) -> (n_tokens, n_labels); it gets its module from `build` once both sizes are known.

    Raises:
        ConfigError: a width below 0.
    """
    if hidden_width < 0:
        message = f"hidden_width is {hidden_width}, but must be 0 or more."
        raise ConfigError(message, where="hidden_width", fix="Give 0 for no hidden layer.")
    return Model("token_head", _forward, attrs={"hidden_width": hidden_width, "torch_module": None})


def build(model: Model, *, width: int, n_labels: int, seed: int) -> None:
    """Make the head's module, with weights that are a function of the sizes and the seed alone.

    The output layer starts at zero, so that every label is equally likely before the first step.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = TokenHead(width, n_labels, model.attrs["hidden_width"])
        nn.init.zeros_(module.output.weight)
        nn.init.zeros_(module.output.bias)
    model.attrs["torch_module"] = module


def set_dropout(model: Model, rate: float) -> None:
    """Set the dropout rate of every head in a model tree; 0 <= rate < 1."""
    for node in model.walk():
        module = node.attrs.get("torch_module")
        if isinstance(module, TokenHead):
            module.dropout.p = rate


def _forward(model: Model, embedded: Any, is_train: bool) -> tuple[Tensor, Backprop]:
    return apply_module(model.attrs["torch_module"], embedded, is_train=is_train)
