"""Stretches of text: sentences and named entities. A span is right when both ends (and the label) are.

Where the reference does not say, nothing counts: a reference sentence that runs into the unknown, and a predicted span
that touches it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from frostline.evaluation.alignment import WordAlignment
from frostline.evaluation.counts import Counts
from frostline.evaluation.inputs import MISSING, BoolArray, Column, IntArray, ScoredDoc, strings
from frostline.evaluation.labels import LabelCounts

TokenSpan = tuple[int, int, str]  # first token, token after the last, label


def count_words(words: WordAlignment) -> Counts:
    """How well the words were cut out of the text."""
    return Counts(n_correct=len(words.gold_words), n_gold=words.n_gold, n_system=words.n_system)


def count_sentences(reference: ScoredDoc, predicted: ScoredDoc, words: WordAlignment) -> LabelCounts | None:
    """Compare sentences; None when the reference has no sentence starts."""
    if reference.sent_starts is None:
        return None
    gold_starts = np.asarray(reference.sent_starts, dtype=np.int64)
    gold = _sentences(gold_starts)
    system = []
    if predicted.sent_starts is not None:
        system = _sentences(np.asarray(predicted.sent_starts, dtype=np.int64))
    return _count(gold, system, gold_starts != MISSING, words)


def count_entities(reference: ScoredDoc, predicted: ScoredDoc, words: WordAlignment) -> LabelCounts | None:
    """Compare named entities, and per label; None when the reference has no entities column."""
    if reference.ents is None:
        return None
    system = [] if predicted.ents is None else entities(predicted.ents)
    known = np.asarray(reference.ents.codes, dtype=np.int64) != MISSING
    return _count(entities(reference.ents), system, known, words)


def entities(tags: Column) -> list[TokenSpan]:
    """Entities in 'B-X', 'I-X', 'O' tags. An I- that continues nothing of its label begins an entity."""
    found: list[TokenSpan] = []
    start, label = 0, ""
    for number, tag in enumerate([*strings(tags), "O"]):
        border, _, name = (tag or "O").partition("-")
        if label and not (border == "I" and name == label):
            found.append((start, number, label))
            label = ""
        if border in ("B", "I") and not label:
            start, label = number, name
    return found


def _sentences(starts: IntArray) -> list[TokenSpan]:
    """Sentences of a doc; those with an unknown border or word inside are left out."""
    borders = [0, *(np.flatnonzero(starts[1:] == 1) + 1).tolist(), len(starts)] if len(starts) else []
    unknown = starts == MISSING
    unknown[:1] = False  # a doc begins with a sentence, said or not
    return [(first, last, "") for first, last in pairwise(borders) if not unknown[first:last].any()]


def _count(gold: list[TokenSpan], system: list[TokenSpan], known: BoolArray, words: WordAlignment) -> LabelCounts:
    gold_placed = [_placed(span, words.gold_starts, words.gold_ends) for span in gold]
    system_placed = [_placed(span, words.system_starts, words.system_ends) for span in system]
    if not known.all():
        in_the_dark = words.touching(~known)
        system_placed = [
            placed
            for placed, (first, last, _) in zip(system_placed, system, strict=True)
            if not in_the_dark[first:last].any()
        ]
    right = Counter(gold_placed) & Counter(system_placed)
    n_correct, n_gold, n_system = (_per_label(found) for found in (right.elements(), gold_placed, system_placed))
    by_label = {
        label: Counts(n_correct=n_correct[label], n_gold=n_gold[label], n_system=n_system[label])
        for label in sorted({*n_gold, *n_system})
        if label
    }
    counts = Counts(n_correct=right.total(), n_gold=len(gold_placed), n_system=len(system_placed))
    return LabelCounts(counts=counts, by_label=by_label)


def _per_label(placed: Iterable[TokenSpan]) -> Counter[str]:
    return Counter(label for _, _, label in placed)


def _placed(span: TokenSpan, starts: IntArray, ends: IntArray) -> TokenSpan:
    first, last, label = span
    return int(starts[first]), int(ends[last - 1]), label
