"""Which word pieces are a token's, and which characters of the text a piece stands for.

Words are encoded one by one (pieces.py), so nothing is guessed: a token's pieces are consecutive, every piece is of
just one token, and a token of which the tokenizer leaves nothing (white space, control characters, what it does not
know and drops) has none. Such a token's vector is zeros, whatever the pooling.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frostline.embedding.pieces import PieceTable, Tokenizer, well_formed
from frostline.tokens import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """The pieces of one doc and the tokens that they are of.

    ids: (n_pieces,) in the encoder's vocabulary, without special tokens.
    borders: (n_tokens + 1,) token i's pieces are borders[i] to borders[i + 1].
    """

    ids: NDArray[np.int64]
    borders: NDArray[np.int64]

    @classmethod
    def of(cls, ids: NDArray[np.int64], n_pieces_of_token: NDArray[np.int32]) -> Alignment:
        """ids: (n_pieces,). n_pieces_of_token: (n_tokens,) with n_pieces as their sum."""
        return cls(ids=ids, borders=np.concatenate(([0], np.cumsum(n_pieces_of_token, dtype=np.int64))))

    def pieces_of(self, start: int, end: int | None = None) -> slice:
        """The pieces of token `start`, or of tokens `start` to `end` (exclusive).

        Raises:
            IndexError: the doc has no such tokens; negative numbers do not count from the end.
        """
        end = start + 1 if end is None else end
        if not 0 <= start <= end < len(self.borders):
            raise IndexError(f"tokens {start} to {end} of a doc of {len(self.borders) - 1}")
        return slice(int(self.borders[start]), int(self.borders[end]))

    def token_of_piece(self) -> NDArray[np.int64]:
        """(n_pieces,) the token that each piece is of; never decreasing."""
        return np.repeat(np.arange(len(self.borders) - 1), np.diff(self.borders))


def characters_of(table: PieceTable, doc: Doc) -> NDArray[np.int64]:
    """Which characters of the doc's text each of its pieces stands for, as the tokenizer has it.

    A token's pieces cover exactly its characters: what the tokenizer leaves out, such as accents, goes to the piece
    before it, or to the first one. The words of a multiword token share its characters and are not
    written as the text is: each of their pieces stands for all of them. Pieces of one character (bytes of it) share it.

    Returns:
        (n_pieces, 2) first character and one past the last, in the doc's text.
    """
    texts = table.texts_of(doc)
    encoded = dict(zip(dict.fromkeys(texts), _offsets(table.tokenizer, list(dict.fromkeys(texts))), strict=True))
    found: list[tuple[int, int]] = []
    words = doc.words.values()
    for text, word, start, end in zip(texts, words, doc.starts.tolist(), doc.ends.tolist(), strict=True):
        offsets = encoded[text]
        if doc.text[start:end] != word:
            found += [(start, end)] * len(offsets)
            continue
        n_before = len(text) - len(word or "")  # the space that some tokenizers are to see
        places = ((start + max(0, first - n_before), start + max(0, last - n_before)) for first, last in offsets)
        found += _without_gaps(places, start, end)
    return np.asarray(found, dtype=np.int64).reshape(-1, 2)


def _without_gaps(places: Iterable[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Stretches in order, widened to cover all from `start` to `end`."""
    found: list[tuple[int, int]] = []
    reached = start
    for first, last in places:
        if first > reached and found:
            found[-1] = (found[-1][0], first)
        found.append((first if found else start, last))
        reached = max(reached, last)
    if found and reached < end:
        found[-1] = (found[-1][0], end)
    return found


def _offsets(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    if not texts:
        return []
    encoded = tokenizer(
        [well_formed(text) for text in texts], add_special_tokens=False, padding=False, truncation=False,
        return_attention_mask=False, return_token_type_ids=False, return_offsets_mapping=True, verbose=False,
    )  # fmt: skip
    offsets: list[list[tuple[int, int]]] = encoded["offset_mapping"]
    return offsets
