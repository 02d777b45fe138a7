"""One word of a sentence, with the words that hang from it: a tree that is a tree by construction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum


class Joint(Enum):
    """How a word is written after the one before it."""

    SPACE = "after a space"
    TIGHT = "without a space, a token of its own (a comma)"
    CLITIC = "without a space, part of one multiword token (don't)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A UD word and its dependents, those before it and those after it, each in their order."""

    form: str
    lemma: str
    upos: str
    xpos: str
    feats: str = "_"
    deprel: str = "root"
    before: tuple[Word, ...] = ()
    after: tuple[Word, ...] = ()
    joint: Joint = Joint.SPACE
    entity: str = "O"  # IOB tag


def make(form: str, upos: str, xpos: str, deprel: str, *, lemma: str | None = None, **features: str | None) -> Word:
    """A word without dependents; features that are None are left out."""
    return Word(
        form=form,
        lemma=form if lemma is None else lemma,
        upos=upos,
        xpos=xpos,
        feats=features_of(**features),
        deprel=deprel,
    )


def features_of(**features: str | None) -> str:
    """UD's notation: sorted `Name=Value` pairs, or "_" for none."""
    return "|".join(f"{name}={features[name]}" for name in sorted(features, key=str.lower) if features[name]) or "_"


def with_before(word: Word, *dependents: Word) -> Word:
    """`word` with dependents put in front of all that it has."""
    return replace(word, before=(*dependents, *word.before))


def with_after(word: Word, *dependents: Word) -> Word:
    """`word` with dependents put behind all that it has."""
    return replace(word, after=(*word.after, *dependents))


def as_relation(word: Word, deprel: str) -> Word:
    """`word` in another relation to its head."""
    return replace(word, deprel=deprel)


def as_clitic(word: Word, form: str) -> Word:
    """`word` shortened and written on to the word before it."""
    return replace(word, form=form, joint=Joint.CLITIC)


def mark(sign: str, *, xpos: str | None = None) -> Word:
    """A punctuation mark, written without a space before it."""
    return replace(make(sign, "PUNCT", xpos or sign, "punct"), joint=Joint.TIGHT)


def in_order(word: Word) -> Iterator[tuple[Word, Word | None]]:
    """The (word, head) pairs of a tree from left to right; the root's head is None."""
    yield from _walk(word, None)


def _walk(word: Word, head: Word | None) -> Iterator[tuple[Word, Word | None]]:
    for dependent in word.before:
        yield from _walk(dependent, word)
    yield word, head
    for dependent in word.after:
        yield from _walk(dependent, word)
