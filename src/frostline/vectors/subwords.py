"""Vectors of words from character n-grams, as fastText makes them (Bojanowski et al. 2017).

A word is read between "<" and ">". Each n-gram is hashed by FNV-1a over its UTF-8 bytes into a table of buckets; the
vector of a word that has no row of its own is the mean of its buckets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_BASIS, _PRIME, _MASK = 2166136261, 16777619, 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subwords:
    """buckets: (n_buckets, width) float32. shortest, longest: n-grams in characters."""

    buckets: npt.NDArray[np.float32]
    shortest: int
    longest: int

    def rows_of(self, word: str) -> list[int]:
        """The buckets of a word's n-grams, in fastText's order; one that comes twice is there twice."""
        return [fnv1a(ngram) % len(self.buckets) for ngram in ngrams_of(word, self.shortest, self.longest)]

    def vector_of(self, word: str) -> npt.NDArray[np.float32]:
        """(width,) float32; zeros where a word has no n-gram."""
        rows = self.rows_of(word)
        if not rows:
            return np.zeros(self.buckets.shape[1], dtype=np.float32)
        mean: npt.NDArray[np.float32] = np.asarray(self.buckets[rows]).mean(axis=0, dtype=np.float32)
        return mean


def ngrams_of(word: str, shortest: int, longest: int) -> list[bytes]:
    """The n-grams as UTF-8, from each character on, the shortest first; a mark at an end alone is none."""
    characters = [character.encode("utf-8", "surrogatepass") for character in f"<{word}>"]
    found = []
    for start in range(len(characters)):
        for n in range(1, min(longest, len(characters) - start) + 1):
            at_an_end = start == 0 or start + n == len(characters)
            if n >= shortest and not (n == 1 and at_an_end):
                found.append(b"".join(characters[start : start + n]))
    return found


def fnv1a(data: bytes) -> int:
    """32 bits of FNV-1a, where bytes above 127 count as negative, as they do in fastText."""
    hashed = _BASIS
    for byte in data:
        hashed = ((hashed ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * _PRIME) & _MASK
    return hashed
