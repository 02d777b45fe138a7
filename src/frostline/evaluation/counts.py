"""The integers a metric is made of, and the fractions that come of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many were right, of how many in the reference and how many in the prediction.

    Counts add up over documents; the fractions are taken last. With the reference's own tokens, n_gold and n_system
    are equal for annotations of words, and precision, recall and f are all the accuracy.
    """

    n_correct: int = 0
    n_gold: int = 0
    n_system: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            n_correct=self.n_correct + other.n_correct,
            n_gold=self.n_gold + other.n_gold,
            n_system=self.n_system + other.n_system,
        )

    @property
    def precision(self) -> float:
        """Right ones per predicted one, 0 to 1; 0.0 when nothing was predicted."""
        return self.n_correct / self.n_system if self.n_system else 0.0

    @property
    def recall(self) -> float:
        """Right ones per one in the reference, 0 to 1; 0.0 when the reference has none."""
        return self.n_correct / self.n_gold if self.n_gold else 0.0

    @property
    def f(self) -> float:
        """Harmonic mean of precision and recall, 0 to 1; 0.0 when both sides are empty."""
        total = self.n_gold + self.n_system
        return 2 * self.n_correct / total if total else 0.0
