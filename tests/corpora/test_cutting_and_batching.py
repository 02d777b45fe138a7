"""How documents are cut, ordered and batched, and the readers and batchers that configs name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tokens.strategies import docs

from frostline.config import registry
from frostline.corpora import batch_by_docs, batch_by_words, cut, epoch_order, write_corpus
from frostline.errors import ConfigError, CorpusError
from frostline.tokens import Doc


def doc_of(*sizes: int, doc_id: str = "d") -> Doc:
    starts = [int(i == 0) for size in sizes for i in range(size)]
    doc = Doc.from_words([f"w{i}" for i in range(sum(sizes))], sent_starts=starts, doc_id=doc_id, group="blog")
    doc.cats = {"news": 1.0}
    return doc


def test_a_document_stays_whole_under_its_own_id() -> None:
    doc = doc_of(2, 3)

    assert cut(doc, unit="document", n_sentences=1, max_words=None) == [doc]
    assert cut(doc, unit="sentences", n_sentences=2) == [doc]


def test_runs_of_sentences_keep_group_and_categories_and_get_numbered_ids() -> None:
    pieces = cut(doc_of(2, 3, 1, 2, 2), unit="sentences", n_sentences=2, max_words=None)

    assert [len(piece) for piece in pieces] == [5, 3, 2]
    assert [piece.doc_id for piece in pieces] == ["d#0", "d#1", "d#2"]
    assert all(piece.group == "blog" and piece.cats == {"news": 1.0} for piece in pieces)


def test_max_words_cuts_between_sentences_and_inside_only_where_one_is_too_long() -> None:
    assert [len(piece) for piece in cut(doc_of(4, 3, 3), unit="document", max_words=7)] == [7, 3]
    assert [len(piece) for piece in cut(doc_of(2, 9, 1), unit="document", max_words=4)] == [2, 4, 4, 2]
    assert [len(piece) for piece in cut(doc_of(2, 2, 2), unit="sentences", n_sentences=2, max_words=3)] == [2, 2, 2]


@given(docs(), st.sampled_from(["document", "sentences"]), st.integers(1, 3), st.none() | st.integers(1, 5))
def test_the_pieces_together_are_the_doc(doc: Doc, unit: Any, n_sentences: int, max_words: int | None) -> None:
    pieces = cut(doc, unit=unit, n_sentences=n_sentences, max_words=max_words)

    assert [word for piece in pieces for word in piece.words] == doc.words.values()
    assert all(max_words is None or len(piece) <= max_words for piece in pieces)
    assert len(doc) == 0 or all(len(piece) > 0 for piece in pieces)


@pytest.mark.parametrize("setting", [{"unit": "page"}, {"n_sentences": 0}, {"max_words": 0}])
def test_settings_that_make_no_sense_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        cut(doc_of(1), **setting)
    assert caught.value.fix


@given(st.integers(0, 200), st.integers(0, 2**40), st.integers(0, 50))
def test_an_epochs_order_is_a_permutation_and_a_function_of_its_arguments(n: int, seed: int, epoch: int) -> None:
    order = epoch_order(n, seed=seed, epoch=epoch)

    assert sorted(order.tolist()) == list(range(n))
    assert order.tolist() == epoch_order(n, seed=seed, epoch=epoch).tolist()


def test_epochs_and_seeds_differ_in_order() -> None:
    orders = {tuple(epoch_order(30, seed=seed, epoch=epoch).tolist()) for seed in range(4) for epoch in range(4)}

    assert len(orders) == 16


def test_the_order_does_not_change_from_release_to_release() -> None:
    assert epoch_order(8, seed=0, epoch=0).tolist() == [6, 7, 5, 2, 3, 1, 0, 4]


@given(st.lists(st.integers(1, 9), max_size=12), st.integers(1, 10))
def test_batches_by_words_keep_the_order_and_the_limit_and_waste_no_room(sizes: list[int], n_words: int) -> None:
    given_docs = [doc_of(size, doc_id=str(i)) for i, size in enumerate(sizes)]

    batches = list(batch_by_words(given_docs, n_words))

    assert [doc.doc_id for batch in batches for doc in batch] == [doc.doc_id for doc in given_docs]
    totals = [sum(map(len, batch)) for batch in batches]
    assert all(total <= n_words or len(batch) == 1 for total, batch in zip(totals, batches, strict=True))
    assert all(total + len(after[0]) > n_words for total, after in zip(totals, batches[1:], strict=False))


def test_batches_by_docs_have_the_number_asked_for() -> None:
    assert [len(batch) for batch in batch_by_docs([doc_of(1)] * 5, 2)] == [2, 2, 1]


def reader(path: Path, **settings: Any) -> Any:
    return registry.resolve({"@readers": "frostline.Corpus.v1", "path": str(path), **settings})


def test_the_registered_reader_gives_pieces_by_index_and_in_order_again_and_again(tmp_path: Path) -> None:
    write_corpus([doc_of(2, 3, 1, doc_id="a"), doc_of(4, doc_id="b"), doc_of(1, 1, doc_id="c")], tmp_path / "c")

    docs = reader(tmp_path / "c", unit="sentences", n_sentences=2)

    assert [doc.doc_id for doc in docs] == ["a#0", "a#1", "b", "c"] == [doc.doc_id for doc in docs]
    assert len(docs) == 4 and [docs[i] for i in range(4)] == list(docs) and docs[-1].doc_id == "c"
    with pytest.raises(IndexError):
        docs[4]


def test_the_reader_stops_at_its_limit(tmp_path: Path) -> None:
    write_corpus([doc_of(2, 3, 1), doc_of(4)], tmp_path / "c")

    docs = reader(tmp_path / "c", unit="sentences", limit=2)

    assert len(docs) == len(list(docs)) == 2
    assert len(reader(tmp_path / "c", limit=0)) == 2


def test_a_missing_corpus_and_bad_settings_are_faults_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(CorpusError):
        reader(tmp_path / "none")
    write_corpus([doc_of(1)], tmp_path / "c")
    for setting in ({"limit": -1}, {"n_sentences": 0}):
        with pytest.raises(ConfigError):
            reader(tmp_path / "c", **setting)


def test_the_registered_batchers_batch() -> None:
    by_words = registry.resolve({"@batchers": "frostline.batch_by_words.v1", "n_words": 3})
    by_docs = registry.resolve({"@batchers": "frostline.batch_by_docs.v1", "n_docs": 2})

    assert [len(batch) for batch in by_words([doc_of(2), doc_of(1), doc_of(9)])] == [2, 1]
    assert [len(batch) for batch in by_docs([doc_of(1)] * 3)] == [2, 1]
    for block in ({"@batchers": "frostline.batch_by_words.v1", "n_words": 0},
                  {"@batchers": "frostline.batch_by_docs.v1", "n_docs": 0}):
        with pytest.raises(ConfigError):
            registry.resolve(block)
