"""A learned mix of an encoder's layers: `gamma * sum_j softmax(weights)_j * layer_j`, as in ELMo (Peters et al. 2018).

https://aclanthology.org/N18-1202, equation 1. The n + 1 numbers belong to whoever reads the layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ScalarMix(nn.Module):
    """One vector per token from the vectors that each layer has for it.

    Starts as the plain mean of the layers: all weights 0, gamma 1.

    Args:
        n_layers: how many there are to mix, 1 or more.
    """

    def __init__(self, n_layers: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(n_layers))  # before softmax
        self.gamma = nn.Parameter(torch.ones(1))

    def forward(self, *layers: Tensor) -> Tensor:
        """n_layers x (n_tokens, width) float32 -> (n_tokens, width) float32.

        Raises:
            ValueError: another number of layers than the mix was made for.
        """
        if len(layers) != len(self.weights):
            raise ValueError(f"the mix is of {len(self.weights)} layers, but {len(layers)} are given")
        shares = torch.softmax(self.weights, dim=0)
        mixed = layers[0] * shares[0]
        for layer, share in zip(layers[1:], shares[1:], strict=True):
            mixed = mixed + layer * share
        return mixed * self.gamma
