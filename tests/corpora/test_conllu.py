"""CoNLL-U, both ways, and its faults."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tokens.strategies import docs

from frostline.corpora import open_corpus, write_corpus
from frostline.corpora.converters import conllu_lines, read_conllu, write_conllu
from frostline.errors import CorpusError
from frostline.tokens import Doc, StringColumn

SAMPLE = """\
# newdoc id = blog-one
# cats = {"news": 1.0, "sport": 0.0}
# sent_id = blog-one-1
# text = Don't go.
1-2	Don't	_	_	_	_	_	_	_	_
1	Do	do	AUX	VB	Mood=Imp|VerbForm=Fin	3	aux	3:aux	NER=O
2	n't	not	PART	RB	_	3	advmod	3:advmod	NER=O
2.1	(you)	you	PRON	PRP	_	_	_	3:nsubj	CopyOf=-1
3	go	go	VERB	VB	VerbForm=Inf	0	root	0:root	SpaceAfter=No|NER=B-ACT
4	.	.	PUNCT	.	_	3	punct	3:punct	NER=O

# newpar
# sent_id = blog-one-2
# text = _ too
0.1	x	x	_	_	_	_	_	_	_
1	_	_	SYM	NFP	_	0	root	_	SpacesAfter=\\s\\u00A0
2	too	too	ADV	_	_	_	_	_	_

# newdoc id = other
# group = mail
1	Hi	_	_	_	_	_	_	_	_

"""


def read(tmp_path: Path, text: str, **settings: int) -> list[Doc]:
    path = tmp_path / "x.conllu"
    path.write_bytes(text.encode())
    return list(read_conllu(path, **settings))


def written(docs: list[Doc]) -> str:
    return "".join(line for doc in docs for line in conllu_lines(doc))


def faults(tmp_path: Path, text: str) -> CorpusError:
    with pytest.raises(CorpusError) as caught:
        read(tmp_path, text)
    assert caught.value.fix
    return caught.value


def row(number: int, head: int | str = "_", *, form: str = "w", upos: str = "_", feats: str = "_",
        misc: str = "_") -> str:
    return f"{number}\t{form}\t_\t{upos}\t_\t{feats}\t{head}\t_\t_\t{misc}\n"


def test_documents_have_their_text_offsets_ids_groups_and_categories(tmp_path: Path) -> None:
    first, second = read(tmp_path, SAMPLE)

    assert first.text == "Don't go.\n\n_ \u00a0too" and second.text == "Hi"
    assert first.words.values() == ["Do", "n't", "go", ".", "_", "too"]
    assert first.starts.tolist() == [0, 0, 6, 8, 11, 14] and first.ends.tolist() == [5, 5, 8, 9, 12, 17]
    assert (first.doc_id, first.group, second.doc_id, second.group) == ("blog-one", "blog", "other", "mail")
    assert first.cats == {"news": 1.0, "sport": 0.0}


def test_missing_and_none_are_told_apart(tmp_path: Path) -> None:
    first, second = read(tmp_path, SAMPLE)

    assert first.feats is not None and first.feats.values() == ["Mood=Imp|VerbForm=Fin", "", "VerbForm=Inf", "", "", ""]
    assert first.xpos is not None and first.xpos.values()[4:] == ["NFP", None]
    assert first.lemmas is not None and first.lemmas[4] == "_"
    assert second.upos is second.feats is second.lemmas is second.heads is second.ents is None


def test_heads_are_indices_in_the_document(tmp_path: Path) -> None:
    first = read(tmp_path, SAMPLE)[0]

    assert first.heads is not None and first.heads.tolist() == [2, 2, 2, 2, 4, -1]
    assert first.sent_starts is not None and first.sent_starts.tolist() == [1, 0, 0, 0, 1, 0]


def test_entities_come_from_misc(tmp_path: Path) -> None:
    first = read(tmp_path, SAMPLE)[0]

    assert first.ents is not None and first.ents.values() == ["O", "O", "B-ACT", "O", None, None]


def test_the_file_comes_back_byte_for_byte_also_through_a_corpus_and_in_pieces(tmp_path: Path) -> None:
    docs = read(tmp_path, SAMPLE)
    write_corpus(docs, tmp_path / "c")
    pieces = [doc.slice(start, end) for doc in docs for start, end in doc.sentences()]

    assert written(docs) == SAMPLE == written(list(open_corpus(tmp_path / "c"))) == written(pieces)


def test_line_ends_of_windows_and_a_missing_last_line_are_read_too(tmp_path: Path) -> None:
    docs = read(tmp_path, "\ufeff" + SAMPLE.strip().replace("\n", "\r\n"))

    assert written(docs) == SAMPLE


def test_predicted_annotations_are_what_is_written(tmp_path: Path) -> None:
    doc = read(tmp_path, SAMPLE)[1]
    doc.xpos = StringColumn.from_values(["UH"])
    doc.ents = StringColumn.from_values(["B-X"])

    assert written([doc]).splitlines()[-2] == "1\tHi\t_\t_\tUH\t_\t_\t_\t_\tNER=B-X"


@settings(deadline=None)
@given(docs())
def test_any_doc_can_be_written_and_read_with_its_words_and_tags(tmp_path_factory: pytest.TempPathFactory,
                                                                doc: Doc) -> None:
    doc.misc = doc.deps = doc.heads = None
    doc.group = None
    path = tmp_path_factory.mktemp("conllu") / "x.conllu"

    write_conllu([doc], path)

    if len(doc) == 0:
        assert path.read_text() == ""
        return
    (back,) = read_conllu(path)
    assert back.words == doc.words and back.starts.tolist() == doc.starts.tolist() and back.cats == doc.cats
    assert back.text == doc.text.rstrip()
    for name in ("upos", "xpos"):
        expected = doc.column(name)
        found = back.column(name)
        assert (found.values() if found else [None] * len(doc)) == [
            value or None for value in (expected.values() if expected else [None] * len(doc))]


def test_white_space_of_any_kind_and_shared_spans_survive_the_file(tmp_path: Path) -> None:
    from frostline.corpora.tokenizer import Tokenizer

    doc = Tokenizer()("I can't go.\nIt's   over,\n\nnow|!\tx\u3000y")

    write_conllu([doc], tmp_path / "x.conllu")
    (back,) = read_conllu(tmp_path / "x.conllu")

    assert back.text == doc.text and back.words == doc.words
    assert (back.starts == doc.starts).all() and (back.ends == doc.ends).all()
    assert [item.form for item in back.source.multiwords] == ["can't", "It's"]


def test_files_without_newdoc_are_cut_by_sentences(tmp_path: Path) -> None:
    text = "".join(row(1) + "\n" for _ in range(5))

    assert [len(doc) for doc in read(tmp_path, text)] == [1] * 5
    assert [len(doc) for doc in read(tmp_path, text, n_sentences_per_doc=2)] == [2, 2, 1]
    assert [doc.doc_id for doc in read(tmp_path, text, n_sentences_per_doc=3)] == ["x-1", "x-2"]


@pytest.mark.parametrize(("text", "line", "says"), [
    ("1\tw\t_\n\n", 1, "3 columns"),
    ("1 w _ _ _ _ _ _ _ _\n\n", 1, "spaces where tabs"),
    (row(1) + row(3) + "\n", 2, "'3' where 2"),
    (row(1) + row(2, "x") + "\n", 2, "HEAD is 'x'"),
    (row(1, 5) + "\n", 1, "HEAD is 5, but the sentence has 1 words"),
    (row(1, 1) + "\n", 1, "its own head"),
    (row(1, 2) + row(2, 3) + row(3, 1) + "\n", 1, "lead back"),
    (row(1) + "# late\n" + row(2) + "\n", 2, "comment stands among"),
    ("# lonely\n\n" + row(1) + "\n", 1, "no word"),
    ("2-3\tw\t_\t_\t_\t_\t_\t_\t_\t_\n" + row(1) + "\n", 1, "2-3 stands before word 1"),
    ("1-3\tw\t_\t_\t_\t_\t_\t_\t_\t_\n" + row(1) + "\n", 2, "goes beyond the 1 words"),
    (row(1) + "3.1\tw\t_\t_\t_\t_\t_\t_\t_\t_\n\n", 2, "empty node 3.1"),
    (row(1).replace("w", "") + "\n", 1, "Column 2 is empty"),
    (row(1).replace("_\n", "NER=PER\n") + "\n", 1, "NER=PER"),
    ("# cats = sport\n" + row(1) + "\n", 1, "no categories"),
    (row(1, feats="foo") + "\n", 1, "'foo', which is no feature"),
    (row(1, feats="A=1|=2") + "\n", 1, "'=2', which is no feature"),
    (row(1, feats="A=1|B=") + "\n", 1, "'B=', which is no feature"),
    (row(1, feats="A=1|B=1|A=2") + "\n", 1, "'A' twice"),
    (row(1, feats="A=1|") + "\n", 1, "'', which is no feature"),
    ("1-2\tw\t_\t_\t_\tfoo\t_\t_\t_\t_\n" + row(1) + row(2) + "\n", 1, "no feature"),
    (row(1, upos="NO UN") + "\n", 1, "UPOS is 'NO UN', with white space"),
    (row(1, feats="A=1 |B=2") + "\n", 1, "FEATS is 'A=1 |B=2', with white space"),
    (row(1).replace("w", "a\x00b") + "\n", 1, "control character U+0000 in FORM"),
    (row(1, feats="A=\x1b") + "\n", 1, "control character U+001B in FEATS"),
    (row(1) + row(2, misc=r"SpacesAfter=\s\uD83D") + "\n", 2, "half a character"),
    (row(1, misc=r"SpacesAfter=\uZ00Z") + row(2, misc=r"SpacesAfter=\uDE00") + "\n", 2, "half a character"),
    ('# cats = {"\\ud83d": 1.0}\n' + row(1) + "\n", 1, "half a character"),
    (row(1) + row(2, 0) + row(3, 0) + "\n", 3, "second root, after word 2"),
    ("", 1, "empty"),
])
def test_a_fault_is_named_with_its_line_and_its_cure(tmp_path: Path, text: str, line: int, says: str) -> None:
    error = faults(tmp_path, text)

    assert error.where == f"{tmp_path / 'x.conllu'}:{line}"
    assert says in str(error)


ROWS = [row(number) for number in range(1, 6)]


@pytest.mark.parametrize(
    "lines",
    [
        ["1 w _ _ _ _ _ _ _ _\n"],
        [row(1), "2 w _ _ _ _ 5 _ _ _\n", row(3, 4), row(4), row(5)],
        [row(1), "odd\n", row(2), row(3, 4)],
        [row(1), row(3), row(4), row(5, 1)],
        [*ROWS, row(1), row(2), row(3, 1)],
        [row(1), row(2, feats="A=1\x00 |foo")],
    ],
    ids=["all spaces", "a line of spaces", "a line of nothing", "a number left out", "no empty line", "one column"],
)
def test_one_cause_is_one_fault(tmp_path: Path, lines: list[str]) -> None:
    error = faults(tmp_path, "".join(lines) + "\n")

    assert "faults" not in error.message


@pytest.mark.parametrize(("text", "warning"), [
    (
        "# text = Hi you .\n" + row(1, form="Hi", misc="SpaceAfter=No") + row(2, form="you") + "\n",
        ":1: The comment '# text' is not what the words and SpaceAfter give: 'Hi you .', not 'Hiyou'. The words count.",
    ),
    (row(1) + row(2, upos="NUON") + "\n", ":2: 'NUON' is none of UD's parts of speech."),
    (
        row(1, upos="noun") + "\n" + row(1, upos="verb") + row(2, upos="verb") + "\n",
        ":1: 'noun' is none of UD's parts of speech. There are 2 more like it.",
    ),
])
def test_what_can_be_kept_as_it_is_gives_a_warning_for_all_of_its_kind(
    tmp_path: Path, text: str, warning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = read(tmp_path, text)

    assert capsys.readouterr().err == f"warning: {tmp_path / 'x.conllu'}{warning}\n"
    kept = [[line for line in lines.splitlines() if line[:1].isdigit()] for lines in (text, written(docs))]
    assert kept[0] == kept[1]


def test_a_file_as_it_should_be_gives_no_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(tmp_path, SAMPLE)

    assert capsys.readouterr().err == ""


def test_a_text_with_control_characters_is_written_so_that_it_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from frostline.corpora.tokenizer import Tokenizer

    write_conllu([Tokenizer()("a\x07b\x0bc\x00")], tmp_path / "x.conllu")
    (back,) = read_conllu(tmp_path / "x.conllu")

    assert back.text == "a\ufffdb\x0bc\ufffd"
    assert capsys.readouterr().err == ""


def test_several_faults_are_named_together(tmp_path: Path) -> None:
    error = faults(tmp_path, row(1, "x") + "\n" + row(2) + "\n" + row(1) + "\n")

    assert "2 faults" in error.message and "x.conllu:1:" in error.message and "x.conllu:3:" in error.message


def test_no_more_than_twenty_faults_are_shown(tmp_path: Path) -> None:
    error = faults(tmp_path, "".join(row(1, "x") + "\n" for _ in range(100)))

    assert error.message.count("HEAD is 'x'") == 20 and "may be more" in error.message


def test_bytes_that_are_not_utf8_are_named_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "x.conllu").write_bytes((row(1) + "\n").encode() + b"1\t\xff\n")

    with pytest.raises(CorpusError) as caught:
        list(read_conllu(tmp_path / "x.conllu"))

    assert caught.value.where == f"{tmp_path / 'x.conllu'}:3"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["1", "2", "1-2", "1.1", "\t", "w", "_", "#", "\n", "\n\n", "9", "=", " ", "\x0c"]),
                max_size=40))
def test_no_file_makes_more_than_a_corpus_error(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    path = tmp_path_factory.mktemp("conllu") / "x.conllu"
    path.write_text("".join(parts))

    try:
        docs = list(read_conllu(path))
    except CorpusError:
        return
    assert sum(map(len, docs)) > 0


@pytest.mark.parametrize(("split", "n_docs", "n_words"), [
    ("dev", 318, 25147), ("test", 316, 25094), ("train", 540, 204577)])
def test_ewt_comes_back_byte_for_byte_through_a_corpus(ewt: Path, tmp_path: Path, split: str, n_docs: int,
                                                       n_words: int, capsys: pytest.CaptureFixture[str]) -> None:
    path = ewt / f"en_ewt-ud-{split}.conllu"

    write_corpus(read_conllu(path), tmp_path / "c")
    started = time.perf_counter()
    docs = list(open_corpus(tmp_path / "c"))
    seconds = time.perf_counter() - started

    assert (len(docs), sum(map(len, docs))) == (n_docs, n_words)
    assert {doc.group for doc in docs} == {"answers", "email", "newsgroup", "reviews", "weblog"}
    assert written(docs).encode() == path.read_bytes()
    assert seconds < 2
    assert capsys.readouterr().err == ""
