"""Chance for the sample world: every draw is a function of a seed and of how many draws came before.

Built on `random.Random.random` alone, the one method whose sequence Python promises to keep between versions.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """A source of chance. Equal seeds give equal draws on every machine and Python version."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def chance(self, probability: float) -> bool:
        """True with the given probability (0–1)."""
        return self._random.random() < probability

    def integer(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int(self._random.random() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[int(self._random.random() * len(options))]

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        """One of the (option, weight) pairs; weights need not sum to 1."""
        totals = list(itertools.accumulate(weight for _, weight in options))
        return options[self.position(totals)][0]

    def position(self, cumulative: Sequence[float]) -> int:
        """An index drawn by cumulative weights, which rise and whose last is the total."""
        found = bisect.bisect_right(cumulative, self._random.random() * cumulative[-1])
        return min(found, len(cumulative) - 1)

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """The options in another order (Fisher and Yates)."""
        result = list(options)
        for i in range(len(result) - 1, 0, -1):
            j = self.integer(0, i)
            result[i], result[j] = result[j], result[i]
        return result
