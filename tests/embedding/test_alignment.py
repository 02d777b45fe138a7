"""A span's pieces cover just its characters, for every text and every kind of tokenizer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frostline.embedding.alignment import Alignment, characters_of
from frostline.embedding.pieces import PieceTable
from frostline.embedding.pooling import pool
from frostline.embedding.windows import plan_windows
from frostline.tokens import Doc
from frostline.tokens.columns import StringColumn
from tests.embedding.families import encoder_of
from tests.embedding.tiny import TEXT, byte_level_tokenizer, unigram_tokenizer, wordpiece_tokenizer

TOKENIZERS = {
    "wordpiece": wordpiece_tokenizer,
    "bytes": byte_level_tokenizer,
    "bytes-prefix": lambda: byte_level_tokenizer(add_prefix_space=True),
    "unigram": unigram_tokenizer,
}
ANY = st.text(st.characters(codec=None, exclude_categories=()), min_size=1, max_size=9)  # halves of pairs too
STRANGE = st.sampled_from(
    [" ", "\t", "\u200b", "\x00", "\u0085", "\ufeff", "e\u0301", "\ufb01", "\u2028", "\U0001d518",
     "\U0001f3f3\ufe0f\u200d\U0001f308", "x" * 70]
)  # fmt: skip
WORDS = st.lists(st.one_of(ANY, STRANGE, st.sampled_from(TEXT)), max_size=9)


def doc_of(words: list[str], data: st.DataObject) -> Doc:
    spaces = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    return Doc.from_words(words, spaces)


def with_multiword_token(doc: Doc, first: int, forms: list[str]) -> Doc:
    """The doc with token `first` in the place of which stand words that share its characters."""
    words = [word or "" for word in doc.words.values()]
    where = [*range(first), *[first] * len(forms), *range(first + 1, len(doc))]
    words[first : first + 1] = forms
    return Doc(doc.text, StringColumn.from_values(words), doc.starts[where], doc.ends[where])


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=60, deadline=None)
@given(words=WORDS, data=st.data())
def test_a_spans_pieces_are_those_of_its_words_and_no_others(name: str, words: list[str], data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[name]()
    doc = doc_of(words, data)
    table = PieceTable(tokenizer)
    start = data.draw(st.integers(0, len(words)))
    end = data.draw(st.integers(start, len(words)))

    pieces = table.pieces_of([doc])
    alignment = Alignment.of(pieces.ids, pieces.n_pieces_of_token)
    of_span = alignment.ids[alignment.pieces_of(start, end)]

    expected = [
        piece for text in table.texts_of(doc)[start:end]
        for piece in tokenizer(text.encode("utf-8", "replace").decode(), add_special_tokens=False)["input_ids"]
    ]  # fmt: skip
    assert of_span.tolist() == expected
    tokens = alignment.token_of_piece()
    assert np.flatnonzero((tokens >= start) & (tokens < end)).tolist() == list(
        range(*alignment.pieces_of(start, end).indices(len(pieces)))
    )


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=60, deadline=None)
@given(words=WORDS, data=st.data())
def test_the_characters_of_a_spans_pieces_are_the_spans(name: str, words: list[str], data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[name]()
    doc = doc_of(words, data)
    table = PieceTable(tokenizer)

    pieces = table.pieces_of([doc])
    characters = characters_of(table, doc)

    alignment = Alignment.of(pieces.ids, pieces.n_pieces_of_token)
    assert len(characters) == len(pieces)
    for i in range(len(doc)):
        covered: set[int] = set()
        for first, last in characters[alignment.pieces_of(i)].tolist():
            assert doc.starts[i] <= first <= last <= doc.ends[i]
            covered |= set(range(first, last))
        whole = set(range(int(doc.starts[i]), int(doc.ends[i])))
        assert covered == whole or not pieces.n_pieces_of_token[i]


@pytest.mark.parametrize("name", ["bytes", "bytes-prefix"])
@settings(max_examples=60, deadline=None)
@given(words=WORDS, data=st.data())
def test_byte_level_pieces_spell_the_span_out(name: str, words: list[str], data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[name]()
    doc = doc_of(words, data)
    start = data.draw(st.integers(0, len(words)))
    end = data.draw(st.integers(start, len(words)))

    pieces = PieceTable(tokenizer).pieces_of([doc])
    alignment = Alignment.of(pieces.ids, pieces.n_pieces_of_token)

    ids = alignment.ids[alignment.pieces_of(start, end)].tolist()
    spelt = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    expected = "".join(words[start:end]).encode("utf-8", "replace").decode()
    assert without_spaces(spelt) == without_spaces(expected)


def without_spaces(text: str) -> str:
    return text.replace(" ", "")


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=40, deadline=None)
@given(words=st.lists(st.one_of(ANY, STRANGE), min_size=1, max_size=6), data=st.data())
def test_the_words_of_a_multiword_token_have_pieces_of_their_own_and_its_characters(
    name: str, words: list[str], data: st.DataObject
) -> None:
    table = PieceTable(TOKENIZERS[name]())
    plain = doc_of(words, data)
    first = data.draw(st.integers(0, len(words) - 1))
    forms = data.draw(st.lists(ANY, min_size=2, max_size=3).filter(lambda forms: words[first] not in forms))
    doc = with_multiword_token(plain, first, forms)

    pieces = table.pieces_of([doc])
    characters = characters_of(table, doc)

    alignment = Alignment.of(pieces.ids, pieces.n_pieces_of_token)
    assert pieces.n_pieces_of_token.sum() == len(pieces) == len(characters)
    for place, form in enumerate(forms, start=first):
        own = table.texts_of(doc)[place]
        assert own.strip(" ") == form.strip(" ")
        expected = PieceTable(table.tokenizer).pieces_of([Doc.from_words([own])]).ids if own else []
        assert pieces.ids[alignment.pieces_of(place)].tolist() == list(expected)
        shared = (int(plain.starts[first]), int(plain.ends[first]))
        assert all(tuple(piece) == shared for piece in characters[alignment.pieces_of(place)].tolist())


def test_a_token_that_the_doc_does_not_have_is_refused() -> None:
    alignment = Alignment.of(np.arange(3), np.array([1, 2], dtype=np.int32))

    assert alignment.pieces_of(1) == slice(1, 3)
    assert alignment.pieces_of(2, 2) == slice(3, 3)
    for wrong in ((2,), (-1,), (1, 3), (1, 0)):
        with pytest.raises(IndexError, match="of a doc of 2"):
            alignment.pieces_of(*wrong)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokens_without_pieces_are_zeros(name: str) -> None:
    family = {"wordpiece": "bert", "unigram": "xlm-roberta"}.get(name, "roberta")
    encoder = encoder_of(family)
    doc = Doc.from_words(["the", " ", "\u200b", "\x00", "line"])
    pieces = PieceTable(encoder.tokenizer).pieces_of([doc])
    windows = plan_windows(pieces.n_pieces_of_doc, pieces.n_pieces_of_token, window=40, stride=40)
    vectors = encoder.forward_frozen(pieces, windows)[0]
    counts = torch.from_numpy(pieces.n_pieces_of_token)
    for mode in ("mean", "max", "sum", "first", "last"):
        pooled = pool(vectors, counts, mode=mode)
        assert pooled.shape == (5, 32)
        assert not pooled[counts == 0].any()
        assert pooled[counts > 0].abs().sum(1).min() > 0
