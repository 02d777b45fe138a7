"""The word alignment beside a brute-force one written from the shared task's description."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from frostline.evaluation import align_words
from frostline.tokens import Doc, StringColumn

Cut = list[tuple[int, int, list[str]]]  # surface tokens: start, end, word forms


@st.composite
def cuts(draw: st.DrawFn, length: int) -> Cut:
    """A way to cut `length` characters into tokens, some of several words."""
    borders = [0, *(i for i in range(1, length) if draw(st.booleans())), length]
    tokens = []
    for start, end in pairwise(borders):
        n_words = draw(st.sampled_from([1, 1, 1, 2, 3])) if end - start > 1 else 1
        forms = [draw(st.sampled_from("pqrP")) for _ in range(n_words)] if n_words > 1 else ["?"]
        tokens.append((start, end, forms))
    return tokens


pairs_of_cuts = st.integers(1, 9).flatmap(lambda length: st.tuples(cuts(length), cuts(length)))


def as_doc(cut: Cut, gap: str) -> Doc:
    """Letters a, b, c… with `gap` between tokens."""
    text, starts, ends, forms = "", [], [], []
    for start, end, words in cut:
        letters = "".join(chr(ord("a") + i) for i in range(start, end))
        for word in words:
            starts.append(len(text))
            ends.append(len(text) + len(letters))
            forms.append(letters if word == "?" else word)
        text += letters + gap
    return Doc(text, StringColumn.from_values(forms), starts, ends)


def brute_force(gold: Cut, system: Cut) -> tuple[set[tuple[int, int]], list[tuple[set[int], set[int], int]]]:
    """Pairs outside multiword spans, and for each span both sides' words and how many pairs it must have."""
    spans = [set(range(start, end)) for start, end, words in gold + system if len(words) > 1]
    merged = True
    while merged:
        merged = False
        for one, other in combinations(spans, 2):
            if one & other:
                spans = [span for span in spans if span is not one and span is not other] + [one | other]
                merged = True
                break
    sides = [[(set(range(s, e)), form, (s, e)) for s, e, words in cut for form in words] for cut in (gold, system)]
    inside = []
    for span in spans:
        words = [{i for i, (chars, _, _) in enumerate(side) if chars <= span} for side in sides]
        forms = [[_form(sides[k][i]) for i in sorted(words[k])] for k in (0, 1)]
        inside.append((words[0], words[1], _longest_common(*forms)))
    outside = {
        (g, s)
        for g, (gold_chars, _, gold_span) in enumerate(sides[0])
        for s, (_, _, system_span) in enumerate(sides[1])
        if gold_span == system_span and not any(gold_chars & span for span in spans)
    }
    return outside, inside


def _form(word: tuple[set[int], str, tuple[int, int]]) -> str:
    chars, form, _ = word
    return "".join(chr(ord("a") + i) for i in sorted(chars)) if form == "?" else form.lower()


def _longest_common(left: list[str], right: list[str]) -> int:
    for n in range(min(len(left), len(right)), 0, -1):
        others = {tuple(right[i] for i in chosen) for chosen in combinations(range(len(right)), n)}
        if any(tuple(left[i] for i in chosen) in others for chosen in combinations(range(len(left)), n)):
            return n
    return 0


@settings(max_examples=400, deadline=None)
@given(pairs_of_cuts, st.sampled_from(["", " ", "\u00a0 \n"]))
def test_words_align_as_the_description_says(both: tuple[Cut, Cut], gap: str) -> None:
    gold, system = both
    outside, inside = brute_force(gold, system)

    found = align_words(as_doc(gold, " "), as_doc(system, gap))

    pairs = list(zip(found.gold_words.tolist(), found.system_words.tolist(), strict=True))
    assert pairs == sorted(pairs) and sorted(s for _, s in pairs) == [s for _, s in pairs]
    if found.is_identity:
        assert len(pairs) == len(found.gold_starts)
        return
    in_spans = set()
    for gold_words, system_words, n_pairs in inside:
        here = [(g, s) for g, s in pairs if g in gold_words and s in system_words]
        assert len(here) == n_pairs
        in_spans |= set(here)
    assert set(pairs) - in_spans == outside


@settings(max_examples=100, deadline=None)
@given(pairs_of_cuts, st.data())
def test_a_predicted_word_touches_the_reference_words_it_shares_characters_with(
    both: tuple[Cut, Cut], data: st.DataObject
) -> None:
    found = align_words(as_doc(both[0], ""), as_doc(both[1], " "))
    mask = data.draw(st.lists(st.booleans(), min_size=found.n_gold, max_size=found.n_gold))

    touched = found.touching(np.array(mask, dtype=bool)).tolist()

    places = list(zip(found.gold_starts, found.gold_ends, mask, strict=True))
    expected = [
        any(chosen and start < e and s < end for start, end, chosen in places)
        for s, e in zip(found.system_starts, found.system_ends, strict=True)
    ]
    assert touched == (mask if found.is_identity else expected)
