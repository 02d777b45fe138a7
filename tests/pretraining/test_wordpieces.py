"""Word pieces learnt from a corpus."""

from __future__ import annotations

import pytest

from frostline.errors import ConfigError, CorpusError
from frostline.pretraining.wordpieces import SPECIAL, train_tokenizer, vocabulary_text
from frostline.tokens import Doc

SENTENCES = ["the walker walks and talks", "A talker walked , talking the walk", "Walking is the best of talks !"]
DOCS = [Doc.from_words(sentence.split()) for sentence in SENTENCES * 3]


def test_the_pieces_are_the_same_each_time() -> None:
    first, *others = [train_tokenizer(DOCS, n_pieces=80, lowercase=False, max_length=32).get_vocab() for _ in range(4)]

    assert all(other == first for other in others)
    assert list(SPECIAL) == [piece for piece, number in sorted(first.items(), key=lambda item: item[1]) if number < 5]


def test_no_word_of_the_corpus_is_unknown() -> None:
    tokenizer = train_tokenizer(DOCS, n_pieces=60, lowercase=False, max_length=32)

    pieces = [piece for doc in DOCS for word in doc.words for piece in tokenizer.tokenize(str(word))]

    assert "[UNK]" not in pieces


def test_case_is_folded_when_asked_for() -> None:
    tokenizer = train_tokenizer(DOCS, n_pieces=80, lowercase=True, max_length=32)

    assert tokenizer.tokenize("WALK") == tokenizer.tokenize("walk")


def test_the_vocabulary_as_text_is_in_order() -> None:
    tokenizer = train_tokenizer(DOCS, n_pieces=80, lowercase=False, max_length=32)

    lines = vocabulary_text(tokenizer).splitlines()

    assert tokenizer.convert_ids_to_tokens(range(len(tokenizer))) == lines


def test_too_few_pieces_for_the_characters_is_an_error_that_says_how_many() -> None:
    with pytest.raises(ConfigError, match="n_pieces is 20"):
        train_tokenizer(DOCS, n_pieces=20, lowercase=False, max_length=32)


def test_a_corpus_without_words_is_an_error() -> None:
    with pytest.raises(CorpusError, match="no text"):
        train_tokenizer([], n_pieces=20, lowercase=False, max_length=32)
