"""Words to word pieces, each distinct word once.

Every word is encoded by itself, so a token's pieces are its own and no alignment has to be guessed. What was encoded
is kept in a table with an upper bound; the table is a cache only and never part of a pipeline's state. Special
tokens, windows and padding are others' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from frostline.tokens import Doc

Tokenizer: TypeAlias = Any  # a fast tokenizer of transformers, which come without usable types

MAX_KEPT_LENGTH = 64  # characters; a longer text is encoded anew each time, so that the table's bytes are bounded too
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
        self._table: dict[str, tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self._table)

    def pieces_of(self, docs: Sequence[Doc]) -> Pieces:
        """The pieces of all tokens of `docs`, in order."""
        texts: list[str] = []
        for doc in docs:
            texts += self.texts_of(doc)
        table = self._lookup(texts)
        found = [table[text] for text in texts]
        n_pieces_of_token = np.fromiter(map(len, found), dtype=np.int32, count=len(found))
        n_pieces = int(n_pieces_of_token.sum(dtype=np.int64))
        n_tokens_of_doc = np.fromiter(map(len, docs), dtype=np.int32, count=len(docs))
        return Pieces(
            ids=np.fromiter(chain.from_iterable(found), dtype=np.int64, count=n_pieces),
            n_pieces_of_token=n_pieces_of_token,
            n_tokens_of_doc=n_tokens_of_doc,
            n_pieces_of_doc=sums_of_segments(n_pieces_of_token, n_tokens_of_doc),
        )

    def texts_of(self, doc: Doc) -> list[str]:
        """What is encoded for each token: its word, and the space before it where the tokenizer is to see that."""
        words = [word or "" for word in doc.words.values()]
        if not self.marks_spaces or not words:
            return words
        spaces = doc.spaces.tolist()
        return [words[0], *(" " + word if space else word for word, space in zip(words[1:], spaces, strict=False))]

    def _lookup(self, texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """A table that holds every one of `texts`; the kept table where it does, else one for this batch."""
        distinct = dict.fromkeys(texts)
        missing = [text for text in distinct if text not in self._table]
        if not missing:
            return self._table
        encoded = dict(zip(missing, encode_words(self.tokenizer, missing), strict=True))
        kept = {text: ids for text, ids in encoded.items() if len(text) <= MAX_KEPT_LENGTH}
        if len(self._table) + len(kept) > self.max_entries:
            known = {text: self._table[text] for text in distinct if text in self._table}
            encoded = known | encoded
            kept = dict(list((known | kept).items())[: self.max_entries])
            self._table = kept
            return encoded
        self._table |= kept
        return self._table if len(kept) == len(encoded) else self._table | encoded


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
