"""The distinct words of a batch: what a word alone decides is computed once for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from frostline.tokens import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinctWords:
    """The different words of a batch of docs, in the order of their first appearance, and where each stands."""

    words: tuple[str, ...]
    row_of_token: Tensor  # (n_tokens,) int64: the place in `words`

    @classmethod
    def of(cls, docs: Sequence[Doc], *, device: torch.device | str = "cpu") -> DistinctWords:
        """Read the words of docs, in order."""
        places: dict[str, int] = {}
        rows = [places.setdefault(word or "", len(places)) for doc in docs for word in doc.words.values()]
        return cls(words=tuple(places), row_of_token=torch.tensor(rows, dtype=torch.int64).to(device))

    @property
    def device(self) -> torch.device:
        """Where the layers that read the words compute."""
        return self.row_of_token.device
