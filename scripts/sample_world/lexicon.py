"""The invented words: their forms, the topics they belong to, and how often each is used.

A lexicon is a function of its seed alone. Frequencies fall with rank (Zipf), and words of a document's topic
come more often in it. Many stems serve two classes, as in English, and names share stems with each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sample_world.draws import Draws

TOPICS = ("harbour", "garden", "market", "council")

ONSETS = (
    "b", "bl", "br", "d", "dr", "f", "fl", "g", "gl", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pl", "pr", "r",
    "s", "sk", "sl", "sm", "sn", "st", "str", "t", "thr", "tr", "v", "w", "z",
)  # fmt: skip
NUCLEI = ("a", "a", "a", "e", "e", "e", "i", "i", "i", "o", "o", "o", "u", "u", "ai", "ea", "ee", "oa", "ou")
CODAS = ("n", "m", "l", "r", "nd", "st", "sk", "ft", "mp", "lm", "rl", "th", "lt", "rk", "nk")
MIDDLES = ("n", "l", "r", "m", "v", "d", "b", "nd", "st", "mb", "lt", "rr")
ENDINGS = ("en", "el", "er", "on", "ot", "ick", "ow", "ard")

FRAMES = (
    ("intransitive", 5), ("transitive", 9), ("transitive intransitive", 5), ("double", 1.5), ("clause", 2),
    ("infinitive", 1.5), ("gerund", 1), ("prepositional", 3), ("particle", 2),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun:
    """A common noun."""

    singular: str
    plural: str
    is_mass: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A verb, what it takes (`frames`), and the preposition or particle that goes with it."""

    base: str
    third: str
    past: str
    participle: str
    gerund: str
    frames: tuple[str, ...]
    partner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjective:
    """An adjective; comparative and superlative are None where `more` and `most` do the work."""

    base: str
    comparative: str | None
    superlative: str | None
    adverb: str


T = TypeVar("T")


class Ranked(Generic[T]):
    """Entries by falling frequency; some belong to a topic and are used more in its documents.

    exponent: of Zipf's law. tail: share of all draws that go to every entry alike, however rare.
    """

    def __init__(self, entries: Sequence[T], draws: Draws, *, exponent: float, tail: float = 0.1) -> None:
        self.entries = tuple(entries)
        topics = [draws.pick(TOPICS) if draws.chance(0.5) else None for _ in entries]
        by_rank = [(rank + 3) ** -exponent for rank in range(len(entries))]
        floor = tail * sum(by_rank) / len(entries)  # so that some of what the test part says was never heard before
        self._cumulative = {
            topic: list(
                itertools.accumulate(
                    floor + weight * (1.0 if home is None else 4.0 if home == topic else 0.25)
                    for weight, home in zip(by_rank, topics, strict=True)
                )
            )
            for topic in TOPICS
        }

    def draw(self, draws: Draws, topic: str) -> T:
        """One entry, by frequency in documents of the topic."""
        return self.entries[draws.position(self._cumulative[topic])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """All open classes."""

    nouns: Ranked[Noun]
    verbs: Ranked[Verb]
    adjectives: Ranked[Adjective]
    first_names: Ranked[str]
    last_names: Ranked[str]
    places: Ranked[str]
    interjections: tuple[str, ...]


def build_lexicon(seed: int) -> Lexicon:
    """The lexicon of a seed: about 1,100 nouns, 600 verbs, 500 adjectives and 900 names."""
    draws = Draws(f"lexicon/{seed}")
    stems = _stems(draws)
    shared, noun_stems, verb_stems, adjective_stems = (_take(stems, n) for n in (340, 480, 220, 330))

    twofold = {*shared, *noun_stems[90:150], *verb_stems[:40]}  # stems of two classes or more
    verbs = [_verb(stem, draws) for stem in (*shared, *verb_stems)]
    adjectives = [_adjective(stem) for stem in adjective_stems]
    adjectives += [_adjective(stem + draws.pick(("y", "ful", "less", "ish"))) for stem in noun_stems[:90]]
    adjectives += [_adjective(stem) for stem in noun_stems[90:150]]  # as 'green': a colour and a lawn
    adjectives += [_adjective(stem) for stem in (*shared[:40], *verb_stems[:40])]  # as 'clean': dishes, and to do them
    adjectives += [_adjective(verb.base + "able") for verb in verbs[-40:]]
    nouns = [_noun(stem) for stem in (*shared, *noun_stems)]
    nouns += [_noun(verb.base + "er") for verb in draws.shuffled(verbs)[:110]]
    nouns += [_noun(verb.gerund, is_mass=True) for verb in draws.shuffled(verbs)[:60]]
    nouns += [_noun(adjective.base + "ness", is_mass=True) for adjective in adjectives[40:100]]

    towns = [stem.capitalize() + draws.pick(("ton", "port", "ford", "mere", "land", "")) for stem in _take(stems, 260)]
    first = [stem.capitalize() + draws.pick(("a", "in", "o", "ric", "wen", "is", "")) for stem in _take(stems, 280)]
    last = [stem.capitalize() + draws.pick(("son", "ley", "man", "well", "")) for stem in _take(stems, 240)]
    last += draws.shuffled(towns)[:60] + draws.shuffled(first)[:40] + [n.singular.capitalize() for n in nouns[100:140]]
    return Lexicon(
        nouns=Ranked(_ranking(nouns, lambda noun: noun.singular in twofold, draws), draws, exponent=1.25),
        verbs=Ranked(_ranking(verbs, lambda verb: verb.base in twofold, draws), draws, exponent=1.25),
        adjectives=Ranked(_ranking(adjectives, lambda word: word.base in twofold, draws), draws, exponent=1.25),
        first_names=Ranked(draws.shuffled(first), draws, exponent=0.6),
        last_names=Ranked(draws.shuffled(last), draws, exponent=0.5),
        places=Ranked(draws.shuffled(towns), draws, exponent=0.7),
        interjections=tuple(_take(stems, 6)),
    )


def _stems(draws: Draws) -> Callable[[], str]:
    """A maker of stems, none of them twice and none a function word's near double."""
    seen: set[str] = set()

    def next_stem() -> str:
        while True:
            stem = draws.pick(ONSETS) + draws.pick(NUCLEI)
            if draws.chance(0.45):
                stem += draws.pick(CODAS)
            else:
                stem += draws.pick(MIDDLES) + draws.pick(ENDINGS)
            if len(stem) > 3 and stem not in seen:
                seen.add(stem)
                return stem

    return next_stem


def _ranking(entries: Sequence[T], is_common: Callable[[T], bool], draws: Draws) -> list[T]:
    """The entries in an order of chance that favours the common ones: short old words have the most meanings."""
    keyed = [(draws.integer(0, 1_000_000) + (0 if is_common(entry) else 300_000), i) for i, entry in enumerate(entries)]
    return [entries[i] for _, i in sorted(keyed)]


def _take(stems: Callable[[], str], n: int) -> list[str]:
    return [stems() for _ in range(n)]


def _noun(stem: str, *, is_mass: bool = False) -> Noun:
    return Noun(singular=stem, plural=with_s(stem), is_mass=is_mass)


def with_s(stem: str) -> str:
    """A noun's plural, or a verb's third person."""
    if stem.endswith(("s", "sh", "x", "z")):
        return stem + "es"
    if stem.endswith("y") and stem[-2] not in "aeiou":
        return stem[:-1] + "ies"
    return stem + "s"


def _verb(stem: str, draws: Draws) -> Verb:
    past, participle = stem + "ed", stem + "ed"
    if draws.chance(0.08):
        past, participle = draws.pick(
            ((stem, stem), (_ablaut(stem, "o"), stem + "en"), (_ablaut(stem, "u"), _ablaut(stem, "u")))
        )
    frames = tuple(draws.weighted(FRAMES).split())
    partner = (
        draws.pick(("up", "out", "off", "down", "over"))
        if "particle" in frames
        else draws.pick(("on", "for", "to", "with", "at"))
    )
    return Verb(
        base=stem,
        third=with_s(stem),
        past=past,
        participle=participle,
        gerund=stem + "ing",
        frames=frames,
        partner=partner,
    )


def _ablaut(stem: str, vowel: str) -> str:
    """The stem with its first vowels turned into another, as in sing and sung."""
    start = next(i for i, letter in enumerate(stem) if letter in "aeiou")
    end = next((i for i in range(start, len(stem)) if stem[i] not in "aeiou"), len(stem))
    return stem[:start] + vowel + stem[end:]


def _adjective(stem: str) -> Adjective:
    short = len(stem) <= 5
    root = stem[:-1] + "i" if stem.endswith("y") else stem
    return Adjective(
        base=stem,
        comparative=root + "er" if short else None,
        superlative=root + "est" if short else None,
        adverb=root + "ly" if not stem.endswith("ly") else stem,
    )
