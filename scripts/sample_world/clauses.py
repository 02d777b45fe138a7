"""Clauses: a verb in the right form, its auxiliaries, its subject, its arguments and adjuncts."""

from __future__ import annotations

from dataclasses import dataclass

from sample_world import closed
from sample_world.closed import Agreement
from sample_world.lexicon import Verb
from sample_world.nominals import Nominal, Nominals
from sample_world.words import Word, as_clitic, as_relation, make, mark, with_after, with_before

BE = {"am": "'m", "is": "'s", "are": "'re"}
SHORT = {**BE, "have": "'ve", "has": "'s", "had": "'d", "will": "'ll", "would": "'d"}
BEFORE_NOT = {"will": "wo", "can": "ca"}
TAKE_NOT = {
    "is",
    "are",
    "was",
    "were",
    "do",
    "does",
    "did",
    "have",
    "has",
    "had",
    "will",
    "would",
    "can",
    "could",
    "should",
    "must",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The verb of a clause with the auxiliaries in front of it, the first of which is finite."""

    auxiliaries: tuple[Word, ...]
    head: Word
    is_passive: bool = False


class Clauses(Nominals):
    """Clauses of one scene."""

    def clause(self, depth: int, *, deprel: str, asks: bool = False) -> Word:
        """A finite clause with its own subject; `asks` puts the auxiliary first."""
        subject = self.nominal(depth, case="Nom", deprel="nsubj")
        if self.draws.chance(0.2):
            return self._copular(subject, depth, deprel=deprel, asks=asks)
        return self._verbal(subject, depth, deprel=deprel, asks=asks)

    def relative_clause(self, agreement: Agreement, depth: int) -> Word:
        """Which the subject or the object is missing from: `who came`, `that I saw`, `I saw`."""
        draws = self.draws
        if draws.chance(0.55):
            subject = Nominal(word=_relative(draws.pick(("that", "who", "which")), "nsubj"), agreement=agreement)
            return self._verbal(subject, depth + 1, deprel="acl:relcl")
        subject = self.nominal(depth + 2, case="Nom", deprel="nsubj")
        body = self._verbal(subject, depth + 1, deprel="acl:relcl", has_gap=True)
        return body if draws.chance(0.4) else with_before(body, _relative(draws.pick(("that", "which")), "obj"))

    def infinitive(self, depth: int, *, deprel: str) -> Word:
        """A to-infinitive with its arguments."""
        verb = self.verb_entry()
        head = make(verb.base, "VERB", "VB", deprel, VerbForm="Inf")
        return with_before(self._with_arguments(head, verb, depth + 1), closed.infinitive_to())

    def gerund(self, depth: int, *, deprel: str) -> Word:
        """An -ing clause that stands where a noun could."""
        verb = self.verb_entry("transitive", "intransitive")
        head = make(verb.gerund, "VERB", "VBG", deprel, lemma=verb.base, VerbForm="Ger")
        return self._with_arguments(head, verb, depth + 1)

    def imperative(self, depth: int) -> Word:
        """An order: the bare verb first, sometimes after `please`, `do n't` or a short adverb."""
        draws, verb = self.draws, self.verb_entry("transitive", "particle", "prepositional")
        kind = draws.weighted((("plain", 6), ("please", 1), ("not", 1.5), ("adverb", 1)))
        if kind == "not":
            head = make(verb.base, "VERB", "VB", "root", VerbForm="Inf")
            do = make("do", "AUX", "VB", "aux", Mood="Imp", Person="2", VerbForm="Fin")
            return with_before(self._with_arguments(head, verb, depth), do, _clitic_not())
        head = self._with_arguments(
            make(verb.base, "VERB", "VB", "root", Mood="Imp", Person="2", VerbForm="Fin"), verb, depth
        )
        if kind == "please":
            return with_before(head, make("please", "INTJ", "UH", "discourse"))
        return with_before(head, self.adverb()) if kind == "adverb" else head

    def adverb(self) -> Word:
        """An adverb of manner, or one of the short ones."""
        if self.draws.chance(0.55):
            return closed.adverb(self.draws.weighted(closed.PLAIN_ADVERBS))
        adjective = self.scene.lexicon.adjectives.draw(self.draws, self.scene.topic)
        return closed.adverb(adjective.adverb, degree="Pos")

    def finite(self, verb: Verb, agreement: Agreement, *, past: bool, deprel: str) -> Word:
        """The verb in the present or past, agreeing with its subject."""
        form = verb.past if past else verb.third if agreement.is_third_singular else verb.base
        xpos = "VBD" if past else "VBZ" if agreement.is_third_singular else "VBP"
        return make(form, "VERB", xpos, deprel, lemma=verb.base, **_finite_features(agreement, past=past))

    def existential(self, depth: int) -> Word:
        """There is a …"""
        thing = self.common(depth, deprel="nsubj")
        be = _be(thing.agreement, past=self._is_past(), upos="VERB", deprel="root")
        there = make("there", "PRON", "EX", "expl")
        after = [thing.word, *self._adjuncts(depth, chance=0.5)]
        return with_before(with_after(be, *after), there)

    def _verbal(self, subject: Nominal, depth: int, *, deprel: str, asks: bool = False, has_gap: bool = False) -> Word:
        draws = self.draws
        passive = not has_gap and draws.chance(self.scene.manners.passive)
        verb = self.verb_entry("transitive", "double") if passive or has_gap else self.verb_entry()
        group = self._group(verb, subject.agreement, deprel=deprel, passive=passive, needs_auxiliary=asks)
        if passive:
            agent = (self.prepositional(depth + 1, deprel="obl:agent", preposition="by"),) if draws.chance(0.4) else ()
            head = with_after(group.head, *agent, *self._adjuncts(depth))
        elif has_gap:
            head = with_after(group.head, *self._adjuncts(depth, chance=0.2))
        else:
            head = self._with_arguments(group.head, verb, depth)
        return self._with_subject(head, subject, group.auxiliaries, passive=passive, asks=asks)

    def _copular(self, subject: Nominal, depth: int, *, deprel: str, asks: bool) -> Word:
        draws = self.draws
        kind = draws.weighted((("adjective", 5), ("noun", 3), ("place", 2)))
        if kind == "adjective":
            head = self.adjective(deprel=deprel)
            if draws.chance(0.15):
                head = with_after(head, self.infinitive(depth + 1, deprel="advcl"))
        elif kind == "noun":
            head = self.common(depth + 1, deprel=deprel).word
        else:
            head = self.prepositional(depth + 1, deprel=deprel)
        return self.with_copula(head, subject, asks=asks)

    def with_copula(self, head: Word, subject: Nominal, *, asks: bool) -> Word:
        """A predicate that is no verb, with its subject and a form of `be`."""
        if self.draws.chance(0.15):
            be = make("be", "AUX", "VB", "cop", VerbForm="Inf")
            return self._with_subject(
                head, subject, (_modal(self.draws.weighted(closed.MODALS)), be), passive=False, asks=asks
            )
        be = _be(subject.agreement, past=self._is_past(), upos="AUX", deprel="cop")
        return self._with_subject(head, subject, (be,), passive=False, asks=asks)

    def _with_subject(
        self, head: Word, subject: Nominal, auxiliaries: tuple[Word, ...], *, passive: bool, asks: bool
    ) -> Word:
        draws = self.draws
        word = as_relation(subject.word, subject.word.deprel + ":pass") if passive else subject.word
        if not auxiliaries:
            manner = (self.adverb(),) if draws.chance(0.06) else ()
            return with_before(head, word, *manner)
        first, *others = auxiliaries
        contracted = draws.chance(self.scene.manners.contraction)
        middle: tuple[Word, ...] = ()
        if draws.chance(0.12):
            if contracted and first.form in TAKE_NOT:
                first, middle = _before_not(first), (_clitic_not(),)
            else:
                middle = (closed.negation(short=False),)
        elif contracted and not asks and subject.is_pronoun and first.form in SHORT:
            first = as_clitic(first, SHORT[first.form])
        if draws.chance(0.08):
            others = [self.adverb(), *others]
        if asks:
            if middle and middle[0].form == "not":
                return with_before(head, first, word, *middle, *others)
            return with_before(head, first, *middle, word, *others)
        return with_before(head, word, first, *middle, *others)

    def _group(self, verb: Verb, agreement: Agreement, *, deprel: str, passive: bool, needs_auxiliary: bool) -> Group:
        draws, past = self.draws, self._is_past()
        kind = draws.weighted((("simple", 9), ("modal", 2.2), ("perfect", 1.8), ("progressive", 1.6), ("do", 0.8)))
        if passive:
            participle = make(
                verb.participle, "VERB", "VBN", deprel, lemma=verb.base, Tense="Past", VerbForm="Part", Voice="Pass"
            )
            if kind == "modal":
                be = make("be", "AUX", "VB", "aux:pass", VerbForm="Inf")
                return Group(auxiliaries=(_modal(draws.weighted(closed.MODALS)), be), head=participle, is_passive=True)
            if kind == "perfect":
                been = make("been", "AUX", "VBN", "aux:pass", lemma="be", Tense="Past", VerbForm="Part")
                return Group(auxiliaries=(_have(agreement, past=past), been), head=participle, is_passive=True)
            return Group(
                auxiliaries=(_be(agreement, past=past, upos="AUX", deprel="aux:pass"),),
                head=participle,
                is_passive=True,
            )
        if kind == "simple" and not needs_auxiliary:
            return Group(auxiliaries=(), head=self.finite(verb, agreement, past=past, deprel=deprel))
        if kind == "perfect":
            head = make(verb.participle, "VERB", "VBN", deprel, lemma=verb.base, Tense="Past", VerbForm="Part")
            return Group(auxiliaries=(_have(agreement, past=past),), head=head)
        if kind == "progressive":
            head = make(verb.gerund, "VERB", "VBG", deprel, lemma=verb.base, Tense="Pres", VerbForm="Part")
            return Group(auxiliaries=(_be(agreement, past=past, upos="AUX", deprel="aux"),), head=head)
        head = make(verb.base, "VERB", "VB", deprel, VerbForm="Inf")
        if kind == "modal":
            return Group(auxiliaries=(_modal(draws.weighted(closed.MODALS)),), head=head)
        return Group(auxiliaries=(_do(agreement, past=past),), head=head)

    def _with_arguments(self, head: Word, verb: Verb, depth: int) -> Word:
        frame = self.draws.pick(verb.frames)
        if depth > 2 and frame in ("clause", "infinitive", "gerund"):
            frame = "transitive"
        return with_after(head, *self._arguments(frame, verb, depth), *self._adjuncts(depth))

    def _arguments(self, frame: str, verb: Verb, depth: int) -> tuple[Word, ...]:
        draws = self.draws
        if frame == "transitive":
            return (self._object(depth),)
        if frame == "double":
            if draws.chance(0.5):
                return (
                    as_relation(self.nominal(depth + 2, case="Acc", deprel="obj").word, "iobj"),
                    self._object(depth),
                )
            return (self._object(depth + 1), self.prepositional(depth + 1, deprel="obl", preposition="to"))
        if frame == "clause":
            body = self.clause(depth + 1, deprel="ccomp")
            return (with_before(body, closed.subordinator("that")) if draws.chance(0.6) else body,)
        if frame == "infinitive":
            return (self.infinitive(depth + 1, deprel="xcomp"),)
        if frame == "gerund":
            return (self.gerund(depth + 1, deprel="xcomp"),)
        if frame == "prepositional":
            return (self.prepositional(depth, deprel="obl", preposition=verb.partner),)
        if frame == "particle":
            particle = make(verb.partner, "ADP", "RP", "compound:prt")
            return (particle, self._object(depth)) if draws.chance(0.6) else (self._object(depth + 3), particle)
        return ()

    def _object(self, depth: int) -> Word:
        return self.nominal(depth + 1, case="Acc", deprel="obj").word

    def _adjuncts(self, depth: int, *, chance: float = 0.3) -> tuple[Word, ...]:
        draws = self.draws
        found: list[Word] = []
        if draws.chance(0.16 if depth < 2 else 0.08):
            found.append(self.adverb())
        if draws.chance(chance / (1 + depth)):
            found.append(self.prepositional(depth + 1, deprel="obl"))
        if depth == 0 and draws.chance(0.1):
            day = make(draws.pick(closed.DAYS), "PROPN", "NNP", "obl", Number="Sing")
            found.append(
                with_before(day, closed.preposition("on")) if draws.chance(0.7) else as_relation(day, "obl:unmarked")
            )
        if depth == 0 and draws.chance(0.11):
            found.append(self.adverbial_clause(depth + 1))
        return tuple(found)

    def adverbial_clause(self, depth: int) -> Word:
        """because …, when …, to …, or an -ing clause."""
        draws = self.draws
        kind = draws.weighted((("finite", 6), ("purpose", 2), ("participle", 1)))
        if kind == "purpose":
            return self.infinitive(depth, deprel="advcl")
        if kind == "participle":
            verb = self.verb_entry("transitive")
            head = make(verb.gerund, "VERB", "VBG", "advcl", lemma=verb.base, Tense="Pres", VerbForm="Part")
            return with_before(with_after(head, self._object(depth)), mark(","))
        body = self.clause(depth, deprel="advcl")
        return with_before(body, closed.subordinator(draws.weighted(closed.SUBORDINATORS)))

    def _is_past(self) -> bool:
        return self.draws.chance(self.scene.manners.past)


def _finite_features(agreement: Agreement, *, past: bool) -> dict[str, str]:
    return {
        "Mood": "Ind",
        "Number": agreement.number,
        "Person": agreement.person,
        "Tense": "Past" if past else "Pres",
        "VerbForm": "Fin",
    }


def _finite_tag(agreement: Agreement, *, past: bool) -> str:
    return "VBD" if past else "VBZ" if agreement.is_third_singular else "VBP"


def _be(agreement: Agreement, *, past: bool, upos: str, deprel: str) -> Word:
    singular = agreement.number == "Sing" and agreement.person != "2"
    if past:
        form = "was" if singular else "were"
    else:
        form = "is" if agreement.is_third_singular else "am" if singular else "are"
    tag = _finite_tag(agreement, past=past)
    return make(form, upos, tag, deprel, lemma="be", **_finite_features(agreement, past=past))


def _have(agreement: Agreement, *, past: bool) -> Word:
    form = "had" if past else "has" if agreement.is_third_singular else "have"
    return make(
        form, "AUX", _finite_tag(agreement, past=past), "aux", lemma="have", **_finite_features(agreement, past=past)
    )


def _do(agreement: Agreement, *, past: bool) -> Word:
    form = "did" if past else "does" if agreement.is_third_singular else "do"
    return make(
        form, "AUX", _finite_tag(agreement, past=past), "aux", lemma="do", **_finite_features(agreement, past=past)
    )


def _modal(form: str) -> Word:
    return make(form, "AUX", "MD", "aux", VerbForm="Fin")


def _clitic_not() -> Word:
    return as_clitic(closed.negation(short=True), "n't")


def _before_not(auxiliary: Word) -> Word:
    """`will` and `can` lose letters before `n't`."""
    form = BEFORE_NOT.get(auxiliary.form)
    return (
        auxiliary
        if form is None
        else Word(
            form=form,
            lemma=auxiliary.lemma,
            upos=auxiliary.upos,
            xpos=auxiliary.xpos,
            feats=auxiliary.feats,
            deprel=auxiliary.deprel,
        )
    )


def _relative(form: str, deprel: str) -> Word:
    return make(form, "PRON", "WP" if form == "who" else "WDT", deprel, PronType="Rel")
