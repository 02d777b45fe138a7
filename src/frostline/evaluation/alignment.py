"""Which predicted word stands for which reference word, when the two were cut differently.

The rule is that of the CoNLL 2018 shared task, so that figures can be compared with everybody's. Positions count
characters without white space. A word that is its own token matches the word with the same span. Words of multiword
tokens have no span of their own: all words that lie inside a smallest region of touching multiword tokens (of either
side) are matched in order by their lower-cased forms, along a longest common subsequence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.errors import CorpusError
from frostline.evaluation.inputs import MISSING, BoolArray, IntArray, ScoredDoc, strings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WordAlignment:
    """Pairs of words, and both sides' places in one coordinate system.

    With `is_identity` the coordinates are token numbers, otherwise characters without white space.
    """

    is_identity: bool
    gold_words: IntArray  # (n_pairs,) rising numbers of reference words
    system_words: IntArray  # (n_pairs,) the predicted word for each
    gold_of_system: IntArray  # (n_system_words,) reference word, or -1
    gold_starts: IntArray  # (n_gold_words,)
    gold_ends: IntArray
    system_starts: IntArray  # (n_system_words,)
    system_ends: IntArray

    @property
    def n_gold(self) -> int:
        return len(self.gold_starts)

    @property
    def n_system(self) -> int:
        return len(self.system_starts)

    def touching(self, gold_mask: BoolArray) -> BoolArray:
        """(n_system_words,) True where the predicted word shares characters with a reference word in `gold_mask`."""
        if self.is_identity:
            return gold_mask
        length = int(max(self.gold_ends.max(initial=0), self.system_ends.max(initial=0)))
        steps = np.zeros(length + 1, dtype=np.int64)
        np.add.at(steps, self.gold_starts[gold_mask], 1)
        np.add.at(steps, self.gold_ends[gold_mask], -1)
        covered = np.concatenate([[0], np.cumsum(np.cumsum(steps) > 0)])
        return np.asarray(covered[self.system_ends] > covered[self.system_starts])


def align_words(reference: ScoredDoc, predicted: ScoredDoc) -> WordAlignment:
    """Align the words of two docs over the same characters.

    Raises:
        CorpusError: the two texts differ in more than white space.
    """
    if _same_words(reference, predicted):
        return _identity(len(reference))
    _check_same_characters(reference, predicted)
    gold = _Side.of(reference)
    system = _Side.of(predicted)
    pairs = _pair(gold, system)
    gold_words = np.array([g for g, _ in pairs], dtype=np.int64)
    system_words = np.array([s for _, s in pairs], dtype=np.int64)
    gold_of_system = np.full(len(predicted), MISSING, dtype=np.int64)
    gold_of_system[system_words] = gold_words
    return WordAlignment(
        is_identity=False,
        gold_words=gold_words,
        system_words=system_words,
        gold_of_system=gold_of_system,
        gold_starts=np.array(gold.starts, dtype=np.int64),
        gold_ends=np.array(gold.ends, dtype=np.int64),
        system_starts=np.array(system.starts, dtype=np.int64),
        system_ends=np.array(system.ends, dtype=np.int64),
    )


def _same_words(reference: ScoredDoc, predicted: ScoredDoc) -> bool:
    if len(reference) != len(predicted) or reference.text != predicted.text:
        return False
    same_place = np.array_equal(reference.starts, predicted.starts) and np.array_equal(reference.ends, predicted.ends)
    return same_place and (reference.words is predicted.words or strings(reference.words) == strings(predicted.words))


def _identity(n_words: int) -> WordAlignment:
    numbers = np.arange(n_words, dtype=np.int64)
    return WordAlignment(
        is_identity=True,
        gold_words=numbers,
        system_words=numbers,
        gold_of_system=numbers,
        gold_starts=numbers,
        gold_ends=numbers + 1,
        system_starts=numbers,
        system_ends=numbers + 1,
    )


def _check_same_characters(reference: ScoredDoc, predicted: ScoredDoc) -> None:
    gold, system = "".join(reference.text.split()), "".join(predicted.text.split())
    if gold == system:
        return
    place = next((i for i, (a, b) in enumerate(zip(gold, system, strict=False)) if a != b), min(len(gold), len(system)))
    raise CorpusError(
        f"The predicted text differs from the reference: '{system[place : place + 20]}' "
        f"where the reference has '{gold[place : place + 20]}'.",
        where=f"document '{reference.doc_id}', character {place} without white space",
        fix="Predict over the reference's own text; only white space and token borders may differ.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One doc's words in characters without white space."""

    starts: list[int]
    ends: list[int]
    is_multiword: list[bool]
    forms: list[str]

    @staticmethod
    def of(doc: ScoredDoc) -> _Side:
        solid = np.fromiter((not character.isspace() for character in doc.text), dtype=np.int64, count=len(doc.text))
        position = np.concatenate([[0], np.cumsum(solid)])
        starts, ends = position[doc.starts], position[doc.ends]
        shares_with_next = (starts[1:] == starts[:-1]) & (ends[1:] == ends[:-1])
        is_multiword = np.zeros(len(doc), dtype=bool)
        is_multiword[1:] |= shares_with_next
        is_multiword[:-1] |= shares_with_next
        return _Side(
            starts=starts.tolist(),
            ends=ends.tolist(),
            is_multiword=is_multiword.tolist(),
            forms=[(form or "").lower() for form in strings(doc.words)],
        )

    def inside(self, first: int, start: int, end: int) -> range:
        """Numbers of the words within [start, end), looked for from word `first` on."""
        while first < len(self.starts) and self.starts[first] < start:
            first += 1
        last = first
        while last < len(self.starts) and self.ends[last] <= end:
            last += 1
        return range(first, last)

    def multiword_spans(self) -> list[tuple[int, int]]:
        """The multiword tokens' spans, in order."""
        return [
            (start, end) for start, end, multi in zip(self.starts, self.ends, self.is_multiword, strict=True) if multi
        ]


def _pair(gold: _Side, system: _Side) -> list[tuple[int, int]]:
    """Pairs (reference word, predicted word), rising on both sides."""
    pairs: list[tuple[int, int]] = []
    g = s = 0
    for start, end in [*_regions(gold, system), (None, None)]:
        g, s = _pair_by_span(gold, system, g, s, start, pairs)
        if start is None or end is None:
            break
        inside_gold, inside_system = gold.inside(g, start, end), system.inside(s, start, end)
        pairs += _pair_by_form(gold, system, inside_gold, inside_system)
        g, s = inside_gold.stop, inside_system.stop
    return pairs


def _regions(gold: _Side, system: _Side) -> list[tuple[int, int]]:
    """The multiword tokens of both sides, those that overlap joined, in order."""
    regions: list[tuple[int, int]] = []
    for start, end in sorted({*gold.multiword_spans(), *system.multiword_spans()}):
        if regions and start < regions[-1][1]:
            regions[-1] = (regions[-1][0], max(regions[-1][1], end))
        else:
            regions.append((start, end))
    return regions


def _pair_by_span(
    gold: _Side, system: _Side, g: int, s: int, stop: int | None, pairs: list[tuple[int, int]]
) -> tuple[int, int]:
    """Pair words with equal spans until one side reaches `stop`; return the next words' numbers."""
    n_gold, n_system = len(gold.starts), len(system.starts)
    while g < n_gold and s < n_system:
        gold_start, system_start = gold.starts[g], system.starts[s]
        if stop is not None and (gold_start >= stop or system_start >= stop):
            break
        if gold_start == system_start and gold.ends[g] == system.ends[s]:
            pairs.append((g, s))
            g, s = g + 1, s + 1
        elif gold_start <= system_start:
            g += 1
        else:
            s += 1
    return g, s


def _pair_by_form(gold: _Side, system: _Side, golds: range, systems: range) -> list[tuple[int, int]]:
    """Pair words along a longest common subsequence of their forms; of several, the one that drops gold words first."""
    longest = [[0] * (len(systems) + 1) for _ in range(len(golds) + 1)]
    for i in reversed(range(len(golds))):
        for j in reversed(range(len(systems))):
            same = gold.forms[golds[i]] == system.forms[systems[j]]
            longest[i][j] = max(longest[i + 1][j], longest[i][j + 1], longest[i + 1][j + 1] + 1 if same else 0)
    pairs = []
    i = j = 0
    while i < len(golds) and j < len(systems):
        if gold.forms[golds[i]] == system.forms[systems[j]]:
            pairs.append((golds[i], systems[j]))
            i, j = i + 1, j + 1
        elif longest[i][j] == longest[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs
