"""The sample corpus: the same bytes everywhere, whole trees, and text that needs its context."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "scripts" / "make_sample.py"
SPLITS = ("train", "dev", "test")

Row = list[str]
Sentence = tuple[list[str], list[Row]]  # comments, rows


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    make(folder)
    return folder


def make(folder: Path, *options: str) -> None:
    subprocess.run([sys.executable, str(SCRIPT), str(folder), *options], check=True, capture_output=True, timeout=120)


def sentences(path: Path) -> Iterator[Sentence]:
    for block in path.read_text(encoding="utf-8").rstrip("\n").split("\n\n"):
        lines = block.split("\n")
        yield [line for line in lines if line.startswith("#")], [line.split("\t") for line in lines if line[0] != "#"]


def words(rows: list[Row]) -> list[Row]:
    return [row for row in rows if "-" not in row[0]]


def test_two_runs_give_the_same_bytes_and_these_are_known(sample: Path, tmp_path: Path) -> None:
    make(tmp_path, "--seed", "0")

    for split in SPLITS:
        name = f"sample-{split}.conllu"
        assert (tmp_path / name).read_bytes() == (sample / name).read_bytes()
    digest = hashlib.sha256((sample / "sample-dev.conllu").read_bytes()).hexdigest()
    assert digest == "de1e36d6b92b86b4abb5b53275179a8f707ecf0c5e7df1fb6264a92dcac2be13"


def test_another_seed_is_another_world(sample: Path, tmp_path: Path) -> None:
    make(tmp_path, "--seed", "1", "--train", "20", "--dev", "20", "--test", "20")

    first = (tmp_path / "sample-dev.conllu").read_bytes()
    assert not (sample / "sample-dev.conllu").read_bytes().startswith(first)


def test_a_split_does_not_change_with_the_size_of_another(sample: Path, tmp_path: Path) -> None:
    make(tmp_path, "--train", "10")

    assert (tmp_path / "sample-test.conllu").read_bytes() == (sample / "sample-test.conllu").read_bytes()


@pytest.mark.parametrize(("split", "n"), [("train", 4000), ("dev", 500), ("test", 500)])
def test_every_sentence_is_a_tree_of_well_formed_rows(sample: Path, split: str, n: int) -> None:
    found = list(sentences(sample / f"sample-{split}.conllu"))

    assert len(found) == n
    for _, rows in found:
        assert all(len(row) == 10 and all(row) for row in rows)
        plain = words(rows)
        assert [int(row[0]) for row in plain] == list(range(1, len(plain) + 1))
        heads = {int(row[0]): int(row[6]) for row in plain}
        assert list(heads.values()).count(0) == 1
        for start in heads:
            seen = set()
            node = start
            while node:
                assert node not in seen
                seen.add(node)
                node = heads[node]
        assert all((row[7] == "root") == (row[6] == "0") for row in plain)


def test_text_comments_are_what_the_tokens_and_their_spaces_spell(sample: Path) -> None:
    for comments, rows in sentences(sample / "sample-train.conllu"):
        covered = 0
        spelled = ""
        for row in rows:
            if "-" in row[0]:
                covered = int(row[0].split("-")[1])
            elif int(row[0]) <= covered:
                assert "SpaceAfter" not in row[9]
                continue
            spelled += row[1] + ("" if "SpaceAfter=No" in row[9] else " ")
        (text,) = [line.removeprefix("# text = ") for line in comments if line.startswith("# text = ")]
        assert spelled.strip() == text


def test_multiword_tokens_are_the_words_they_stand_for(sample: Path) -> None:
    forms = Counter()
    for _, rows in sentences(sample / "sample-train.conllu"):
        by_number = {row[0]: row[1] for row in rows}
        for row in rows:
            if "-" in row[0]:
                first, last = map(int, row[0].split("-"))
                assert row[1] == "".join(by_number[str(i)] for i in range(first, last + 1))
                forms[row[1].lower()] += 1

    assert {"don't", "it's"} <= forms.keys()
    assert sum(forms.values()) > 200


def test_entities_are_whole_spans_of_names(sample: Path) -> None:
    labels = Counter()
    for _, rows in sentences(sample / "sample-train.conllu"):
        before = "O"
        for row in words(rows):
            tag = dict(part.split("=", 1) for part in row[9].split("|"))["NER"]
            assert re.fullmatch(r"O|[BI]-(PER|LOC|ORG)", tag)
            if tag.startswith("I-"):
                assert before[2:] == tag[2:]
            labels[tag] += tag.startswith("B-")
            before = tag

    assert all(labels[f"B-{label}"] > 200 for label in ("PER", "LOC", "ORG"))


def test_documents_have_a_genre_one_topic_and_five_to_fifteen_sentences(sample: Path) -> None:
    genres, sizes = Counter(), []
    for comments, _ in sentences(sample / "sample-train.conllu"):
        if comments[0].startswith("# newdoc id = "):
            sizes.append(0)
            genres[comments[0].removeprefix("# newdoc id = ").split("-")[0]] += 1
            assert comments[1].count("1.0") == 1
        sizes[-1] += 1

    assert genres.keys() == {"letter", "news", "story", "guide"}
    assert all(5 <= size <= 15 for size in sizes[:-1])


def test_one_form_has_several_tags_and_some_of_the_test_words_are_new(sample: Path) -> None:
    tags: dict[str, Counter[str]] = defaultdict(Counter)
    for _, rows in sentences(sample / "sample-train.conllu"):
        for row in words(rows):
            tags[row[1].lower()][row[4]] += 1
    usual = {form: counts.most_common(1)[0][0] for form, counts in tags.items()}
    tested = [row for _, rows in sentences(sample / "sample-test.conllu") for row in words(rows)]

    n_unseen = sum(row[1].lower() not in usual for row in tested)
    n_usual = sum(usual.get(row[1].lower(), "NN") == row[4] for row in tested)

    assert 0.02 < n_unseen / len(tested) < 0.12
    assert 0.75 < n_usual / len(tested) < 0.92  # what knowing each word's usual tag is worth: context is needed
    assert {"IN", "WDT", "DT"} <= tags["that"].keys()
    assert {"PRP", "PRP$"} <= tags["her"].keys()
    assert {"IN", "TO"} <= tags["to"].keys()


def test_the_corpus_reads_as_docs_with_every_annotation(sample: Path, tmp_path: Path) -> None:
    from frostline.corpora import open_corpus
    from frostline.corpora.converters import convert

    convert([sample / "sample-dev.conllu"], tmp_path / "dev")
    corpus = open_corpus(tmp_path / "dev")

    doc = corpus[0]
    assert doc.group in {"letter", "news", "story", "guide"}
    assert sum(doc.cats.values()) == 1.0
    for name in ("xpos", "upos", "feats", "lemmas", "deprels", "ents"):
        assert not doc.column(name).is_missing.any()
