"""Documents: some sentences of one topic, one genre and one cast.

A document is a function of the seed, the split and its number, so that splits do not depend on each other's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sample_world.draws import Draws
from sample_world.lexicon import TOPICS, Lexicon, build_lexicon
from sample_world.scene import GENRES, set_scene
from sample_world.sentences import Sentences
from sample_world.words import Word, in_order

LONGEST = 60  # words; a longer sentence is drawn again


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Some sentences that belong together."""

    name: str  # starts with the genre, as the documents of EWT do
    topic: str
    sentences: tuple[Word, ...]


def make_documents(*, seed: int, split: str, n_sentences: int) -> Iterator[Document]:
    """Documents of 5 to 15 sentences, `n_sentences` in all (the last is cut short)."""
    lexicon = build_lexicon(seed)
    number, left = 0, n_sentences
    while left > 0:
        document = make_document(lexicon, seed=seed, split=split, number=number, at_most=left)
        left -= len(document.sentences)
        number += 1
        yield document


def make_document(lexicon: Lexicon, *, seed: int, split: str, number: int, at_most: int = 15) -> Document:
    """The document of a number."""
    draws = Draws(f"document/{seed}/{split}/{number}")
    genre, topic = draws.pick(tuple(GENRES)), draws.pick(TOPICS)
    grammar = Sentences(set_scene(draws, lexicon, topic=topic, genre=genre))
    n = min(draws.integer(5, 15), at_most)
    sentences = tuple(_short_enough(grammar) for _ in range(n))
    return Document(name=f"{genre}-{split}-{number:04d}", topic=topic, sentences=sentences)


def _short_enough(grammar: Sentences) -> Word:
    while True:
        sentence = grammar.sentence()
        if sum(1 for _ in in_order(sentence)) <= LONGEST:
            return sentence
