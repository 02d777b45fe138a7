"""Maxout: the largest of several linear functions, with layer normalisation."""

from __future__ import annotations

from typing import Any

import torch
from thinc.api import Model
from torch import Tensor, nn

from frostline.errors import ConfigError
from frostline.layers.graph import module_layer


class Maxout(nn.Module):
    """(n, n_inputs) -> (n, width): for each output the largest of `n_pieces` linear functions (Goodfellow et al. 2013).

    Args:
        normalize: normalise each row to mean 0 and variance 1 afterwards, with a learnt scale and shift (Ba et al.
            2016).
    """

    def __init__(self, n_inputs: int, width: int, *, n_pieces: int = 3, normalize: bool = True) -> None:
        super().__init__()
        self.n_pieces = n_pieces
        self.weight = nn.Parameter(torch.empty(n_pieces * width, n_inputs))  # all first pieces first
        self.bias = nn.Parameter(torch.empty(n_pieces * width))
        self.norm = nn.LayerNorm(width) if normalize else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform weights with the variance of Glorot and Bengio (2010) for one piece; biases of 0."""
        n_outputs, n_inputs = self.weight.shape
        bound = (6.0 / (n_inputs + n_outputs / self.n_pieces)) ** 0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """float32 out, in whatever precision the product is computed."""
        products = nn.functional.linear(inputs, self.weight, self.bias).float()
        largest: Tensor = _Largest.apply(products, self.n_pieces)  # type: ignore[no-untyped-call]
        return largest if self.norm is None else self.norm(largest)


def maxout(n_inputs: int, width: int, *, n_pieces: int = 3, normalize: bool = True) -> Model:
    """A layer around `Maxout`, to mix the rows that `concatenate` gives.

    Raises:
        ConfigError: a number below 1.
    """
    check_counts(n_inputs=n_inputs, width=width, n_pieces=n_pieces)
    return module_layer("maxout", Maxout(n_inputs, width, n_pieces=n_pieces, normalize=normalize), width=width)


def check_counts(**counts: int) -> None:
    """Raise ConfigError where one of the settings is below 1."""
    for name, count in counts.items():
        if count < 1:
            raise ConfigError(f"{name} is {count}, but must be 1 or more.", where=name, fix="Give a number from 1 up.")


class _Largest(torch.autograd.Function):
    """The largest of the pieces; the gradient goes to the one that won, to the first where several did.

    torch's own `max` over so short a dimension is several times slower on a CPU, and `amax` splits ties.
    """

    @staticmethod
    def forward(ctx: Any, products: Tensor, n_pieces: int) -> Tensor:
        pieces = products.view(products.shape[0], n_pieces, products.shape[1] // n_pieces)
        largest = pieces[:, 0]
        for piece in pieces.unbind(1)[1:]:
            largest = torch.maximum(largest, piece)
        ctx.save_for_backward(pieces, largest)
        return largest if n_pieces > 1 else largest.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        pieces, largest = ctx.saved_tensors
        spread = torch.empty_like(pieces)
        free = None  # where no earlier piece has won
        for piece, part in zip(pieces.unbind(1), spread.unbind(1), strict=True):
            wins = piece == largest
            if free is not None:
                wins &= free
            torch.mul(gradient, wins, out=part)
            free = ~wins if free is None else free & ~wins
        return spread.flatten(1), None
