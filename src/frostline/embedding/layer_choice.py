"""Which hidden states a reader asks for: one of them, or a learned mix of all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

MIX: Literal["mix"] = "mix"
Layer: TypeAlias = int | Literal["mix"]  # number of a hidden state (0: embeddings, -1: last), or a mix of all


def layers_to_compute(asked: Iterable[Layer]) -> tuple[int, ...] | None:
    """The hidden states that a publisher must give: the last and those asked for, ascending; None for all."""
    numbers = {-1}
    for layer in asked:
        if layer == MIX:
            return None
        assert isinstance(layer, int)
        numbers.add(layer)
    return tuple(sorted(numbers))
