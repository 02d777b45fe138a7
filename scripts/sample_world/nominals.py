"""Noun phrases: pronouns, names, and common nouns with all that can stand around them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sample_world import closed
from sample_world.closed import PLURAL, SINGULAR, Agreement
from sample_world.lexicon import Adjective, Noun, Verb
from sample_world.scene import Scene
from sample_world.words import Word, as_clitic, as_relation, make, mark, with_after, with_before


@dataclass(frozen=True, slots=True, kw_only=True)
class Nominal:
    """A noun phrase and what it asks of a verb."""

    word: Word
    agreement: Agreement
    is_pronoun: bool = False


class Nominals:
    """Noun phrases of one scene. `depth` counts how far inside a sentence we are; deeper means plainer."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.draws = scene.draws

    def relative_clause(self, agreement: Agreement, depth: int) -> Word:
        """A relative clause on a noun; clauses.py knows how."""
        raise NotImplementedError

    def infinitive(self, depth: int, *, deprel: str) -> Word:
        """A to-infinitive with its arguments; clauses.py knows how."""
        raise NotImplementedError

    def nominal(self, depth: int, *, case: str, deprel: str) -> Nominal:
        """Any noun phrase. `case` is Nom or Acc and shows on pronouns only."""
        manners, draws = self.scene.manners, self.draws
        if draws.chance(manners.pronoun if case == "Nom" else manners.pronoun * 0.4):
            return self.pronoun(case=case, deprel=deprel)
        if draws.chance(0.03):
            plural = draws.chance(0.3)
            word = closed.demonstrative(plural=plural, near=draws.chance(0.5), deprel=deprel)
            return Nominal(word=word, agreement=PLURAL if plural else SINGULAR)
        first = self._simple(depth, deprel)
        if depth < 2 and draws.chance(0.06):
            return self._coordinated(first, depth)
        return first

    def pronoun(self, *, case: str, deprel: str) -> Nominal:
        """A personal pronoun."""
        near = self.draws.chance(self.scene.manners.near_person)
        options = (("I", 4), ("you", 3), ("we", 3)) if near else (("he", 3), ("she", 4), ("it", 3), ("they", 3))
        pronoun = closed.PRONOUNS[self.draws.weighted(options)]
        word = closed.pronoun_word(pronoun, case=case, deprel=deprel)
        return Nominal(word=word, agreement=pronoun.agreement, is_pronoun=True)

    def prepositional(self, depth: int, *, deprel: str, preposition: str | None = None) -> Word:
        """A noun phrase behind a preposition, as obl or nmod."""
        form = preposition or self.draws.weighted(closed.PREPOSITIONS)
        word = self.nominal(depth + 1, case="Acc", deprel=deprel).word
        return with_before(word, closed.preposition(form))

    def adjective(self, *, deprel: str, adjective: Adjective | None = None) -> Word:
        """An adjective in one of its degrees, now and then with an adverb of degree."""
        draws = self.draws
        entry = adjective or self.scene.lexicon.adjectives.draw(draws, self.scene.topic)
        kind = draws.weighted((("plain", 8), ("degree", 1.6), ("comparative", 0.6), ("superlative", 0.5)))
        if kind == "comparative" and entry.comparative:
            return make(entry.comparative, "ADJ", "JJR", deprel, lemma=entry.base, Degree="Cmp")
        if kind == "superlative" and entry.superlative:
            return make(entry.superlative, "ADJ", "JJS", deprel, lemma=entry.base, Degree="Sup")
        word = make(entry.base, "ADJ", "JJ", deprel, Degree="Pos")
        if kind == "degree":
            return with_before(word, closed.adverb(draws.weighted(closed.DEGREES)))
        return word

    def verb_entry(self, *frames: str) -> Verb:
        """A verb that takes one of the frames (any verb, without frames)."""
        while True:
            verb = self.scene.lexicon.verbs.draw(self.draws, self.scene.topic)
            if not frames or any(frame in verb.frames for frame in frames):
                return verb

    def name(self, *, deprel: str) -> Nominal:
        """A name out of the cast: a person, a place or an organisation."""
        scene, draws = self.scene, self.draws
        kind = draws.weighted((("PER", 5), ("LOC", 3), ("ORG", 2)))
        if kind == "PER":
            person = draws.pick(scene.persons)
            forms = draws.weighted((((person.first, person.last), 3), ((person.first,), 3), ((person.last,), 2)))
            head, *rest = _names(forms, kind)
            word = with_after(head, *(as_relation(part, "flat") for part in rest))
            if len(forms) == 1 and forms[0] == person.last and draws.chance(0.5):
                title = make(draws.pick(("Mr.", "Mrs.", "Dr.")), "PROPN", "NNP", deprel, Number="Sing")
                word = with_after(title, as_relation(word, "flat"))
        elif kind == "LOC":
            (word,) = _names((draws.pick(scene.places),), kind)
        else:
            word = _organisation(draws.pick(scene.organisations))
        return Nominal(word=as_relation(word, deprel), agreement=SINGULAR)

    def common(self, depth: int, *, deprel: str) -> Nominal:
        """A common noun with determiner, modifiers before it and phrases behind it."""
        draws = self.draws
        noun = self.scene.lexicon.nouns.draw(draws, self.scene.topic)
        plural = not noun.is_mass and draws.chance(0.32)
        word = make(
            noun.plural if plural else noun.singular,
            "NOUN",
            "NNS" if plural else "NN",
            deprel,
            lemma=noun.singular,
            Number="Plur" if plural else "Sing",
        )
        agreement = PLURAL if plural else SINGULAR
        word = with_before(word, *self._determiner(noun, plural, depth), *self._modifiers())
        return Nominal(word=with_after(word, *self._behind(agreement, depth)), agreement=agreement)

    def _simple(self, depth: int, deprel: str) -> Nominal:
        if self.draws.chance(self.scene.manners.name):
            return self.name(deprel=deprel)
        return self.common(depth, deprel=deprel)

    def _coordinated(self, first: Nominal, depth: int) -> Nominal:
        second = self._simple(depth + 1, "conj").word
        joined = with_before(second, closed.conjunction(self.draws.weighted((("and", 5), ("or", 1)))))
        if self.draws.chance(0.15):
            third = with_before(self._simple(depth + 1, "conj").word, mark(","))
            return Nominal(word=with_after(first.word, third, with_before(joined, mark(","))), agreement=PLURAL)
        return Nominal(word=with_after(first.word, joined), agreement=PLURAL)

    def _determiner(self, noun: Noun, plural: bool, depth: int) -> tuple[Word, ...]:
        draws = self.draws
        bare = 5.0 if plural or noun.is_mass else 0.3
        count = 0.0 if plural or noun.is_mass else 5.0
        options = (
            ("the", 9), ("a", count), ("his", 2.5), ("this", 1.6), ("some", 1.5), ("two", 1.2 if plural else 0),
            ("'s", 1.0 if depth < 2 else 0), ("", bare),
        )  # fmt: skip
        kind = draws.weighted(options)
        if kind in ("the", "a"):
            return (closed.article(kind),)
        if kind == "his":
            pronoun = closed.PRONOUNS[draws.pick(tuple(closed.PRONOUNS))]
            return (closed.pronoun_word(pronoun, case="Gen", deprel="nmod:poss"),)
        if kind == "this":
            return (closed.demonstrative(plural=plural, near=draws.chance(0.6)),)
        if kind == "some":
            forms = ("some", "all", "no", "any") if plural or noun.is_mass else ("every", "each", "no", "any")
            return (closed.quantifier(draws.pick(forms)),)
        if kind == "two":
            form = draws.pick(closed.NUMBERS)
            number = make(form, "NUM", "CD", "nummod", NumForm="Digit" if form[0].isdigit() else "Word", NumType="Card")
            return (closed.article("the"), number) if draws.chance(0.3) else (number,)
        if kind == "'s":
            owner = self._simple(depth + 2, "nmod:poss")
            ending = "'" if owner.agreement is PLURAL else "'s"
            return (with_after(owner.word, as_clitic(make(ending, "PART", "POS", "case", lemma="'s"), ending)),)
        return ()

    def _modifiers(self) -> tuple[Word, ...]:
        draws, lexicon, topic = self.draws, self.scene.lexicon, self.scene.topic
        found: list[Word] = []
        if draws.chance(0.3):
            found.append(self.adjective(deprel="amod"))
            if draws.chance(0.12):
                found.append(self.adjective(deprel="amod"))
        if draws.chance(0.05):
            verb = self.verb_entry("transitive")
            found.append(
                make(
                    verb.participle, "VERB", "VBN", "amod", lemma=verb.base, Tense="Past", VerbForm="Part", Voice="Pass"
                )
            )
        elif draws.chance(0.04):
            verb = self.verb_entry("intransitive")
            found.append(make(verb.gerund, "VERB", "VBG", "amod", lemma=verb.base, Tense="Pres", VerbForm="Part"))
        if draws.chance(0.12):
            noun = lexicon.nouns.draw(draws, topic)
            found.append(make(noun.singular, "NOUN", "NN", "compound", Number="Sing"))
        return tuple(found)

    def _behind(self, agreement: Agreement, depth: int) -> tuple[Word, ...]:
        draws = self.draws
        if depth > 2:
            return ()
        kind = draws.weighted(
            (
                ("", 20 + 8 * depth),
                ("phrase", 5),
                ("relative", 1.8),
                ("participle", 1.5),
                ("gerund", 0.9),
                ("infinitive", 0.6),
            )
        )
        if kind == "phrase":
            form = "of" if draws.chance(0.5) else None
            return (self.prepositional(depth + 1, deprel="nmod", preposition=form),)
        if kind == "relative":
            return (self.relative_clause(agreement, depth + 1),)
        if kind == "participle":
            verb = self.verb_entry("transitive")
            word = make(
                verb.participle, "VERB", "VBN", "acl", lemma=verb.base, Tense="Past", VerbForm="Part", Voice="Pass"
            )
            return (
                with_after(
                    word, self.prepositional(depth + 1, deprel="obl", preposition=draws.pick(("by", "in", "for", "by")))
                ),
            )
        if kind == "gerund":
            verb = self.verb_entry("transitive")
            word = make(verb.gerund, "VERB", "VBG", "acl", lemma=verb.base, Tense="Pres", VerbForm="Part")
            return (with_after(word, self.nominal(depth + 2, case="Acc", deprel="obj").word),)
        if kind == "infinitive":
            return (self.infinitive(depth + 1, deprel="acl"),)
        return ()


def _names(forms: tuple[str, ...], label: str) -> list[Word]:
    words = [make(form, "PROPN", "NNP", "compound", Number="Sing") for form in forms]
    return [replace(word, entity=f"{'I' if i else 'B'}-{label}") for i, word in enumerate(words)]


def _organisation(forms: tuple[str, ...]) -> Word:
    if "and" in forms:
        first, second = (
            replace(word, entity=tag)
            for word, tag in zip(_names((forms[0], forms[2]), "ORG"), ("B-ORG", "I-ORG"), strict=True)
        )
        bond = replace(closed.conjunction("and"), entity="I-ORG")
        return with_after(first, with_before(as_relation(second, "conj"), bond))
    *parts, head = _names(forms, "ORG")
    return with_before(head, *parts)
