"""Vectors of docs, spans and tokens, and how alike two of them are.

The vectors themselves lie elsewhere; a doc knows them under `doc.vectors`, which a pipeline with static vectors sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from frostline.errors import UsageError

if TYPE_CHECKING:
    from frostline.tokens.doc import Doc

Floats = npt.NDArray[np.float32]


class WordVectors(Protocol):
    """What a doc asks of its vectors, such as a `frostline.vectors.Vectors`."""

    @property
    def width(self) -> int:
        """Numbers in one vector."""

    def vectors_of(self, words: Sequence[str]) -> Floats:
        """(n, width) float32; zeros for a word that has none."""

    def have(self, words: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(n,) whether each word has one."""


class HasVector(Protocol):
    """A doc, a span or a token."""

    @property
    def vector(self) -> Floats:
        """(width,) float32; UsageError where there are no vectors at all."""


def mean_vector(doc: Doc, start: int, end: int) -> Floats:
    """(width,) the mean over those of a doc's tokens that have a vector; zeros where none has.

    Raises:
        UsageError: the doc has no vectors.
    """
    vectors, words = _vectors_of(doc), _words(doc, start, end)
    known = vectors.have(words)
    if not known.any():
        return np.zeros(vectors.width, dtype=np.float32)
    mean: Floats = vectors.vectors_of(words)[known].mean(axis=0, dtype=np.float32)
    return mean


def has_vector(doc: Doc, start: int, end: int) -> bool:
    """Whether one of the tokens has a vector; UsageError where the doc has no vectors at all."""
    return bool(_vectors_of(doc).have(_words(doc, start, end)).any())


def similarity(one: HasVector, other: HasVector) -> float:
    """Cosine of the vectors of two docs, spans or tokens, from -1 to 1; 0.0 where one has none.

    Raises:
        UsageError: the other is none of these, one of them has no vectors, or theirs are of different widths.
    """
    if not isinstance(getattr(type(other), "vector", None), property):  # a table has a method of that name
        raise UsageError(
            f"A {type(one).__name__} can be compared with a doc, a span or a token, not with a {type(other).__name__}.",
            fix="Make a doc of it first: pipeline(text). Two words of a table: vectors.similarity(first, second).",
        )
    return cosine(one.vector, other.vector)


def cosine(first: Floats, second: Floats) -> float:
    """Cosine of two vectors, (width,) each, from -1 to 1; 0.0 where one is all zeros.

    Raises:
        UsageError: they are of different widths.
    """
    if first.shape != second.shape:
        raise UsageError(
            f"Vectors of {first.size} and of {second.size} numbers can't be compared: they are of different tables.",
            fix="Give both docs the same vectors: other.vectors = doc.vectors.",
        )
    lengths = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float(np.clip(np.dot(first, second) / lengths, -1.0, 1.0)) if lengths else 0.0


def _words(doc: Doc, start: int, end: int) -> list[str]:
    return doc.words[start:end].texts()


def _vectors_of(doc: Doc) -> WordVectors:
    if doc.vectors is None:
        raise UsageError(
            "The doc has no vectors: no pipeline with static vectors made it.",
            fix="Set them: doc.vectors = frostline.vectors.open_vectors(folder).",
        )
    return doc.vectors
