"""Which pieces are hidden, and how."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from frostline.pretraining.masking import Masked, mask

MASK = 4
CHOICES = np.arange(5, 50, dtype=np.int64)


def hide(n: int, seed: int, rate: float = 0.2) -> tuple[np.ndarray, Masked]:
    ids = np.random.default_rng(n).choice(CHOICES, size=n)
    return ids, mask(ids, rate=rate, mask_id=MASK, choices=CHOICES, generator=np.random.default_rng(seed))


@given(st.integers(1, 200), st.integers(0, 9), st.floats(0.01, 0.9))
def test_only_the_chosen_places_change_and_the_targets_are_what_stood_there(n: int, seed: int, rate: float) -> None:
    ids, masked = hide(n, seed, rate)

    others = np.setdiff1d(np.arange(n), masked.places)
    assert np.array_equal(masked.ids[others], ids[others])
    assert np.array_equal(masked.targets, ids[masked.places])
    assert len(set(masked.places.tolist())) == len(masked.places) == max(1, round(rate * n))


def test_eight_of_ten_are_masked_one_is_swapped_and_one_stays() -> None:
    ids, masked = hide(100_000, 1)

    became = masked.ids[masked.places]
    kept = (became == masked.targets).mean()
    assert abs((became == MASK).mean() - 0.8) < 0.01
    assert abs(kept - (0.1 + 0.1 / len(CHOICES))) < 0.01
    assert set(became[became != MASK].tolist()) <= set(CHOICES.tolist())
    assert len(ids) == 100_000


def test_nothing_is_hidden_in_an_empty_text() -> None:
    _, masked = hide(0, 0)

    assert len(masked.places) == len(masked.targets) == 0
