"""The order of docs in an epoch, and their division into batches. Pure functions of their arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from frostline.tokens import Doc

T = TypeVar("T")

_ORDER = 0x6F72646572  # keeps this use of the seed apart from every other


def epoch_order(n: int, *, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The order in which an epoch visits `n` docs, an (n,) int64 permutation.

    A function of (n, seed, epoch) alone: counted, not drawn, so that a resumed run goes on as if undisturbed.
    """
    mask = (1 << 64) - 1
    key = np.array([seed & mask, (_ORDER << 24 ^ epoch) & mask], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(n).astype(np.int64)


def batch_by_words(docs: Iterable[Doc], n_words: int) -> Iterator[list[Doc]]:
    """Consecutive docs of at most `n_words` words together; a longer doc is a batch by itself.

    Raises ValueError where n_words is below 1.
    """
    if n_words < 1:
        raise ValueError(f"a batch of {n_words} words")
    batch: list[Doc] = []
    size = 0
    for doc in docs:
        if batch and size + len(doc) > n_words:
            yield batch
            batch, size = [], 0
        batch.append(doc)
        size += len(doc)
    if batch:
        yield batch


def batch_by_docs(docs: Iterable[Doc], n_docs: int) -> Iterator[list[Doc]]:
    """Consecutive docs, `n_docs` at a time, the last batch with what is left. Raises ValueError below 1."""
    if n_docs < 1:
        raise ValueError(f"a batch of {n_docs} docs")
    batch: list[Doc] = []
    for doc in docs:
        batch.append(doc)
        if len(batch) == n_docs:
            yield batch
            batch = []
    if batch:
        yield batch


def divided(batch: Sequence[T], max_words: int, n_words_of: Callable[[T], int]) -> list[Sequence[T]]:
    """A batch in parts of about equal size and of at most `max_words` words, or of one item; the order stays."""
    n_words = sum(map(n_words_of, batch))
    if len(batch) < 2 or n_words <= max_words:
        return [batch]
    half, so_far, place = n_words / 2, 0, 1
    for place in range(1, len(batch)):
        so_far += n_words_of(batch[place - 1])
        if so_far >= half:
            break
    return [part for side in (batch[:place], batch[place:]) for part in divided(side, max_words, n_words_of)]
