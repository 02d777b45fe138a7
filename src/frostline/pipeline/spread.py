"""What samples of a prediction come to: mean and spread of the probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.tokens import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Of one column of one component over the samples."""

    labels: tuple[str, ...]
    mean: npt.NDArray[np.float32]  # (n_tokens, n_labels), rows sum to 1
    std: npt.NDArray[np.float32]  # (n_tokens, n_labels), of the samples (n - 1)

    @property
    def best(self) -> list[tuple[str, float, float]]:
        """Per token the label with the highest mean, that mean, and its standard deviation."""
        places = self.mean.argmax(axis=1)
        rows = enumerate(places.tolist())
        return [(self.labels[place], float(self.mean[row, place]), float(self.std[row, place])) for row, place in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A doc that was annotated many times."""

    doc: Doc  # annotated by the mean
    n: int
    spreads: dict[str, dict[str, Spread]]  # component -> column
