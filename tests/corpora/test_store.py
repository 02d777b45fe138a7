"""The corpus on disk."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tokens.strategies import docs

from frostline.corpora import open_corpus, store, write_corpus
from frostline.errors import CorpusError
from frostline.tokens import Comments, Doc, EmptyNode, Multiword, Source


def some(n: int) -> list[Doc]:
    return [Doc.from_words([f"w{i}", "x"], upos=["A", None], doc_id=str(i)) for i in range(n)]


def bytes_of(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


@settings(max_examples=40, deadline=None)
@given(given_docs=st.lists(docs(), max_size=5), n_words=st.integers(1, 20))
def test_all_that_docs_hold_comes_back(tmp_path_factory: pytest.TempPathFactory, given_docs: list[Doc],
                                       n_words: int) -> None:
    path = tmp_path_factory.mktemp("corpus") / "c"

    write_corpus(given_docs, path, meta={"a": [1, None]}, n_words_per_shard=n_words)
    corpus = open_corpus(path)

    assert list(corpus) == given_docs
    assert [corpus[i] for i in range(len(corpus))] == given_docs
    assert corpus.n_words == sum(map(len, given_docs)) and corpus.meta == {"a": [1, None]}


def test_the_source_of_a_doc_comes_back(tmp_path: Path) -> None:
    doc = Doc.from_words(["a", "b"])
    doc.source = Source(comments=(Comments(sentence=0, lines=("# é = 1", "#")),),
                        multiwords=(Multiword(start=0, end=2, form="ab"),),
                        empty_nodes=(EmptyNode(sentence=0, node_id="0.1", columns=("_",) * 9),))

    write_corpus([doc], tmp_path / "c")

    assert open_corpus(tmp_path / "c")[0].source == doc.source


@settings(max_examples=20, deadline=None)
@given(given_docs=st.lists(docs(), min_size=1, max_size=4))
def test_equal_docs_give_equal_bytes_whatever_their_tables(tmp_path_factory: pytest.TempPathFactory,
                                                           given_docs: list[Doc]) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(given_docs, folder / "a")
    write_corpus((pickle.loads(pickle.dumps(doc)) for doc in given_docs),
                 folder / "b")
    write_corpus(open_corpus(folder / "a"), folder / "c")

    assert bytes_of(folder / "a") == bytes_of(folder / "b") == bytes_of(folder / "c")


def test_the_digest_is_that_of_the_docs_and_not_of_the_meta(tmp_path: Path) -> None:
    write_corpus(some(3), tmp_path / "a", meta={"from": "here"})
    write_corpus(some(3), tmp_path / "b", meta={"from": "there"})
    write_corpus(some(4), tmp_path / "c")

    digests = [open_corpus(tmp_path / name).digest for name in "abc"]

    assert digests[0] == digests[1] != digests[2]


def test_docs_are_found_by_index_across_shards(tmp_path: Path) -> None:
    write_corpus(some(50), tmp_path / "c", n_words_per_shard=4)
    corpus = open_corpus(tmp_path / "c")

    assert len(list((tmp_path / "c").glob("*.arrow"))) == 25
    assert [corpus[i].doc_id for i in (0, 49, -1, 7, -50)] == ["0", "49", "49", "7", "0"]
    assert len(corpus._open) <= store.OPEN_SHARDS
    for i in (50, -51):
        with pytest.raises(IndexError):
            corpus[i]


def test_docs_of_a_shard_share_one_table_and_map_the_file(tmp_path: Path) -> None:
    write_corpus(some(3), tmp_path / "c")
    corpus = open_corpus(tmp_path / "c")

    assert corpus[0].words.table is corpus[2].words.table
    assert not corpus[0].words.codes.flags.writeable and not corpus[0].words.codes.flags.owndata


def test_distinct_names_the_strings_of_a_column_over_all_shards(tmp_path: Path) -> None:
    write_corpus([Doc.from_words(["b"], upos=["X"]), Doc.from_words(["a"])], tmp_path / "c", n_words_per_shard=1)
    corpus = open_corpus(tmp_path / "c")

    assert (corpus.distinct("words"), corpus.distinct("upos"), corpus.distinct("xpos")) == (["a", "b"], ["X"], [])


def test_a_corpus_travels_to_another_process_by_its_path(tmp_path: Path) -> None:
    write_corpus(some(3), tmp_path / "c")
    corpus = open_corpus(tmp_path / "c")
    list(corpus)

    assert len(pickle.dumps(corpus)) < 500
    assert list(pickle.loads(pickle.dumps(corpus))) == some(3)


def test_an_empty_corpus_is_a_corpus(tmp_path: Path) -> None:
    write_corpus([], tmp_path / "c")

    assert len(open_corpus(tmp_path / "c")) == 0 and list(open_corpus(tmp_path / "c")) == []


def test_nothing_is_left_when_the_docs_fail_half_way(tmp_path: Path) -> None:
    write_corpus(some(2), tmp_path / "c")

    def failing():  # type: ignore[no-untyped-def]
        yield from some(5)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_corpus(failing(), tmp_path / "c", n_words_per_shard=2)

    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]
    assert list(open_corpus(tmp_path / "c")) == some(2)


def test_a_corpus_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    write_corpus(some(2), tmp_path / "c")
    write_corpus(some(3), tmp_path / "c")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")
    (tmp_path / "file").write_text("x")

    assert len(open_corpus(tmp_path / "c")) == 3
    for name in ("mine", "file"):
        with pytest.raises(CorpusError) as caught:
            write_corpus(some(1), tmp_path / name)
        assert caught.value.fix and str(tmp_path / name) in str(caught.value)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years"


def damage_index(path: Path) -> None:
    (path / "corpus.json").write_text("{")


def damage_format(path: Path) -> None:
    (path / "corpus.json").write_text('{"format": "else", "version": 1}')


def damage_version(path: Path) -> None:
    index = json.loads((path / "corpus.json").read_text())
    (path / "corpus.json").write_text(json.dumps(index | {"version": 99}))


def damage_digest(path: Path) -> None:
    index = json.loads((path / "corpus.json").read_text())
    (path / "corpus.json").write_text(json.dumps(index | {"digest": "0"}))


def damage_bit(path: Path) -> None:
    file = path / "shard-00000.arrow"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def damage_length(path: Path) -> None:
    os.truncate(path / "shard-00000.arrow", 100)


def damage_shard(path: Path) -> None:
    (path / "shard-00000.arrow").unlink()


def damage_all(path: Path) -> None:
    for file in path.iterdir():
        file.unlink()


@pytest.mark.parametrize("damage", [damage_index, damage_format, damage_version, damage_digest, damage_bit,
                                    damage_length, damage_shard, damage_all])
def test_a_damaged_corpus_is_refused_with_the_place_and_the_cure(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    write_corpus(some(3), tmp_path / "c")
    damage(tmp_path / "c")

    with pytest.raises(CorpusError) as caught:
        list(open_corpus(tmp_path / "c"))

    assert caught.value.where is not None and str(tmp_path / "c") in caught.value.where
    assert caught.value.fix


def test_a_foreign_arrow_file_under_a_matching_index_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa

    from frostline.digest import sha256_file

    write_corpus(some(3), tmp_path / "c")
    file = tmp_path / "c" / "shard-00000.arrow"
    table = pa.table({"a": [1]})
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    index = json.loads((tmp_path / "c" / "corpus.json").read_text())
    index["shards"][0] |= {"n_bytes": file.stat().st_size, "sha256": sha256_file(file)}
    index["digest"] = store._digest(index["shards"])
    (tmp_path / "c" / "corpus.json").write_text(json.dumps(index))

    with pytest.raises(CorpusError, match="can't be read"):
        list(open_corpus(tmp_path / "c"))


def test_a_missing_corpus_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as caught:
        open_corpus(tmp_path / "none")
    assert "frostline convert" in str(caught.value)


def test_check_reads_what_was_read_before(tmp_path: Path) -> None:
    write_corpus(some(3), tmp_path / "c")
    corpus = open_corpus(tmp_path / "c")
    corpus.check()
    damage_bit(tmp_path / "c")

    with pytest.raises(CorpusError):
        corpus.check()
