"""Alignment of different tokenizations of one text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tokens.strategies import tokenizations

from frostline.tokens import Doc, Example, StringColumn, align

TEXTS = st.text(alphabet="ab cA", min_size=1, max_size=14).map(str.strip).filter(bool)


@st.composite
def pairs(draw: Any) -> tuple[Doc, Doc]:
    text = draw(TEXTS)
    return draw(tokenizations(text)), draw(tokenizations(text))


@given(pairs())
def test_pairs_run_both_ways_keep_order_and_share_a_cluster(both: tuple[Doc, Doc]) -> None:
    left, right = both

    found = align(left, right)

    forth, back = found.left_to_right.tolist(), found.right_to_left.tolist()
    matched = [j for j in forth if j >= 0]
    assert matched == sorted(set(matched))
    assert all(back[j] == i for i, j in enumerate(forth) if j >= 0)
    assert all(forth[i] == j for j, i in enumerate(back) if i >= 0)
    assert all(found.left_clusters[i] == found.right_clusters[j] for i, j in enumerate(forth) if j >= 0)


@given(pairs())
def test_clusters_cover_the_same_characters_on_both_sides(both: tuple[Doc, Doc]) -> None:
    left, right = both

    found = align(left, right)

    assert set(found.left_clusters.tolist()) == set(found.right_clusters.tolist())
    for cluster in set(found.left_clusters.tolist()):
        covered = []
        for doc, clusters in ((left, found.left_clusters), (right, found.right_clusters)):
            rows = np.flatnonzero(clusters == cluster)
            covered.append((int(doc.starts[rows].min()), int(doc.ends[rows].max())))
        assert covered[0] == covered[1]


@given(pairs())
def test_words_with_the_same_span_alone_on_both_sides_are_one_word(both: tuple[Doc, Doc]) -> None:
    left, right = both
    found = align(left, right)
    spans = [list(zip(doc.starts.tolist(), doc.ends.tolist(), strict=True)) for doc in both]

    for i, span in enumerate(spans[0]):
        if spans[0].count(span) == 1 and spans[1].count(span) == 1:
            assert found.left_to_right[i] == spans[1].index(span)


@given(TEXTS.flatmap(tokenizations))
def test_a_tokenization_aligns_with_itself_as_it_is(doc: Doc) -> None:
    assert align(doc, doc.copy()).is_identity


def test_one_to_many_and_many_to_one_are_missing_on_the_way_and_listed_as_clusters() -> None:
    predicted = Doc.from_words(["New", "York", "isn't", "big"], [True, True, True, False])
    reference = Doc.from_words(["New York", "is", "n't", "big"], [True, False, True, False],
                               upos=["PROPN", "AUX", "PART", "ADJ"])
    example = Example(predicted, reference)

    assert example.aligned("upos").values() == [None, None, None, "ADJ"]
    assert example.alignment.right_of(0) == range(1) and example.alignment.right_of(2) == range(1, 3)
    assert example.alignment.left_of(0) == range(2)
    assert example.alignment.right_range(0, 2) == (0, 1) and example.alignment.right_range(0, 1) is None


def test_words_of_a_multiword_token_pair_up_by_form() -> None:
    text = "I don't"
    shared = Doc(text, StringColumn.from_values(["I", "do", "n't"]), [0, 2, 2], [1, 7, 7],
                 upos=StringColumn.from_values(["PRON", "AUX", "PART"]))
    separate = Doc.from_words(["I", "do", "n't"], [True, False, False])

    assert Example(separate, shared).aligned("upos").values() == ["PRON", "AUX", "PART"]


def test_white_space_may_differ_and_nothing_else() -> None:
    reference = Doc.from_words(["a", "b"], upos=["X", "Y"])

    assert Example(Doc.from_words(["a", "b"], [False, False]), reference).aligned("upos").values() == ["X", "Y"]
    with pytest.raises(ValueError, match="texts differ"):
        _ = Example(Doc.from_words(["a", "c"]), reference).alignment


def test_equal_tokens_take_the_reference_column_itself() -> None:
    reference = Doc.from_words(["a", "b"], upos=["X", None])
    example = Example.of(reference)

    assert example.aligned("upos") is reference.upos
    assert example.aligned("xpos").values() == [None, None]


def test_entities_are_carried_over_where_their_borders_are() -> None:
    predicted = Doc.from_words(["New", "York", "and", "Los Angeles-based"])
    reference = Doc.from_words(["New York", "and", "Los", "Angeles", "-based"], [True, True, True, False, False],
                               ents=["B-LOC", "O", "B-LOC", "I-LOC", "O"])

    assert Example(predicted, reference).aligned_ents().values() == ["B-LOC", "I-LOC", "O", None]


def test_heads_and_sentence_starts_are_carried_over() -> None:
    predicted = Doc.from_words(["a", "b", "cd"])
    reference = Doc.from_words(["a", "b", "c", "d"], [True, True, False, False], heads=[1, 1, 1, 0],
                               sent_starts=[1, 0, 1, 0])
    example = Example(predicted, reference)

    assert example.aligned_heads() == [1, 1, -1]
    assert example.aligned_sent_starts() == [1, 0, 1]
    assert Example.of(reference).aligned_heads() == [1, 1, 1, 0]
