"""Hide pieces of a text for an encoder to guess (Devlin et al. 2019).

Of the pieces that are chosen, 8 of 10 become [MASK], 1 of 10 another piece, 1 of 10 stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

AS_MASK, AS_OTHER = 0.8, 0.9  # a number in [0, 1) below the first masks, below the second swaps, else keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A text with holes."""

    ids: npt.NDArray[np.int64]  # (n_pieces,) what the encoder reads
    places: npt.NDArray[np.int64]  # (n_guesses,) which pieces are to be guessed, growing
    targets: npt.NDArray[np.int64]  # (n_guesses,) what they were


def mask(
    ids: npt.NDArray[np.int64], *, rate: float, mask_id: int, choices: npt.NDArray[np.int64],
    generator: np.random.Generator,
) -> Masked:  # fmt: skip
    """Choose pieces at random and hide them.

    Args:
        ids: (n_pieces,) without special tokens.
        rate: share of the pieces to guess, above 0 and below 1; at least one where there are any.
        choices: the pieces that may take another one's place.
        generator: a fresh one gives the same holes.
    """
    if not len(ids):
        return Masked(ids=ids, places=np.zeros(0, dtype=np.int64), targets=ids)
    n_guesses = max(1, round(rate * len(ids)))
    places = np.sort(generator.permutation(len(ids))[:n_guesses])
    fate = generator.random(n_guesses)
    others = generator.choice(choices, size=n_guesses)
    hidden = ids.copy()
    hidden[places] = np.where(fate < AS_MASK, mask_id, np.where(fate < AS_OTHER, others, ids[places]))
    return Masked(ids=hidden, places=places, targets=ids[places])
