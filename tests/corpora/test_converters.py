"""Columns, JSON lines, text, and the choice among formats."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from tests.tokens.strategies import docs

from frostline.corpora import open_corpus, write_corpus
from frostline.corpora.converters import (
    convert,
    detect_format,
    jsonl_line,
    read_columns,
    read_docs,
    read_jsonl,
    read_text,
    write_conllu,
    write_jsonl,
)
from frostline.corpora.tokenizer import Tokenizer
from frostline.errors import CorpusError, FrostlineError, UsageError
from frostline.tokens import Doc


def put(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def fault(read: Any) -> FrostlineError:
    with pytest.raises(FrostlineError) as caught:
        list(read())
    assert caught.value.fix
    return caught.value


# --- columns

def test_blocks_are_documents_and_every_scheme_becomes_iob2(tmp_path: Path) -> None:
    path = put(tmp_path / "x.iob", "Empire\tB-loc\nState\tE-loc\nis\tO\n\t\nRome U-loc\n")

    first, second = read_columns(path)

    assert first.ents is not None and first.ents.values() == ["B-loc", "I-loc", "O"]
    assert second.ents is not None and second.ents.values() == ["B-loc"]
    assert first.text == "Empire State is" and first.doc_id == "x-00001" and first.sent_starts is None


def test_docstart_lines_make_documents_of_sentences_with_tags(tmp_path: Path) -> None:
    text = ("-DOCSTART- -X- -X- O\n\nEU NNP B-NP I-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP I-PER\n\n"
            "-DOCSTART- -X- -X- O\n\nok UH O O\n")
    path = put(tmp_path / "x.conll", text)

    first, second = read_columns(path)

    assert first.ents is not None and first.ents.values() == ["B-ORG", "O", "B-PER"]
    assert first.xpos is not None and first.xpos.values() == ["NNP", "VBZ", "NNP"]
    assert first.sentences() == [(0, 2), (2, 3)] and len(second) == 1


def test_blocks_can_be_joined_to_documents(tmp_path: Path) -> None:
    path = put(tmp_path / "x.iob", "a\tO\n\nb\tO\n\nc\tO\n")

    assert [doc.sentences() for doc in read_columns(path, n_sentences_per_doc=2)] == [[(0, 1), (1, 2)], [(0, 1)]]


def test_a_hash_sign_is_a_word(tmp_path: Path) -> None:
    assert [doc.words.values() for doc in read_columns(put(tmp_path / "x.iob", "#\tO\n#win\tO\n"))] == [["#", "#win"]]


ODD_TAGS = [  # the tags of two sentences, what they become, the warnings
    ("O L-PER O|O", "O B-PER O|O", ["2: 'L-PER' ends an entity that was not begun; it is read as 'B-PER'."]),
    (
        "I-LOC I-LOC O|O I-PER",
        "B-LOC I-LOC O|O B-PER",
        ["1: 'I-LOC' goes on with an entity that was not begun; it is read as 'B-LOC'. There is 1 more like it."],
    ),
    (
        "B-PER I-LOC O|B-PER I-ORG|B-PER I-ORG",
        "B-PER B-LOC O|B-PER B-ORG|B-PER B-ORG",
        ["2: 'I-LOC' goes on with an entity of another label; it is read as 'B-LOC'. There are 2 more like it."],
    ),
    (
        "I-LOC O|B-PER L-ORG",
        "B-LOC O|B-PER B-ORG",
        ["1: 'I-LOC' goes on with an entity that was not begun; it is read as 'B-LOC'.",
         "5: 'L-ORG' ends an entity of another label; it is read as 'B-ORG'."],
    ),
    ("B-LOC I-LOC O|B-PER L-PER U-X", "B-LOC I-LOC O|B-PER I-PER B-X", []),
]


@pytest.mark.parametrize(("tags", "expected", "warnings"), ODD_TAGS)
@pytest.mark.parametrize("format", ["columns", "conllu", "jsonl"])
def test_entities_without_a_beginning_begin_there_with_one_warning_for_each_cause(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str, tags: str, expected: str, warnings: list[str]
) -> None:
    sentences = [sentence.split() for sentence in tags.split("|")]
    if format == "jsonl":
        lines = [json.dumps({"tokens": ["w"] * len(one), "ents": one}) + "\n" for one in sentences]
    elif format == "columns":
        lines = ["".join(f"w\t{tag}\n" for tag in one) + "\n" for one in sentences]
    else:
        lines = ["".join(f"{i}\tw\t_\t_\t_\t_\t_\t_\t_\tNER={tag}\n" for i, tag in enumerate(one, start=1)) + "\n"
                 for one in sentences]
    path = put(tmp_path / "x", "".join(lines))

    docs = list(read_docs(path, format=format))

    assert [doc.ents and doc.ents.values() for doc in docs] == [one.split() for one in expected.split("|")]
    told = capsys.readouterr().err.splitlines()
    if format == "jsonl":  # a line is a whole doc there
        assert [line.partition(": '")[2] for line in told] == [line.partition(": '")[2] for line in warnings]
    else:
        assert told == [f"warning: {path}:{line}" for line in warnings]


@pytest.mark.parametrize(("text", "line", "says"), [
    ("a\tO\nlonely\n", 2, "no tag"), ("a\tO\nb\tPER\n", 2, "'PER' is no entity tag"), ("\tO\n", 1, "empty")])
def test_faults_of_columns_are_named(tmp_path: Path, text: str, line: int, says: str) -> None:
    error = fault(lambda: read_columns(put(tmp_path / "x.iob", text)))

    assert error.where == f"{tmp_path / 'x.iob'}:{line}" and says in str(error)


@pytest.mark.parametrize(("name", "n_docs", "n_words", "n_entities"), [
    ("wnut17train.conll", 3394, 62730, 1975), ("emerging.dev.conll", 1009, 15733, 836),
    ("emerging.test.annotated", 1287, 23394, 1079)])
def test_wnut_has_the_entities_its_authors_count(wnut: Path, tmp_path: Path, name: str, n_docs: int, n_words: int,
                                                 n_entities: int) -> None:
    corpus = convert([wnut / name], tmp_path / "c")

    assert (len(corpus), corpus.n_words) == (n_docs, n_words)
    assert sum(len(doc.entities()) for doc in corpus) == n_entities
    assert {tag[2:] for tag in corpus.distinct("ents")} - {""} == {
        "corporation", "creative-work", "group", "location", "person", "product"}


# --- JSON lines

def from_json(tmp_path: Path, *values: Any) -> list[Doc]:
    path = put(tmp_path / "x.jsonl", "".join(json.dumps(value) + "\n" for value in values))
    return list(read_jsonl(path, tokenizer=Tokenizer()))


def test_text_and_tokens_and_all_annotations_are_read(tmp_path: Path) -> None:
    (doc,) = from_json(tmp_path, {
        "id": "d1", "group": "blog", "text": "It's Paris.", "tokens": ["It", "'s", "Paris", "."],
        "tags": ["PRP", "VBZ", None, "."], "heads": [2, 2, 2, 2], "sent_starts": [1, 0, 0, 0],
        "entities": [[5, 10, "LOC"]], "cats": {"travel": 1, "food": 0}, "spans": {"p": [[0, 4, "X"]]},
        "meta": {"a": 1}})

    assert doc.starts.tolist() == [0, 2, 5, 10]
    assert doc.xpos is not None and doc.xpos.values() == ["PRP", "VBZ", None, "."]
    assert doc.ents is not None and doc.ents.values() == ["O", "O", "B-LOC", "O"]
    assert (doc.doc_id, doc.group, doc.cats) == ("d1", "blog", {"travel": 1.0, "food": 0.0})
    assert doc.spans == {"p": [(0, 2, "X")]}


def test_text_alone_goes_through_the_tokenizer(tmp_path: Path) -> None:
    (doc,) = from_json(tmp_path, {"text": "New York-based, ok", "cats": ["x"],
                                  "entities": [[0, 8, "LOC"], [9, 12, "ODD"]]})

    assert doc.words.values() == ["New", "York", "-", "based", ",", "ok"]
    assert doc.ents is not None and doc.ents.values() == ["B-LOC", "I-LOC", "O", None, "O", "O"]
    assert doc.cats == {"x": 1.0} and doc.doc_id == "x-00001"


def test_tokens_alone_are_joined(tmp_path: Path) -> None:
    joined, spaced = from_json(tmp_path, {"tokens": ["a", "b"], "ents": ["U-X", "O"]},
                               {"tokens": ["a", "b"], "spaces": [False, False]})

    assert (joined.text, spaced.text) == ("a b", "ab")
    assert joined.ents is not None and joined.ents.values() == ["B-X", "O"]


@pytest.mark.parametrize(("line", "says"), [
    ("{", "no JSON"), ("[]", "no JSON object"), ("{}", "neither text nor tokens"),
    ('{"txt": "a"}', "Unknown key 'txt'"), ('{"text": "a", "tags": ["X"]}', "no tokens"),
    ('{"tokens": ["a", 1]}', "no list of strings"), ('{"tokens": ["a"], "tags": ["X", "Y"]}', "no list of 1 strings"),
    ('{"text": "a b", "tokens": ["a", "c"]}', "not what follows"), ('{"tokens": ["a"], "heads": [4]}', "from 0 to 0"),
    ('{"text": "ab", "tokens": ["ab"], "entities": [[0, 1, "X"]]}', "does not begin and end"),
    ('{"text": "ab", "entities": [[0, 9, "X"]]}', "covers no token"), ('{"text": "ab", "entities": [3]}', "no span"),
    ('{"tokens": ["a"], "ents": ["PER"]}', "no entity tag"), ('{"text": "a", "cats": {"x": "y"}}', "don't fit"),
    ('{"tokens": ["a", "b"], "entities": [[0, 1, "X"], [0, 3, "Y"]]}', "overlaps"),
])
def test_faults_of_json_lines_are_named(tmp_path: Path, line: str, says: str) -> None:
    path = put(tmp_path / "x.jsonl", '{"text": "fine"}\n' + line + "\n")

    error = fault(lambda: read_jsonl(path, tokenizer=Tokenizer()))

    assert error.where == f"{path}:2" and says in str(error)


@settings(deadline=None)
@given(docs())
def test_any_doc_survives_json_lines(tmp_path_factory: pytest.TempPathFactory, doc: Doc) -> None:
    if not doc.doc_id:
        doc.doc_id = "given"
    path = tmp_path_factory.mktemp("jsonl") / "x.jsonl"

    write_jsonl([doc], path)

    assert list(read_jsonl(path, tokenizer=Tokenizer())) == [doc]
    assert jsonl_line(doc).count("\n") == 1


# --- text

@pytest.mark.parametrize(("unit", "expected"), [
    ("block", ["One. Two", "Three"]), ("line", ["One.", "Two", "Three"]), ("file", ["One. Two Three"])])
def test_documents_of_text_are_blocks_lines_or_files(tmp_path: Path, unit: Any, expected: list[str]) -> None:
    path = put(tmp_path / "x.txt", "\n\nOne.\nTwo\n  \n\nThree\n\n")

    assert [" ".join(doc.text.split()) for doc in read_text(path, tokenizer=Tokenizer(), unit=unit)] == expected


# --- the choice among formats

@pytest.mark.parametrize(("name", "text", "expected"), [
    ("x.conllu", "", "conllu"), ("x.txt", "a\tO\n", "text"), ("x.jsonl", "", "jsonl"), ("x.bio", "", "columns"),
    ("x", "# sent_id = 1\n1\ta\t_\t_\t_\t_\t_\t_\t_\t_\n", "conllu"),
    ("x.conll", "\n1\ta\t_\t_\t_\t_\t_\t_\t_\t_\n", "conllu"),
    ("x.conll", "a\tO\n", "columns"), ("x.conll", "-DOCSTART- -X- O O\n", "columns"), ("x", '{"text": "a"}\n', "jsonl"),
    ("x.annotated", "&\tO\ngt\tO\n", "columns")])
def test_a_format_is_known_by_extension_or_content(tmp_path: Path, name: str, text: str, expected: str) -> None:
    assert detect_format(put(tmp_path / name, text)) == expected


def test_an_unknown_format_is_said_to_be_unknown(tmp_path: Path) -> None:
    path = put(tmp_path / "x.pdf", "anything\n")

    assert "--format" in str(fault(lambda: [detect_format(path)]))
    with pytest.raises(UsageError, match=r"conllu"):
        convert([path], tmp_path / "c", format="conlu")
    with pytest.raises(UsageError):
        convert([path], tmp_path / "c", text_unit="page")  # type: ignore[arg-type]


def test_sources_become_one_corpus_in_the_order_given(tmp_path: Path) -> None:
    text, lines = put(tmp_path / "b.txt", "Second one."), put(tmp_path / "a.jsonl", '{"text": "First"}\n')

    corpus = convert([text, lines], tmp_path / "c")

    assert [doc.text for doc in corpus] == ["Second one.", "First"]
    assert [source["name"] for source in corpus.meta["sources"]] == ["b.txt", "a.jsonl"]
    again = convert([tmp_path / "c"], tmp_path / "d")
    assert again.digest == corpus.digest


def test_a_folder_gives_its_files_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in ("b", "a"):
        put(folder / f"{name}.txt", name)
    put(folder / "notes.md", "no")

    assert [doc.text for doc in convert([folder], tmp_path / "c")] == ["a", "b"]


def test_equal_sources_give_equal_bytes(tmp_path: Path) -> None:
    path = put(tmp_path / "x.txt", "Some text.\n\nMore.")
    convert([path], tmp_path / "c")
    convert([path], tmp_path / "d")

    for file in (tmp_path / "c").iterdir():
        assert file.read_bytes() == (tmp_path / "d" / file.name).read_bytes()


@pytest.mark.parametrize("text", ["1\tw\t_\n", "", "\n\n"])
def test_a_faulty_or_empty_source_leaves_nothing_and_keeps_what_was_there(tmp_path: Path, text: str) -> None:
    convert([put(tmp_path / "good.txt", "fine")], tmp_path / "c")
    bad = put(tmp_path / "bad.conllu", text)

    with pytest.raises(CorpusError):
        convert([bad], tmp_path / "c")
    with pytest.raises(CorpusError):
        convert([bad], tmp_path / "new")

    assert [doc.text for doc in open_corpus(tmp_path / "c")] == ["fine"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bad.conllu", "c", "good.txt"]


@pytest.mark.parametrize("name", ["e.txt", "e.jsonl", "e.iob"])
def test_an_empty_source_among_others_is_named(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    sources = [put(tmp_path / "a.txt", "fine"), put(tmp_path / name, "\n")]

    assert len(convert(sources, tmp_path / "c")) == 1

    assert capsys.readouterr().err == f"warning: there is no doc in '{tmp_path / name}'\n"


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "none") in str(fault(lambda: convert([tmp_path / "none"], tmp_path / "c")))
    assert "nothing to convert" in str(fault(lambda: convert([], tmp_path / "c")))


def test_docs_of_any_format_can_be_read_without_a_corpus(tmp_path: Path) -> None:
    assert [doc.text for doc in read_docs(put(tmp_path / "x.txt", "Hi there"))] == ["Hi there"]


# --- what no UTF-8 file can hold

@pytest.mark.parametrize("write", [write_conllu, write_jsonl, write_corpus])
@pytest.mark.parametrize("part", ["words", "id", "tag"])
def test_a_doc_with_half_a_character_is_refused_by_name_and_leaves_nothing(
    tmp_path: Path, write: Any, part: str
) -> None:
    words = ["the", "\ud83d" if part == "words" else "dog"]
    bad = Doc.from_words(words, xpos=["DT", "\udc00" if part == "tag" else "NN"])
    bad.doc_id = "d2\udcff" if part == "id" else "d2"

    with pytest.raises(CorpusError, match=r"The doc 'd2.* holds half a character \(U\+D") as caught:
        write([Doc.from_words(["ok"], doc_id="d1"), bad], tmp_path / "out")

    assert caught.value.fix
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("suffix", "text"), [
    (".txt", "a b\n"), (".iob", "a\tO\n"), (".jsonl", '{"text": "a"}\n'), (".conllu", "1\ta" + "\t_" * 8 + "\n\n")])
def test_a_file_whose_name_is_not_utf8_makes_docs_all_the_same(tmp_path: Path, suffix: str, text: str) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9" + suffix.encode()))
    try:
        put(path, text)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")

    corpus = convert([path], tmp_path / "c")

    assert corpus[0].doc_id.startswith("caf\ufffd-")
    assert corpus.meta["sources"][0]["name"] == f"caf\ufffd{suffix}"
