"""The function words of the sample world: those of English, with the tags and features of UD English EWT."""

from __future__ import annotations

from dataclasses import dataclass

from sample_world.words import Word, make


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What a subject asks of its verb."""

    number: str  # Sing or Plur
    person: str  # 1, 2 or 3

    @property
    def is_third_singular(self) -> bool:
        """Whether a verb in the present takes -s."""
        return self.number == "Sing" and self.person == "3"


SINGULAR = Agreement(number="Sing", person="3")
PLURAL = Agreement(number="Plur", person="3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pronoun:
    """A personal pronoun in its three cases."""

    nominative: str
    accusative: str
    possessive: str
    agreement: Agreement
    gender: str | None = None


PRONOUNS = {
    row[0]: Pronoun(
        nominative=row[0],
        accusative=row[1],
        possessive=row[2],
        agreement=Agreement(number=row[3], person=row[4]),
        gender=row[5],
    )
    for row in (
        ("I", "me", "my", "Sing", "1", None),
        ("you", "you", "your", "Sing", "2", None),
        ("he", "him", "his", "Sing", "3", "Masc"),
        ("she", "her", "her", "Sing", "3", "Fem"),
        ("it", "it", "its", "Sing", "3", "Neut"),
        ("we", "us", "our", "Plur", "1", None),
        ("they", "them", "their", "Plur", "3", None),
    )
}

PREPOSITIONS = (
    ("of", 3), ("in", 8), ("on", 6), ("at", 4), ("with", 5), ("from", 4), ("for", 5), ("to", 4), ("by", 2),
    ("under", 2), ("over", 2), ("near", 2), ("after", 1.5), ("before", 1.5), ("through", 1.5), ("about", 1.5),
    ("like", 1), ("since", 0.5),
)  # fmt: skip
PARTICLES = ("up", "out", "off", "down", "over", "in", "on", "back")
SUBORDINATORS = (
    ("because", 4), ("when", 4), ("if", 4), ("while", 2), ("after", 2.5), ("before", 2.5), ("since", 1.5), ("as", 2.5),
    ("until", 1), ("though", 1),
)  # fmt: skip
DEGREES = (("very", 5), ("so", 3), ("too", 2), ("more", 3), ("most", 1), ("as", 0.5), ("rather", 1))
PLAIN_ADVERBS = (
    ("now", 4), ("then", 4), ("here", 3), ("there", 3), ("again", 3), ("often", 2), ("never", 2), ("soon", 2),
    ("still", 3), ("back", 2), ("well", 2), ("just", 2), ("also", 2), ("only", 2), ("early", 2), ("fast", 2),
    ("right", 1), ("long", 1),
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUMBERS = ("two", "three", "four", "five", "six", "ten", "twelve", "20", "35", "100", "1,500")
MODALS = (("will", 4), ("would", 3), ("can", 4), ("could", 2), ("may", 1.5), ("must", 2), ("should", 2), ("might", 1))
CONJUNCTIONS = (("and", 7), ("or", 2), ("but", 2))


def pronoun_word(pronoun: Pronoun, *, case: str, deprel: str) -> Word:
    """A personal pronoun; `case` is Nom, Acc or Gen (the possessive)."""
    form = {"Nom": pronoun.nominative, "Acc": pronoun.accusative, "Gen": pronoun.possessive}[case]
    both = pronoun.nominative in ("you", "it") and case != "Gen"
    return make(
        form,
        "PRON",
        "PRP$" if case == "Gen" else "PRP",
        deprel,
        lemma=pronoun.possessive if case == "Gen" else pronoun.nominative,
        Case=None if pronoun.nominative == "you" and both else case,
        Gender=pronoun.gender,
        Number=None if pronoun.nominative == "you" else pronoun.agreement.number,
        Person=pronoun.agreement.person,
        Poss="Yes" if case == "Gen" else None,
        PronType="Prs",
    )


def article(form: str) -> Word:
    """`the`, or `a` (which `nominals` turns into `an` where the next word asks for it)."""
    return make(form, "DET", "DT", "det", Definite="Def" if form == "the" else "Ind", PronType="Art")


def demonstrative(*, plural: bool, near: bool, deprel: str = "det") -> Word:
    """this, that, these or those: a determiner, or a pronoun in any other relation."""
    form = {(False, True): "this", (False, False): "that", (True, True): "these", (True, False): "those"}[plural, near]
    return make(
        form,
        "DET" if deprel == "det" else "PRON",
        "DT",
        deprel,
        lemma="this" if near else "that",
        Number="Plur" if plural else "Sing",
        PronType="Dem",
    )


def quantifier(form: str) -> Word:
    """some, any, every, each, no, all."""
    kind = {"every": "Tot", "each": "Tot", "all": "Tot", "no": "Neg"}.get(form, "Ind")
    return make(form, "DET", "DT", "det", PronType=kind)


def preposition(form: str) -> Word:
    """A preposition on its noun phrase; `to` has a tag of its own in the Penn set, here as in EWT it is IN."""
    return make(form, "ADP", "IN", "case")


def subordinator(form: str) -> Word:
    """because, if, that …; `when` is an adverb in UD."""
    if form == "when":
        return make(form, "ADV", "WRB", "advmod", PronType="Int")
    return make(form, "SCONJ", "IN", "mark")


def infinitive_to() -> Word:
    """The `to` of an infinitive."""
    return make("to", "PART", "TO", "mark")


def negation(*, short: bool) -> Word:
    """`not`, or the `n't` that is written on to an auxiliary."""
    return make("n't" if short else "not", "PART", "RB", "advmod", lemma="not", Polarity="Neg")


def conjunction(form: str) -> Word:
    """and, or, but."""
    return make(form, "CCONJ", "CC", "cc")


def adverb(form: str, *, degree: str | None = None, lemma: str | None = None) -> Word:
    """An adverb; degree is Pos, Cmp, Sup or None."""
    kind = {"now": "Dem", "then": "Dem", "here": "Dem", "there": "Dem", "never": "Neg"}.get(form)
    xpos = {"more": "RBR", "most": "RBS"}.get(form, "RB")
    return make(form, "ADV", xpos, "advmod", lemma=lemma, Degree=degree, PronType=kind)
