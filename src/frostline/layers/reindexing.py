"""Where the numbers of a resized tensor come from, so that moments and averages can follow their parameter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

NEW = -1  # in the place of an old index: nothing was there, the new numbers are zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Reindexing:
    """A change of one dimension: new index -> old index, or NEW."""

    dim: int
    sources: tuple[int, ...]

    @classmethod
    def to_size(cls, dim: int, *, old: int, new: int) -> Reindexing:
        """Grow at the end with zeros, or cut the last ones."""
        return cls(dim=dim, sources=tuple(i if i < old else NEW for i in range(new)))

    def apply(self, tensor: Tensor) -> Tensor:
        """A new tensor, equal to `tensor` bit for bit where it has its numbers from there, zero elsewhere."""
        index = torch.tensor(self.sources, dtype=torch.int64, device=tensor.device)
        shape = list(tensor.shape)
        shape[self.dim] = len(index)
        result = tensor.new_zeros(shape)
        kept = (index != NEW).nonzero()[:, 0]
        return result.index_copy_(self.dim, kept, tensor.detach().index_select(self.dim, index[kept]))


def reindexed(tensor: Tensor, changes: Iterable[Reindexing]) -> Tensor:
    """A tensor after changes of its dimensions, one after another; the tensor itself where there are none."""
    for change in changes:
        tensor = change.apply(tensor)
    return tensor
