"""Whole sentences, in the mix of kinds that a genre has."""

from __future__ import annotations

from sample_world import closed
from sample_world.clauses import Clauses
from sample_world.closed import SINGULAR
from sample_world.nominals import Nominal
from sample_world.words import Word, as_relation, make, mark, with_after, with_before


class Sentences(Clauses):
    """Sentences of one scene, ended by their mark."""

    def sentence(self) -> Word:
        """One sentence."""
        draws, manners = self.draws, self.scene.manners
        if draws.chance(manners.fragment):
            return self._fragment()
        if draws.chance(manners.question):
            return with_after(self._question(), mark("?", xpos="."))
        if draws.chance(manners.imperative):
            return with_after(self.imperative(0), mark(draws.weighted(((".", 5), ("!", 1))), xpos="."))
        kind = draws.weighted(
            (("plain", 10), ("fronted", 2), ("coordinated", 2.2), ("existential", 0.8), ("it", 0.6), ("gerund", 0.5))
        )
        if kind == "fronted":
            body = self._fronted()
        elif kind == "coordinated":
            body = self._coordinated_clauses()
        elif kind == "existential":
            body = self.existential(0)
        elif kind == "it":
            body = self._it_is()
        elif kind == "gerund":
            subject = Nominal(word=self.gerund(0, deprel="csubj"), agreement=SINGULAR)
            body = self._copular(subject, 1, deprel="root", asks=False)
        else:
            body = self.clause(0, deprel="root")
        return with_after(body, mark(draws.weighted(((".", 12), ("!", 1))), xpos="."))

    def _fronted(self) -> Word:
        draws = self.draws
        body = self.clause(0, deprel="root")
        kind = draws.weighted((("phrase", 3), ("clause", 3), ("adverb", 2), ("call", 1.5)))
        if kind == "phrase":
            return with_before(body, with_after(self.prepositional(1, deprel="obl"), mark(",")))
        if kind == "clause":
            clause = self.clause(1, deprel="advcl")
            opening = closed.subordinator(draws.weighted(closed.SUBORDINATORS))
            return with_before(body, with_after(with_before(clause, opening), mark(",")))
        if kind == "call":
            cry = make(
                draws.pick((*self.scene.lexicon.interjections, "oh", "well", "yes", "no")), "INTJ", "UH", "discourse"
            )
            return with_before(body, cry, mark(","))
        return with_before(body, self.adverb(), mark(",")) if draws.chance(0.5) else with_before(body, self.adverb())

    def _coordinated_clauses(self) -> Word:
        first = self.clause(0, deprel="root")
        opening = closed.conjunction(self.draws.weighted(closed.CONJUNCTIONS))
        second = with_before(self.clause(1, deprel="conj"), opening)
        return with_after(first, with_before(second, mark(",")) if self.draws.chance(0.6) else second)

    def _it_is(self) -> Word:
        subject = Nominal(
            word=closed.pronoun_word(closed.PRONOUNS["it"], case="Nom", deprel="expl"),
            agreement=SINGULAR,
            is_pronoun=True,
        )
        head = self.adjective(deprel="root")
        if self.draws.chance(0.5):
            real = with_before(self.clause(1, deprel="csubj"), closed.subordinator("that"))
        else:
            real = self.infinitive(1, deprel="csubj")
        return with_after(self.with_copula(head, subject, asks=False), real)

    def _question(self) -> Word:
        kind = self.draws.weighted((("yes or no", 5), ("adverb", 3), ("subject", 1.5)))
        if kind == "subject":
            who = make("who", "PRON", "WP", "nsubj", PronType="Int")
            return self._verbal(Nominal(word=who, agreement=SINGULAR), 1, deprel="root")
        body = self.clause(1, deprel="root", asks=True)
        if kind == "yes or no":
            return body
        return with_before(
            body, make(self.draws.pick(("why", "when", "where", "how")), "ADV", "WRB", "advmod", PronType="Int")
        )

    def _fragment(self) -> Word:
        if self.scene.genre == "letter":
            name = as_relation(self.name(deprel="vocative").word, "vocative")
            greeting = make(self.draws.pick(("dear", "hello", "thanks")), "INTJ", "UH", "root")
            return with_after(greeting, name, mark(","))
        thing = self.common(0, deprel="root").word
        return thing if self.draws.chance(0.5) else with_after(thing, mark(":"))
