"""Annotations of words: tags, features, lemmas, heads and relations. Counts whole columns at once.

A word whose reference annotation is missing counts nowhere: neither as a reference word nor, when a predicted word
covers nothing else, as a predicted one. A predicted word without an annotation counts as wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from frostline.evaluation.alignment import WordAlignment
from frostline.evaluation.counts import Counts
from frostline.evaluation.inputs import MISSING, BoolArray, Column, IntArray, ScoredDoc

# Features of Universal Dependencies that count in the shared task's scorer; treebanks' own ones do not.
UNIVERSAL_FEATURES = frozenset(
    {"PronType", "NumType", "Poss", "Reflex", "Foreign", "Abbr"}  # of the lexeme
    | {"Gender", "Animacy", "Number", "Case", "Definite", "Degree"}  # of nouns
    | {"VerbForm", "Mood", "Tense", "Aspect", "Voice", "Evident", "Polarity", "Person", "Polite"}  # of verbs
)

Marks = tuple[BoolArray, BoolArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCounts:
    """Counts of one metric in one document, and per label: right words and reference words."""

    counts: Counts
    by_label: Mapping[str, Counts] = field(default_factory=dict)


def as_written(value: str) -> str:
    """The label itself."""
    return value


@lru_cache(maxsize=65536)
def universal_feats(value: str) -> str:
    """Only the universal features of 'Case=Nom|Number=Sing', sorted; '' when there is none."""
    return "|".join(sorted(feat for feat in value.split("|") if feat.split("=", 1)[0] in UNIVERSAL_FEATURES))


@lru_cache(maxsize=65536)
def without_subtype(relation: str) -> str:
    """'nsubj' of 'nsubj:pass'."""
    return relation.split(":", 1)[0]


def count_labels(
    gold: Column, system: Column | None, words: WordAlignment, *, read: Callable[[str], str] = as_written
) -> LabelCounts:
    """Compare one column of labels; `read` says what of a label counts."""
    gold_codes, system_codes, table = _shared_codes(gold, system, words, read)
    is_right = gold_codes[words.gold_words] == system_codes[words.system_words]
    return _tally(gold_codes, is_right, words, table)


def count_lemmas(gold: Column, system: Column | None, words: WordAlignment) -> LabelCounts:
    """Compare lemmas. A reference word with no lemma ('_' in CoNLL-U) is right whatever was predicted.

    Without figures per lemma: there are as many as words.
    """
    gold_codes, system_codes, table = _shared_codes(gold, system, words, as_written)
    takes_any = np.array([lemma in ("", "_") for lemma in table], dtype=bool)
    paired = gold_codes[words.gold_words]
    is_right = (paired == system_codes[words.system_words]) | (takes_any[paired] & (paired != MISSING))
    return LabelCounts(counts=_tally(gold_codes, is_right, words, table).counts)


def count_feats(gold: Column, system: Column | None, words: WordAlignment) -> LabelCounts:
    """Compare the sets of universal features; per label are single features, such as Number.

    A word counts under a feature when the reference gives it one, and is right there when the value is the same.
    """
    gold_codes, system_codes, table = _shared_codes(gold, system, words, universal_feats)
    paired_gold, paired_system = gold_codes[words.gold_words], system_codes[words.system_words]
    whole = _tally(gold_codes, paired_gold == paired_system, words, table)
    n_gold: dict[str, int] = {}
    n_correct: dict[str, int] = {}
    for code, n_words in zip(*(a.tolist() for a in np.unique(gold_codes, return_counts=True)), strict=True):
        for feature in _features(table, code):
            n_gold[feature] = n_gold.get(feature, 0) + n_words
    combinations, amounts = np.unique(np.stack([paired_gold, paired_system]), axis=1, return_counts=True)
    for (gold_code, system_code), n_words in zip(combinations.T.tolist(), amounts.tolist(), strict=True):
        predicted = _features(table, system_code)
        for feature, value in _features(table, gold_code).items():
            n_correct[feature] = n_correct.get(feature, 0) + n_words * (predicted.get(feature) == value)
    by_label = {name: Counts(n_correct=n_correct.get(name, 0), n_gold=n) for name, n in n_gold.items()}
    return LabelCounts(counts=whole.counts, by_label=by_label)


def count_tree(reference: ScoredDoc, predicted: ScoredDoc, words: WordAlignment) -> dict[str, LabelCounts]:
    """Compare heads ('uas'), and heads with relations without and with subtypes ('las', 'las_full').

    A head is right when it is the word that stands for the reference's head, or when both are roots.
    """
    if reference.heads is None:
        return {}
    gold_heads = np.asarray(reference.heads, dtype=np.int64)
    heads = _right_heads(gold_heads, predicted, words)
    known = np.where(gold_heads == MISSING, MISSING, 0)
    found = {"uas": _tally(known, heads, words, ("",), by_label=False)}
    if reference.deprels is None:
        return found
    for metric, read in (("las", without_subtype), ("las_full", as_written)):
        gold, system, table = _shared_codes(reference.deprels, predicted.deprels, words, read)
        gold = np.where(gold_heads == MISSING, MISSING, gold)
        is_right = heads & (gold[words.gold_words] == system[words.system_words])
        found[metric] = _tally(gold, is_right, words, table, by_label=metric == "las")
    return found


def _right_heads(gold_heads: IntArray, predicted: ScoredDoc, words: WordAlignment) -> BoolArray:
    """(n_pairs,) True where the predicted word hangs where the reference word does."""
    if predicted.heads is None:
        return np.zeros(len(words.gold_words), dtype=bool)
    system_heads = np.asarray(predicted.heads, dtype=np.int64)
    gold, system = gold_heads[words.gold_words], system_heads[words.system_words]
    gold_is_root, system_is_root = gold == words.gold_words, system == words.system_words
    same = (system != MISSING) & (words.gold_of_system[system] == gold)
    return np.asarray(np.where(gold_is_root | system_is_root, gold_is_root & system_is_root, same))


def _shared_codes(
    gold: Column, system: Column | None, words: WordAlignment, read: Callable[[str], str]
) -> tuple[IntArray, IntArray, tuple[str, ...]]:
    """Both columns in codes of one table of what `read` makes of the labels; missing stays -1."""
    numbers: dict[str, int] = {}
    gold_codes = _recode(gold, read, numbers)
    if system is None:
        system_codes = np.full(words.n_system, MISSING, dtype=np.int64)
    else:
        system_codes = _recode(system, read, numbers)
    return gold_codes, system_codes, tuple(numbers)


def _recode(column: Column, read: Callable[[str], str], numbers: dict[str, int]) -> IntArray:
    used, inverse = np.unique(np.asarray(column.codes, dtype=np.int64), return_inverse=True)
    table = column.table
    renumbered = [
        MISSING if code < 0 else numbers.setdefault(read(table[code]), len(numbers)) for code in used.tolist()
    ]
    return np.array(renumbered, dtype=np.int64)[inverse]


def _tally(
    gold_codes: IntArray, is_right: BoolArray, words: WordAlignment, table: tuple[str, ...], *, by_label: bool = True
) -> LabelCounts:
    """Counts of a metric; gold_codes (n_gold_words,), is_right (n_pairs,)."""
    known = gold_codes != MISSING
    right_codes = gold_codes[words.gold_words][is_right]
    right_codes = right_codes[right_codes != MISSING]
    counts = Counts(
        n_correct=len(right_codes),
        n_gold=int(known.sum()),
        n_system=words.n_system if known.all() else int(words.touching(known).sum()),
    )
    if not by_label:
        return LabelCounts(counts=counts)
    n_gold = np.bincount(gold_codes[known], minlength=len(table)).tolist()
    n_correct = np.bincount(right_codes, minlength=len(table)).tolist()
    labels = {
        label or "_": Counts(n_correct=right, n_gold=total)
        for label, right, total in zip(table, n_correct, n_gold, strict=True)
        if total
    }
    return LabelCounts(counts=counts, by_label=labels)


def _features(table: tuple[str, ...], code: int) -> dict[str, str]:
    if code == MISSING or not table[code]:
        return {}
    return dict(feat.split("=", 1) for feat in table[code].split("|") if "=" in feat)
