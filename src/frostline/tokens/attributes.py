"""What can be known of a word by looking at it: norm, shape, prefix, suffix, and their 64-bit hashes.

Pure functions, the same on every machine and in every process. Over docs, each distinct word is looked at once per
batch; nothing is remembered between calls, so there is no vocabulary that grows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from frostline.tokens.columns import StringColumn, concat

if TYPE_CHECKING:
    from frostline.tokens.doc import Doc

SUFFIX_CHARACTERS = 3
SHAPE_RUN = 4           # a run of one kind of character counts up to here

_PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."})


def norm(word: str) -> str:
    """Lower case, with typographic quotes, dashes and ellipses made plain."""
    return word.lower().translate(_PLAIN)


def shape(word: str) -> str:
    """Letters as x or X, digits as d, all else as it is; runs of one kind are cut at four: "Anderson" -> "Xxxxx"."""
    marks: list[str] = []
    run = 0
    for character in word:
        if character.isalpha():
            mark = "X" if character.isupper() else "x"
        elif character.isdigit():
            mark = "d"
        else:
            mark = character
        run = run + 1 if marks and marks[-1] == mark else 1
        if run <= SHAPE_RUN:
            marks.append(mark)
    return "".join(marks)


def prefix(word: str) -> str:
    """The first character."""
    return word[:1]


def suffix(word: str) -> str:
    """The last three characters, or all of a shorter word."""
    return word[-SUFFIX_CHARACTERS:]


ATTRIBUTES: dict[str, Callable[[str], str]] = {"norm": norm, "shape": shape, "prefix": prefix, "suffix": suffix}


def stable_hash(string: str) -> int:
    """64 bits of BLAKE2b of the UTF-8 bytes: the same everywhere, today and later."""
    data = string.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def column_of(docs: Sequence[Doc], attribute: str) -> StringColumn:
    """An attribute of all tokens of all docs, in order. Raises KeyError for an attribute that is not in ATTRIBUTES."""
    function = ATTRIBUTES[attribute]
    words = concat([doc.words for doc in docs])
    used, rows = np.unique(words.codes, return_inverse=True)
    values = StringColumn.from_values(function(words.table[code]) for code in used.tolist())
    return StringColumn(values.codes[rows.reshape(-1)], values.table)


def hashes(docs: Sequence[Doc], names: Sequence[str] = tuple(ATTRIBUTES)) -> npt.NDArray[np.uint64]:
    """Hashes of attributes of all tokens of all docs, (n_tokens, n_attributes) uint64, columns in the order of `names`.

    The hash covers the attribute's name too, so that "a" as prefix and "a" as norm differ.
    """
    words = concat([doc.words for doc in docs])
    used, rows = np.unique(words.codes, return_inverse=True)
    return hashes_of_words([words.table[code] for code in used.tolist()], names)[rows.reshape(-1)]


def hashes_of_words(words: Sequence[str], names: Sequence[str] = tuple(ATTRIBUTES)) -> npt.NDArray[np.uint64]:
    """The same for words: (n_words, n_attributes) uint64. Each distinct value of an attribute is hashed once."""
    by_word = np.empty((len(words), len(names)), dtype=np.uint64)
    for column, name in enumerate(names):
        values = list(map(ATTRIBUTES[name], words))
        hashed = {value: stable_hash(f"{name}\0{value}") for value in dict.fromkeys(values)}
        by_word[:, column] = [hashed[value] for value in values]
    return by_word
