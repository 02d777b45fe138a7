"""Words to pieces: the same as the tokenizer's own, once per distinct word, in bounded memory, for any text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frostline.embedding.pieces import PieceTable
from frostline.tokens import Doc
from tests.embedding.tiny import TEXT, byte_level_tokenizer, unigram_tokenizer, wordpiece_tokenizer

WORDS = ["The", "frost", "line", "freezes", ",", "unfreezable", "Ünïcode", "depth", "\t", "水", "the"]
TOKENIZERS = {
    "wordpiece": wordpiece_tokenizer,
    "bytes": lambda: byte_level_tokenizer(add_prefix_space=True),
    "bytes-no-prefix": byte_level_tokenizer,
    "unigram": unigram_tokenizer,
}


@pytest.mark.parametrize("name", ["wordpiece", "bytes", "unigram"])
def test_a_docs_pieces_are_those_of_its_words_split_beforehand(name: str) -> None:
    tokenizer = TOKENIZERS[name]()

    pieces = PieceTable(tokenizer).pieces_of([Doc.from_words(WORDS)])

    expected = tokenizer(WORDS, is_split_into_words=True, add_special_tokens=False)
    assert pieces.ids.tolist() == expected["input_ids"]
    token_of_piece = np.repeat(np.arange(len(WORDS)), pieces.n_pieces_of_token)
    assert token_of_piece.tolist() == expected.word_ids()


def test_byte_level_pieces_of_a_docs_words_are_those_of_its_text() -> None:
    tokenizer = byte_level_tokenizer()
    doc = Doc.from_words(["The", "ground", "don't", "freeze", "!"], [True, True, True, False, False])

    pieces = PieceTable(tokenizer).pieces_of([doc])

    assert pieces.ids.tolist() == tokenizer(doc.text, add_special_tokens=False)["input_ids"]


def test_a_word_gets_its_space_only_where_the_text_has_one() -> None:
    table = PieceTable(byte_level_tokenizer())

    apart = table.pieces_of([Doc.from_words(["the", "line"])])
    joined = table.pieces_of([Doc.from_words(["the", "line"], [False, False])])

    assert table.marks_spaces
    assert apart.ids.tolist() != joined.ids.tolist()


@pytest.mark.parametrize("name", ["wordpiece", "bytes", "unigram"])
def test_tokenizers_that_see_whole_words_do_not_mark_spaces(name: str) -> None:
    assert not PieceTable(TOKENIZERS[name]()).marks_spaces


def test_tokens_of_which_nothing_is_left_have_no_pieces() -> None:
    doc = Doc.from_words(["a", "  ", "\u200b", "\x00", "house"])

    pieces = PieceTable(wordpiece_tokenizer()).pieces_of([doc])

    assert (pieces.n_pieces_of_token == 0).tolist() == [False, True, True, True, False]
    assert pieces.n_pieces_of_doc.tolist() == [len(pieces.ids)]


def test_docs_without_tokens_count_as_docs() -> None:
    docs = [Doc.from_words([]), Doc.from_words(["the"]), Doc.from_words([])]

    pieces = PieceTable(wordpiece_tokenizer()).pieces_of(docs)

    assert pieces.n_tokens_of_doc.tolist() == [0, 1, 0]
    assert pieces.n_pieces_of_doc.tolist() == [0, 1, 0]


def test_no_docs_have_no_pieces() -> None:
    assert len(PieceTable(wordpiece_tokenizer()).pieces_of([])) == 0


class CountingTokenizer:
    """Passes calls on, and counts the texts."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.n_texts = 0

    def __call__(self, texts: list[str], **settings: Any) -> Any:
        self.n_texts += len(texts)
        return self.tokenizer(texts, **settings)


def test_a_distinct_word_is_encoded_once() -> None:
    tokenizer = CountingTokenizer(wordpiece_tokenizer())
    table = PieceTable(tokenizer)
    before = tokenizer.n_texts

    table.pieces_of([Doc.from_words(["ice", "on", "ice"]), Doc.from_words(["on", "soil"])])
    table.pieces_of([Doc.from_words(["soil", "ice"])])

    assert tokenizer.n_texts - before == 3


@pytest.mark.parametrize("max_entries", [1, 2, 5, 1000])
def test_the_table_stays_in_its_bounds_and_the_pieces_right(max_entries: int) -> None:
    table = PieceTable(wordpiece_tokenizer(), max_entries=max_entries)
    fresh = PieceTable(wordpiece_tokenizer())
    for start in range(0, len(TEXT), 3):
        doc = Doc.from_words([*TEXT[start : start + 4], "the", "x" * 300])

        assert table.pieces_of([doc]).ids.tolist() == fresh.pieces_of([doc]).ids.tolist()
        assert len(table) <= max_entries


def test_half_a_surrogate_pair_is_read_as_some_other_character() -> None:
    pieces = PieceTable(byte_level_tokenizer()).pieces_of([Doc.from_words(["a\ud83d", "b"])])

    assert (pieces.n_pieces_of_token > 0).all()


@pytest.mark.parametrize("name", sorted(TOKENIZERS))
@settings(max_examples=40, deadline=None)
@given(words=st.lists(st.text(min_size=1, max_size=8), max_size=8), data=st.data())
def test_any_text_keeps_every_token_and_its_own_pieces(name: str, words: list[str], data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[name]()
    spaces = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    doc = Doc.from_words(words, spaces)

    together = PieceTable(tokenizer).pieces_of([doc])
    again = PieceTable(tokenizer, max_entries=1).pieces_of([doc, doc])

    assert len(together.n_pieces_of_token) == len(words)
    assert together.n_pieces_of_token.sum() == len(together.ids)
    assert again.ids.tolist() == together.ids.tolist() * 2
