"""Exact expectations on docs small enough to count by hand."""

from __future__ import annotations

import pytest

from frostline.errors import CorpusError, UsageError
from frostline.evaluation import Scorer, score_docs
from frostline.evaluation.scorer import source_of
from frostline.tokens import Doc

WORDS = ["Ann", "sees", "New", "York", "."]


def doc(words: list[str] = WORDS, spaces: list[bool] | None = None, **annotations: object) -> Doc:
    return Doc.from_words(words, spaces, **annotations)  # type: ignore[arg-type]


def test_the_accuracy_is_the_share_of_right_words_and_is_broken_down_by_reference_label() -> None:
    scores = score_docs(
        [doc(xpos=["NNP", "VBZ", "NNP", "NNP", "."])],
        [doc(xpos=["NNP", "VBZ", "JJ", "NNP", ","])],
    )

    assert scores.metrics == {"xpos_acc": 3 / 5, "xpos_acc/NNP": 2 / 3, "xpos_acc/VBZ": 1.0, "xpos_acc/.": 0.0}
    assert (scores.n_docs, scores.n_words) == (1, 5)


def test_a_word_without_a_reference_annotation_is_not_counted() -> None:
    scores = score_docs([doc(upos=["PROPN", None, None, "PROPN", None])], [doc(upos=["PROPN", "X", "X", "X", "X"])])

    assert scores.metrics["upos_acc"] == 1 / 2


def test_a_word_without_a_prediction_is_wrong() -> None:
    scores = score_docs([doc(upos=["A", "B", "C", "D", "E"])], [doc(upos=["A", None, None, "D", None])])

    assert scores.metrics["upos_acc"] == 2 / 5


def test_an_annotation_that_nobody_predicts_has_no_key() -> None:
    reference = doc(xpos=["A"] * 5, upos=["B"] * 5, heads=[0] * 5, sent_starts=[1, 0, 0, 0, 0], ents=["O"] * 5)

    scores = score_docs([reference], [doc(upos=["B"] * 5)])

    assert scores.metrics == {"upos_acc": 1.0, "upos_acc/B": 1.0}
    assert [row.metric for row in scores.documents] == ["upos_acc"]


def test_a_doc_left_unpredicted_among_others_counts_as_wrong() -> None:
    reference = doc(upos=["B"] * 5)

    scores = score_docs([reference, reference], [doc(upos=["B"] * 5), doc()])

    assert scores.metrics["upos_acc"] == 1 / 2


def test_an_annotation_missing_from_the_references_has_no_key() -> None:
    scores = score_docs([doc()], [doc(xpos=["A"] * 5, ents=["O"] * 5)])

    assert scores.metrics == {}


def test_only_universal_features_count_and_their_order_does_not() -> None:
    gold = ["Case=Nom|Number=Sing", "Typo=Yes", "", "Number=Plur", None]
    predicted = ["Number=Sing|Case=Nom", "", "Style=Coll", "Number=Sing", "Number=Sing"]

    scores = score_docs([doc(feats=gold)], [doc(feats=predicted)])

    assert scores.metrics == {"feats_acc": 3 / 4, "feats_acc/Case": 1.0, "feats_acc/Number": 1 / 2}


def test_a_word_whose_lemma_is_none_takes_any_lemma() -> None:
    gold = ["Ann", "see", "", "_", None]

    scores = score_docs([doc(lemmas=gold)], [doc(lemmas=["ann", "see", "new", "york", "."])])

    assert scores.metrics == {"lemma_acc": 3 / 4}


def test_heads_and_relations_with_and_without_subtypes() -> None:
    gold = doc(heads=[1, 1, 3, 1, 1], deprels=["nsubj", "root", "compound", "obj", "punct"])
    predicted = doc(heads=[1, 1, 1, 1, 4], deprels=["nsubj:pass", "root", "compound", "iobj", "punct"])

    scores = score_docs([gold], [predicted])

    assert scores.metrics["uas"] == 3 / 5
    assert scores.metrics["las"] == 2 / 5
    assert scores.metrics["las_full"] == 1 / 5
    assert scores.metrics["las/nsubj"] == 1.0
    assert scores.metrics["las/obj"] == 0.0


def test_an_unknown_head_counts_nowhere_in_the_reference_and_is_wrong_in_the_prediction() -> None:
    scores = score_docs([doc(heads=[1, 1, -1, 1, -1])], [doc(heads=[-1, 1, 0, 1, 0])])

    assert scores.metrics["uas"] == 2 / 3


def test_entities_need_both_ends_and_the_label() -> None:
    gold = doc(ents=["B-PER", "O", "B-LOC", "I-LOC", "O"])
    predicted = doc(ents=["B-PER", "O", "B-LOC", "O", "B-PER"])

    scores = score_docs([gold], [predicted])

    assert scores.metrics["ents_p"] == 1 / 3
    assert scores.metrics["ents_r"] == 1 / 2
    assert scores.metrics["ents_f"] == 2 / 5
    assert scores.metrics["ents_p/PER"] == 1 / 2
    assert scores.metrics["ents_f/LOC"] == 0.0


def test_a_predicted_entity_where_the_reference_is_silent_is_not_counted() -> None:
    gold = doc(ents=["B-PER", "O", None, None, None])
    predicted = doc(ents=["B-PER", "O", "B-LOC", "I-LOC", "O"])

    assert score_docs([gold], [predicted]).metrics["ents_f"] == 1.0


def test_sentences_need_both_ends() -> None:
    gold = doc(sent_starts=[1, 0, 1, 0, 1])
    predicted = doc(sent_starts=[1, 0, 1, 0, 0])

    scores = score_docs([gold], [predicted])

    assert (scores.metrics["sents_p"], scores.metrics["sents_r"]) == (1 / 2, 1 / 3)


def test_with_other_tokens_the_accuracy_is_the_f_of_the_aligned_words() -> None:
    gold = doc(["ca", "n't", "stop"], [False, True, False], xpos=["MD", "RB", "VB"])
    predicted = doc(["can't", "stop"], [True, False], xpos=["MD", "VB"])

    scores = score_docs([gold], [predicted])

    assert scores.metrics["xpos_acc"] == 2 * 1 / (3 + 2)
    assert scores.metrics["words_p"] == 1 / 2
    assert scores.metrics["words_r"] == 1 / 3


def test_a_head_is_right_when_it_stands_for_the_references_head() -> None:
    gold = doc(["ca", "n't", "stop", "it"], [False, True, True, False], heads=[2, 2, 2, 2])
    predicted = doc(["can't", "stop", "it"], [True, True, False], heads=[1, 1, 1])

    assert score_docs([gold], [predicted]).metrics["uas"] == 2 * 2 / (4 + 3)


def test_a_predicted_word_over_unannotated_reference_words_is_not_counted() -> None:
    gold = doc(["ca", "n't", "stop"], [False, True, False], xpos=[None, None, "VB"])
    predicted = doc(["can't", "stop"], [True, False], xpos=["MD", "VB"])

    assert score_docs([gold], [predicted]).metrics["xpos_acc"] == 1.0


def test_texts_that_differ_are_refused_with_the_place() -> None:
    with pytest.raises(CorpusError) as caught:
        score_docs([doc(doc_id="letter-3")], [doc(["Ann", "saw", "New", "York", "."])])

    assert caught.value.where == "document 'letter-3', character 4 without white space"


def test_a_missing_prediction_is_refused() -> None:
    with pytest.raises(UsageError):
        score_docs([doc(), doc()], [doc()])


def test_pieces_of_one_document_become_one_row_of_counts() -> None:
    pieces = [
        doc(["a"], doc_id="mail#0", group="email", upos=["X"]),
        doc(["b"], doc_id="mail#1", group="email", upos=["Y"]),
    ]
    other = doc(["c"], doc_id="blog", upos=["X"])

    scores = score_docs([*pieces, other], [doc([w], upos=["X"]) for w in "abc"])

    rows = [
        (row.document, row.group, row.counts.n_correct, row.counts.n_gold, row.counts.n_system)
        for row in scores.documents
    ]
    assert rows == [("mail", "email", 1, 2, 2), ("blog", None, 1, 1, 1)]


def test_the_counts_per_document_add_up_to_the_metric() -> None:
    references = [doc(doc_id=str(i), ents=["B-PER", "O", "B-LOC", "I-LOC", "O"]) for i in range(3)]
    predictions = [doc(ents=["B-PER", "O", "O", "O", "O"]), doc(ents=["O"] * 5), references[2]]

    scores = score_docs(references, predictions)

    total = sum((row.counts for row in scores.documents), start=type(next(iter(scores.documents)).counts)())
    assert total.f == scores.metrics["ents_f"] == 2 * 3 / (6 + 3)


def test_scores_can_be_read_while_docs_are_still_coming() -> None:
    scorer = Scorer()
    scorer.add(doc(upos=["A"] * 5), doc(upos=["A"] * 5))
    first = scorer.finish().metrics["upos_acc"]
    scorer.add(doc(upos=["A"] * 5), doc(upos=["B"] * 5))

    assert (first, scorer.finish().metrics["upos_acc"]) == (1.0, 0.5)


def test_nothing_scored_gives_no_metrics() -> None:
    scores = score_docs([], [])

    assert (dict(scores.metrics), len(scores.documents)) == ({}, 0)


def test_an_empty_doc_is_counted_without_fault() -> None:
    empty = doc([], upos=[], heads=[], sent_starts=[], ents=[])

    assert score_docs([empty], [empty]).n_words == 0


@pytest.mark.parametrize(("doc_id", "source"), [("a#3", "a"), ("a", "a"), ("a#b", "a#b"), ("#1", ""), ("x#1#2", "x#1")])
def test_a_piece_knows_its_source(doc_id: str, source: str) -> None:
    assert source_of(doc_id) == source
