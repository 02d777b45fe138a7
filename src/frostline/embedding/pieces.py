"""Words to word pieces, each distinct word once.

Every word is encoded by itself, so a token's pieces are its own and no alignment has to be guessed. What was encoded
is kept in a table with an upper bound; the table is a cache only and never part of a pipeline's state. Special
tokens, windows and padding are others' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from frostline.tokens import Doc

Tokenizer: TypeAlias = Any  # a fast tokenizer of transformers, which come without usable types

MAX_KEPT_LENGTH = 256  # characters; a longer text is encoded anew each time, so that the table's bytes are bounded too
_PROBES = ("a", "the", "1", "x")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """The word pieces of a batch: tokens in doc order, pieces in token order.

    A token of which the tokenizer leaves nothing (white space, say) has 0 pieces.
    """

    ids: NDArray[np.int64]  # (n_pieces,) without special tokens
    n_pieces_of_token: NDArray[np.int32]  # (n_tokens,)
    n_tokens_of_doc: NDArray[np.int32]  # (n_docs,)
    n_pieces_of_doc: NDArray[np.int32]  # (n_docs,)

    def __len__(self) -> int:
        return len(self.ids)


class PieceTable:
    """Encodes docs, and remembers the pieces of the words it met.

    Args:
        tokenizer: any fast tokenizer (WordPiece, byte-level BPE, Unigram).
        max_entries: above 0; when the table would grow beyond it, only the words of the present batch stay.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_entries: int = 100_000) -> None:
        if max_entries < 1:
            raise ValueError(f"max_entries is {max_entries}, and must be above 0")
        self.tokenizer = tokenizer
        self.max_entries = max_entries
        self.marks_spaces = marks_spaces(tokenizer)
        self._kept = _Encoded()

    def __len__(self) -> int:
        return len(self._kept)

    def pieces_of(self, docs: Sequence[Doc]) -> Pieces:
        """The pieces of all tokens of `docs`, in order."""
        texts: list[str] = []
        for doc in docs:
            texts += self.texts_of(doc)
        try:
            ids, n_pieces_of_token = self._kept.pieces_of(texts)
        except KeyError:
            ids, n_pieces_of_token = self._holding(texts).pieces_of(texts)
        n_tokens_of_doc = np.fromiter(map(len, docs), dtype=np.int32, count=len(docs))
        return Pieces(
            ids=ids,
            n_pieces_of_token=n_pieces_of_token,
            n_tokens_of_doc=n_tokens_of_doc,
            n_pieces_of_doc=sums_of_segments(n_pieces_of_token, n_tokens_of_doc),
        )

    def texts_of(self, doc: Doc) -> list[str]:
        """What is encoded for each token: its word, and the space before it where the tokenizer is to see that."""
        words = doc.words.texts()
        if not self.marks_spaces or not words:
            return words
        spaces = doc.spaces.tolist()
        return [words[0], *(" " + word if space else word for word, space in zip(words[1:], spaces, strict=False))]

    def _holding(self, texts: Iterable[str]) -> _Encoded:
        """What holds every one of `texts`: all that is kept, or else this batch alone."""
        distinct = dict.fromkeys(texts)
        missing = [text for text in distinct if text not in self._kept]
        encoded = dict(zip(missing, encode_words(self.tokenizer, missing), strict=True))
        short = {text: ids for text, ids in encoded.items() if len(text) <= MAX_KEPT_LENGTH}
        fits = len(self._kept) + len(short) <= self.max_entries
        if fits and len(short) == len(encoded):
            self._kept.add(short)
            return self._kept
        batch = {text: encoded[text] if text in encoded else self._kept[text] for text in distinct}
        if not fits:
            short = dict([item for item in batch.items() if len(item[0]) <= MAX_KEPT_LENGTH][: self.max_entries])
            self._kept = _Encoded()
        self._kept.add(short)
        alone = _Encoded()
        alone.add(batch)
        return alone


class _Encoded:
    """Texts and their pieces, laid out so that a batch's are gathered without a loop over its tokens."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._ids = np.zeros(0, dtype=np.int32)  # of all texts, one behind the other
        self._n_pieces = np.zeros(0, dtype=np.int32)  # (n_texts,)
        self._first = np.zeros(0, dtype=np.int64)  # (n_texts,) where each one's begin

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, text: str) -> bool:
        return text in self._rows

    def __getitem__(self, text: str) -> tuple[int, ...]:
        row = self._rows[text]
        return tuple(self._ids[self._first[row] : self._first[row] + self._n_pieces[row]].tolist())

    def add(self, encoded: Mapping[str, tuple[int, ...]]) -> None:
        """Take in texts that are not there yet."""
        n_pieces = np.fromiter(map(len, encoded.values()), dtype=np.int32, count=len(encoded))
        ids = np.fromiter(chain.from_iterable(encoded.values()), dtype=np.int32, count=int(n_pieces.sum()))
        first = len(self._ids) + np.cumsum(n_pieces, dtype=np.int64) - n_pieces
        self._rows |= zip(encoded, range(len(self), len(self) + len(encoded)), strict=True)
        self._ids = np.concatenate((self._ids, ids))
        self._n_pieces = np.concatenate((self._n_pieces, n_pieces))
        self._first = np.concatenate((self._first, first))

    def pieces_of(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """The texts' ids one behind the other, and how many are each text's; KeyError where a text is not there."""
        rows = np.fromiter(map(self._rows.__getitem__, texts), dtype=np.int64, count=len(texts))
        n_pieces = self._n_pieces[rows]
        ends = np.cumsum(n_pieces, dtype=np.int64)
        shifts = self._first[rows] - ends + n_pieces
        places = np.repeat(shifts, n_pieces) + np.arange(len(shifts) and ends[-1])
        return self._ids[places].astype(np.int64), n_pieces


def encode_words(tokenizer: Tokenizer, texts: Sequence[str]) -> list[tuple[int, ...]]:
    """The ids of each text by itself, without special tokens; halves of surrogate pairs count as "?"."""
    if not texts:
        return []
    encoded = tokenizer(
        [well_formed(text) for text in texts], add_special_tokens=False, padding=False, truncation=False,
        return_attention_mask=False, return_token_type_ids=False, verbose=False,
    )  # fmt: skip
    return [tuple(ids) for ids in encoded["input_ids"]]


def well_formed(text: str) -> str:
    """The text with "?" in the place of halves of surrogate pairs, as long as it was."""
    return text.encode("utf-8", "replace").decode("utf-8")


def marks_spaces(tokenizer: Tokenizer) -> bool:
    """Whether a word gets other pieces when a space precedes it, as in byte-level BPE without `add_prefix_space`.

    A tokenizer that gives the space a piece of its own does not count: there the word is encoded without it.
    """
    bare = encode_words(tokenizer, _PROBES)
    spaced = encode_words(tokenizer, [" " + probe for probe in _PROBES])
    return any(a != b and len(b) <= len(a) for a, b in zip(bare, spaced, strict=True))


def sums_of_segments(values: NDArray[np.int32], lengths: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sum of each run of `lengths[i]` consecutive `values`; 0 for an empty run."""
    totals = np.concatenate(([0], np.cumsum(values, dtype=np.int64)))
    ends = np.cumsum(lengths, dtype=np.int64)
    sums: NDArray[np.int32] = (totals[ends] - totals[ends - lengths]).astype(np.int32)
    return sums
