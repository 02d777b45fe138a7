"""A table of word vectors, and what can be asked of it.

A word is looked up as it stands, then in lower case, then, where the table has subwords, by its character n-grams.
Words may share a row, as pruning makes them. Lookup is by 64-bit hashes in a sorted array: no dictionary of all words
is built, so a table on disk costs no memory until its rows are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frostline.errors import UsageError
from frostline.tokens.attributes import stable_hash
from frostline.tokens.similarity import cosine
from frostline.vectors.subwords import Subwords

Floats = npt.NDArray[np.float32]
ROWS_AT_ONCE = 1 << 14  # of a table, in products: bounds memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A word and how near it is."""

    word: str
    similarity: float  # cosine, from -1 to 1


class Vectors:
    """Words and their vectors.

    Args:
        words: distinct, the most frequent first where that is known.
        table: (n_rows, width) float32.
        rows: (n_words,) the row of each word; None: word number i has row i.
        subwords: n-grams for words that are not there.
        digest: of all of this, where it is known (see store.py).
        keys: (hashes of the words, sorted, as uint64; the word numbers in that order), where they are known.
    Raises:
        ValueError: shapes do not fit, or a row number is out of range.
    """

    def __init__(
        self, words: Sequence[str], table: Floats, *, rows: npt.NDArray[np.int64] | None = None,
        subwords: Subwords | None = None, digest: str = "",
        keys: tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]] | None = None,
    ) -> None:  # fmt: skip
        self.words = words
        self.table = table
        self.rows = np.arange(len(words), dtype=np.int64) if rows is None else rows
        self.subwords = subwords
        self.digest = digest
        self.folder: Path | None = None  # where the table lies, when it was opened from there
        if table.ndim != 2 or len(self.rows) != len(words) or (rows is None and len(table) != len(words)):
            raise ValueError(f"{len(words)} words, {len(self.rows)} row numbers, and a table of shape {table.shape}")
        if len(self.rows) and not 0 <= int(self.rows.min()) <= int(self.rows.max()) < len(table):
            raise ValueError(f"row numbers go up to {self.rows.max()}, but the table has {len(table)} rows")
        self._keys = keys

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and bool(self.numbers([word])[0] >= 0)

    def __repr__(self) -> str:
        return f"Vectors({len(self):,} words, {len(self.table):,} rows, width {self.width})"

    @property
    def width(self) -> int:
        """Numbers in one vector."""
        return int(self.table.shape[1])

    @cached_property
    def keys(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """The words' hashes, sorted, and the number of the word that each belongs to."""
        if self._keys is not None:
            return self._keys
        hashed = np.fromiter(map(stable_hash, self.words), dtype=np.uint64, count=len(self.words))
        order = np.argsort(hashed, kind="stable")
        return hashed[order], order.astype(np.int64)

    @cached_property
    def lengths(self) -> Floats:
        """(n_rows,) the Euclidean length of each row."""
        lengths = np.empty(len(self.table), dtype=np.float32)
        for start in range(0, len(self.table), ROWS_AT_ONCE):
            block = np.asarray(self.table[start : start + ROWS_AT_ONCE])
            lengths[start : start + len(block)] = np.sqrt(np.einsum("ij,ij->i", block, block))
        return lengths

    def numbers(self, words: Sequence[str]) -> npt.NDArray[np.int64]:
        """(n,) the place of each word in `words`, as it stands or else in lower case; -1 where it is in neither way."""
        found = self._exact(words)
        missing = np.flatnonzero(found < 0)
        if len(missing):
            found[missing] = self._exact([words[place].lower() for place in missing.tolist()])
        return found

    def vectors_of(self, words: Sequence[str]) -> Floats:
        """(n, width) float32; zeros for a word that has no vector."""
        numbers = self.numbers(words)
        found = np.zeros((len(words), self.width), dtype=np.float32)
        known = numbers >= 0
        found[known] = self.table[self.rows[numbers[known]]]
        if self.subwords is not None:
            for place in np.flatnonzero(~known).tolist():
                found[place] = self.subwords.vector_of(words[place])
        return found

    def have(self, words: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(n,) whether each word has a vector, its own or one of its n-grams'."""
        known: npt.NDArray[np.bool_] = self.numbers(words) >= 0
        if self.subwords is not None:
            for place in np.flatnonzero(~known).tolist():
                known[place] = bool(self.subwords.rows_of(words[place]))
        return known

    def vector(self, word: str) -> Floats:
        """(width,) float32; zeros for a word that has none."""
        found: Floats = self.vectors_of([word])[0]
        return found

    def similarity(self, first: str, second: str) -> float:
        """Cosine of two words' vectors; 0.0 where one has none."""
        return cosine(*self.vectors_of([first, second]))

    def most_similar(self, query: str | npt.ArrayLike, n: int = 10) -> list[Neighbour]:
        """The words nearest to a word or a vector, by cosine, nearest first; a word is not its own neighbour.

        Words that share a row are one neighbour, named by the first of them.

        Raises:
            UsageError: the word has no vector, or the vector is of another width, or not of finite numbers.
        """
        if isinstance(query, str):
            if not self.have([query])[0]:
                message = f"'{query}' has no vector."
                raise UsageError(message, fix="Ask for another word, or give a vector.")
            vector = self.vector(query)
            number = int(self.numbers([query])[0])
            own = int(self.rows[number]) if number >= 0 else None
        else:
            vector, own = self._checked(query), None
        similarities = self.similarities(vector[None])[0]
        if own is not None:
            similarities[own] = -np.inf
        n = min(n, len(similarities) - (own is not None))
        best = np.argsort(-similarities, kind="stable")[: max(0, n)]
        first_word = self._first_word_of_row
        return [
            Neighbour(word=self.words[int(first_word[row])], similarity=float(similarities[row]))
            for row in best.tolist() if first_word[row] >= 0
        ]  # fmt: skip

    def _checked(self, query: npt.ArrayLike) -> Floats:
        """A vector that is asked for, (width,) float32; UsageError where it is none of this table's kind."""
        try:
            vector: Floats = np.asarray(query, dtype=np.float32)
        except (TypeError, ValueError):
            raise UsageError(f"{query!r} is no vector.", fix="Give a word, or a list or array of numbers.") from None
        if vector.shape != (self.width,):
            raise UsageError(f"The vector has the shape {vector.shape}, but should have ({self.width},).",
                             fix="Give one made from this table, such as vectors.vector(word).")  # fmt: skip
        if not np.isfinite(vector).all():
            raise UsageError("The vector holds numbers that are not finite, so nothing is near to it.",
                             fix="Look where they come from, such as a division by 0.")  # fmt: skip
        return vector

    def similarities(self, vectors: Floats) -> Floats:
        """(n, n_rows) cosines of some vectors with every row; 0 where one of the two is all zeros."""
        queries = _of_length_one(vectors)
        found = np.empty((len(queries), len(self.table)), dtype=np.float32)
        scale = np.divide(1.0, self.lengths, out=np.zeros_like(self.lengths), where=self.lengths > 0)
        for start in range(0, len(self.table), ROWS_AT_ONCE):
            block = slice(start, start + ROWS_AT_ONCE)
            found[:, block] = (queries @ np.asarray(self.table[block]).T) * scale[block]
        return found

    @cached_property
    def _first_word_of_row(self) -> npt.NDArray[np.int64]:
        first = np.full(len(self.table), -1, dtype=np.int64)
        first[self.rows[::-1]] = np.arange(len(self.words), dtype=np.int64)[::-1]
        return first

    def _exact(self, words: Sequence[str]) -> npt.NDArray[np.int64]:
        hashes, numbers = self.keys
        wanted = np.fromiter(map(stable_hash, words), dtype=np.uint64, count=len(words))
        if not len(hashes):
            return np.full(len(words), -1, dtype=np.int64)
        places = np.searchsorted(hashes, wanted).clip(max=len(hashes) - 1)
        found: npt.NDArray[np.int64] = np.where(hashes[places] == wanted, numbers[places], -1)
        return found


def _of_length_one(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return scaled
