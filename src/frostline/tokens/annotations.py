"""What a doc's annotations may be set to: a column of the doc's own length, or nothing.

Setting is where a wrong column is found: later it would be read beside other columns, and give words the tags of
their neighbours. Which annotations there are is doc.py's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from frostline.tokens.columns import MISSING, StringColumn

if TYPE_CHECKING:
    from frostline.tokens.doc import Doc

Strings = StringColumn | Iterable[str | None] | None
Numbers = npt.ArrayLike | Sequence[int | None] | None


class StringAnnotation:
    """A string for each word, or None where the doc has none of them. Lists become columns when they are set.

    Raises (on setting) ValueError where the length differs from the doc's, TypeError for a single string.
    """

    def __set_name__(self, owner: type[Doc], name: str) -> None:
        self._name, self._slot = name, f"_{name}"

    def __get__(self, doc: Doc, owner: type[Doc]) -> StringColumn | None:
        column: StringColumn | None = getattr(doc, self._slot)
        return column

    def __set__(self, doc: Doc, values: Strings) -> None:
        setattr(doc, self._slot, as_strings(values, self._name, len(doc)))


class HeadAnnotation:
    """(n,) int32 indices of words, -1 where missing, or None; what is set is checked as strings are.

    Raises (on setting) ValueError for a head outside the doc, too.
    """

    def __get__(self, doc: Doc, owner: type[Doc]) -> npt.NDArray[np.int32] | None:
        return doc._heads

    def __set__(self, doc: Doc, values: Numbers) -> None:
        heads = as_numbers(values, np.int32, "heads", len(doc))
        if heads is not None:
            check_heads(heads, len(doc))
        doc._heads = heads


class StartAnnotation:
    """(n,) int8, 1 at the first word of a sentence, 0 inside, -1 where missing, or None."""

    def __get__(self, doc: Doc, owner: type[Doc]) -> npt.NDArray[np.int8] | None:
        return doc._sent_starts

    def __set__(self, doc: Doc, values: Numbers) -> None:
        doc._sent_starts = as_numbers(values, np.int8, "sent_starts", len(doc))


def check_length(name: str, n_rows: int, n_words: int) -> None:
    """Raise ValueError where a column is not as long as the doc."""
    if n_rows != n_words:
        raise ValueError(f"{n_words} word{'s' * (n_words != 1)}, but {n_rows} row{'s' * (n_rows != 1)} in {name}")


def check_heads(heads: npt.NDArray[np.int32], n_words: int) -> None:
    """Raise ValueError where a head is no word of the doc. heads: (n_words,)."""
    if n_words and (heads.min() < MISSING or heads.max() >= n_words):
        raise ValueError("a head lies outside the doc")


def as_strings(values: Strings, name: str, n_words: int) -> StringColumn | None:
    """The values as a column. Raises ValueError or TypeError as a StringAnnotation does."""
    if values is None:
        return None
    if isinstance(values, str):
        raise TypeError(f"{name} takes one string for each word, not one for all: {values!r}")
    column = values if isinstance(values, StringColumn) else StringColumn.from_values(values)
    check_length(name, len(column), n_words)
    return column


def as_numbers(values: Numbers, dtype: type[np.signedinteger[Any]], name: str, n_words: int) -> Any:
    """The values as an array of `dtype`, -1 for None; None for None. Raises ValueError where the length differs."""
    if values is None:
        return None
    if isinstance(values, np.ndarray):
        numbers = values.astype(dtype)
    else:
        items: Sequence[Any] = values  # type: ignore[assignment]
        numbers = np.array([MISSING if item is None else int(item) for item in items], dtype=dtype)
    check_length(name, len(numbers), n_words)
    return numbers
