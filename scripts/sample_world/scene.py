"""What one document keeps from sentence to sentence: its topic, the manners of its genre, and its cast."""

from __future__ import annotations

from dataclasses import dataclass

from sample_world.draws import Draws
from sample_world.lexicon import Lexicon

ORGANISATIONS = ("Company", "Council", "Club", "Bank", "Society", "Union", "School")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How often a genre does what; all are probabilities."""

    pronoun: float  # a noun phrase is a personal pronoun
    near_person: float  # and that pronoun is I, you or we
    name: float  # a noun phrase is a name
    past: float
    contraction: float
    passive: float
    question: float
    imperative: float
    fragment: float


GENRES = {
    "letter": Manners(
        pronoun=0.45,
        near_person=0.7,
        name=0.12,
        past=0.4,
        contraction=0.6,
        passive=0.03,
        question=0.16,
        imperative=0.06,
        fragment=0.06,
    ),
    "news": Manners(
        pronoun=0.12,
        near_person=0.05,
        name=0.3,
        past=0.75,
        contraction=0.05,
        passive=0.22,
        question=0.01,
        imperative=0.0,
        fragment=0.08,
    ),
    "story": Manners(
        pronoun=0.35,
        near_person=0.15,
        name=0.2,
        past=0.9,
        contraction=0.25,
        passive=0.08,
        question=0.05,
        imperative=0.01,
        fragment=0.02,
    ),
    "guide": Manners(
        pronoun=0.2,
        near_person=0.8,
        name=0.08,
        past=0.1,
        contraction=0.2,
        passive=0.14,
        question=0.03,
        imperative=0.4,
        fragment=0.1,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person of the cast."""

    first: str
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything a sentence is drawn from."""

    draws: Draws
    lexicon: Lexicon
    topic: str
    genre: str
    persons: tuple[Person, ...]
    places: tuple[str, ...]
    organisations: tuple[tuple[str, ...], ...]

    @property
    def manners(self) -> Manners:
        """The manners of the genre."""
        return GENRES[self.genre]


def set_scene(draws: Draws, lexicon: Lexicon, *, topic: str, genre: str) -> Scene:
    """Draw a cast for a document."""
    persons = tuple(
        Person(first=lexicon.first_names.draw(draws, topic), last=lexicon.last_names.draw(draws, topic))
        for _ in range(draws.integer(2, 4))
    )
    places = tuple(lexicon.places.draw(draws, topic) for _ in range(draws.integer(1, 3)))
    organisations = tuple(_organisation(draws, lexicon, topic) for _ in range(draws.integer(1, 2)))
    return Scene(
        draws=draws,
        lexicon=lexicon,
        topic=topic,
        genre=genre,
        persons=persons,
        places=places,
        organisations=organisations,
    )


def _organisation(draws: Draws, lexicon: Lexicon, topic: str) -> tuple[str, ...]:
    place = lexicon.places.draw(draws, topic)
    family = lexicon.last_names.draw(draws, topic)
    thing = lexicon.nouns.draw(draws, topic).singular.capitalize()
    kind = draws.pick(ORGANISATIONS)
    return draws.pick(((place, thing, kind), (place, kind), (family, kind), (thing, kind), (place, "and", family)))
