"""Docs as columns, and the views on them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tokens.strategies import docs

from frostline.errors import UsageError
from frostline.tokens import Comments, Doc, EmptyNode, Multiword, Source, StringColumn


def example() -> Doc:
    return Doc.from_words(
        ["Anna", "lives", "in", "Rome", ".", "Bob", "too", "."], [True, True, True, False, True, True, False, False],
        upos=["PROPN", "VERB", "ADP", "PROPN", "PUNCT", "PROPN", "ADV", None],
        heads=[1, 1, 3, 1, 1, 5, 5, None], deprels=["nsubj", "root", "case", "obl", "punct", "root", "advmod", None],
        sent_starts=[1, 0, 0, 0, 0, 1, 0, 0], ents=["B-PER", "O", "O", "B-LOC", "O", "B-PER", "O", "O"],
        spans={"sc": [(0, 2, "who"), (3, 6, "over")]}, cats={"news": 1.0}, doc_id="d", group="blog",
    )


def test_words_are_joined_by_the_spaces_given() -> None:
    doc = example()

    assert doc.text == "Anna lives in Rome. Bob too."
    assert [doc.text[s:e] for s, e in zip(doc.starts, doc.ends, strict=True)] == doc.words.values()
    assert doc.spaces.tolist() == [True, True, True, False, True, True, False, False]


def test_without_flags_all_words_but_the_last_have_a_space() -> None:
    assert Doc.from_words(["a", "b"]).text == "a b"


@pytest.mark.parametrize("broken", [
    {"upos": ["X"]}, {"heads": [0]}, {"heads": [5, 0]}, {"sent_starts": [1, 0, 0]}, {"spaces": [True]},
])
def test_columns_of_another_length_are_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"words, but|outside"):
        Doc.from_words(["a", "b"], **broken)


def test_tokens_outside_the_text_or_out_of_order_are_refused() -> None:
    words = StringColumn.from_values(["a", "b"])
    for starts, ends in (([0, 2], [1, 9]), ([2, 0], [3, 1]), ([-1, 2], [1, 3]), ([0, 2], [1, 1])):
        with pytest.raises(ValueError, match="text"):
            Doc("a b", words, starts, ends)


def test_an_unknown_column_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="tagz"):
        Doc.from_words(["a"], tagz=["X"])
    with pytest.raises(KeyError, match="tagz"):
        example().set_column("tagz", None)
    with pytest.raises(ValueError, match="8 words"):
        example().set_column("upos", StringColumn.from_values(["X"]))


def test_tokens_and_spans_read_the_columns() -> None:
    doc = example()
    rome = doc.token(3)

    assert (rome.text, rome.upos, rome.ent, rome.start, rome.end) == ("Rome", "PROPN", "B-LOC", 14, 18)
    assert rome.head == doc.token(1) and doc.token(1).head == doc.token(1) and doc.token(-1).head is None
    assert doc.token(5).is_sent_start is True and rome.is_sent_start is False
    assert rome.xpos is None and doc.token(-1).upos is None
    assert (rome.norm, rome.shape, rome.prefix, rome.suffix) == ("rome", "Xxxx", "R", "ome")
    assert doc.span(3, 5).text == "Rome." and [t.text for t in doc.span(5, 7)] == ["Bob", "too"]
    assert [(span.text, span.label) for span in doc.entities()] == [("Anna", "PER"), ("Rome", "LOC"), ("Bob", "PER")]
    with pytest.raises(IndexError):
        doc.token(8)


def test_sentences_are_where_starts_are_annotated() -> None:
    assert example().sentences() == [(0, 5), (5, 8)]
    assert Doc.from_words(["a", "b"]).sentences() == [(0, 2)]
    assert Doc.from_words([]).sentences() == []
    assert Doc.from_words(["a", "b"], sent_starts=[0, 1]).sentences() == [(0, 1), (1, 2)]


def test_a_slice_counts_anew_and_drops_what_is_cut() -> None:
    part = example().slice(3, 8)

    assert part.text == "Rome. Bob too."
    assert part.heads is not None and part.heads.tolist() == [-1, -1, 2, 2, -1]
    assert part.deprels is not None and part.deprels.values() == [None, None, "root", "advmod", None]
    assert part.spans == {"sc": [(0, 3, "over")]}
    assert (part.doc_id, part.group, part.cats) == ("d", "blog", {"news": 1.0})


def test_an_entity_cut_at_its_beginning_begins_again() -> None:
    doc = Doc.from_words(list("abc"), ents=["B-X", "I-X", "I-X"])

    part = doc.slice(1, 3).ents

    assert part is not None and part.values() == ["B-X", "I-X"]


def test_a_slice_takes_its_part_of_the_source() -> None:
    doc = Doc.from_words(list("abcd"), sent_starts=[1, 0, 1, 0])
    doc.source = Source(
        comments=(Comments(sentence=0, lines=("# a",)), Comments(sentence=2, lines=("# c",))),
        multiwords=(Multiword(start=1, end=3, form="bc"), Multiword(start=2, end=4, form="cd")),
        empty_nodes=(EmptyNode(sentence=2, node_id="1.1", columns=("_",) * 9),),
    )

    part = doc.slice(2, 4).source

    assert part == Source(comments=(Comments(sentence=0, lines=("# c",)),),
                          multiwords=(Multiword(start=0, end=2, form="cd"),),
                          empty_nodes=(EmptyNode(sentence=0, node_id="1.1", columns=("_",) * 9),))


@given(docs(), st.integers(0, 12), st.integers(0, 12))
def test_every_slice_is_a_sound_doc_with_the_words_of_the_slice(doc: Doc, start: int, end: int) -> None:
    end = min(end, len(doc))
    start = min(start, end)

    part = doc.slice(start, end)

    part._check()
    assert part.words.values() == doc.words.values()[start:end]
    assert doc.slice(0, len(doc)).words == doc.words


@pytest.mark.parametrize(("name", "values"), [
    ("xpos", ["X"]), ("feats", StringColumn.from_values(["X"] * 9)), ("ents", []), ("misc", ("a", "b")),
    ("heads", [0]), ("sent_starts", np.ones(9, dtype=np.int8)), ("words", ["a"]), ("starts", [0]), ("ends", [1, 2]),
])
def test_no_column_of_another_length_can_be_set(name: str, values: Any) -> None:
    doc = example()

    with pytest.raises(ValueError, match=rf"8 words, but {len(values)} rows? in {name}"):
        setattr(doc, name, values)

    assert doc == example()


def test_a_column_can_be_set_by_a_list_and_taken_away() -> None:
    doc = example()

    doc.xpos = ["NN"] * 7 + [None]
    doc.heads = [1] * 7 + [None]
    doc.sent_starts = None

    assert doc.xpos == StringColumn.from_values(["NN"] * 7 + [None])
    assert doc.heads is not None and doc.heads.dtype == np.int32 and doc.heads.tolist() == [1] * 7 + [-1]
    assert doc[0].is_sent_start is None
    doc.xpos = None
    assert doc[0].xpos is None


def test_a_text_is_no_column_and_heads_stay_within_the_doc() -> None:
    doc = Doc.from_words(["a", "b"])

    with pytest.raises(TypeError, match="one string for each word"):
        doc.xpos = "NN"
    with pytest.raises(ValueError, match="outside the doc"):
        doc.heads = [0, 2]
    with pytest.raises(ValueError, match="a word is missing"):
        doc.words = ["a", None]  # type: ignore[list-item]


def test_without_annotations_leaves_tokens_text_id_and_group() -> None:
    bare = example().without_annotations()

    assert bare.words is not None and bare.text == example().text and (bare.doc_id, bare.group) == ("d", "blog")
    assert bare.string_columns() == {} and bare.heads is None and bare.sent_starts is None
    assert bare.cats == {} and bare.spans == {}


@given(docs())
def test_equality_is_by_value_and_survives_pickling(doc: Doc) -> None:
    assert pickle.loads(pickle.dumps(doc)) == doc
    assert doc.copy() == doc
    changed = doc.copy()
    changed.cats["other"] = 0.5
    assert changed != doc


def test_a_name_without_activations_says_what_to_do() -> None:
    doc = example()
    for same in (doc, doc.copy(), pickle.loads(pickle.dumps(doc))):
        with pytest.raises(UsageError, match=r'(?s)"transformer".*keep_activations=True') as error:
            same.activations["transformer"]
        assert isinstance(error.value, KeyError)
    assert doc.activations == {} and doc.activations.get("transformer") is None

    doc.activations["transformer"] = 1
    with pytest.raises(KeyError, match="Did you mean 'transformer'"):
        doc.activations["transfomer"]


def test_activations_are_no_part_of_equality() -> None:
    doc, other = example(), example()
    doc.activations["transformer"] = np.ones(3)

    assert doc == other
