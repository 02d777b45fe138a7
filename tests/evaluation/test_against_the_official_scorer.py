"""Our figures beside those of the Universal Dependencies scorer (the shared task's, kept up by its authors)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from frostline.evaluation import score_docs
from frostline.tokens import Doc, StringColumn

udeval = pytest.importorskip("udtools.udeval", reason="the official scorer is absent: pip install udtools")

KEYS = {
    "UPOS": "upos_acc",
    "XPOS": "xpos_acc",
    "UFeats": "feats_acc",
    "Lemmas": "lemma_acc",
    "UAS": "uas",
    "LAS": "las",
}
SPAN_KEYS = {"Words": "words", "Sentences": "sents"}


@dataclass
class Word:
    """A line of CoNLL-U, its head as a number in the sentence (0 for the root)."""

    form: str
    lemma: str
    upos: str
    xpos: str
    feats: str
    head: int
    deprel: str


@dataclass
class Surface:
    """A token as it stands in the text: one word, or a multiword token with several."""

    form: str
    space_after: bool
    words: list[Word] = field(default_factory=list)


Sentence = list[Surface]


def read(path: Path) -> list[list[Sentence]]:
    """Documents of sentences of a CoNLL-U file, by nothing that the package reads with."""
    documents: list[list[Sentence]] = []
    for block in path.read_text(encoding="utf8").strip().split("\n\n"):
        if not documents or "# newdoc" in block:
            documents.append([])
        sentence: Sentence = []
        inside = 0
        for line in block.split("\n"):
            cells = line.split("\t")
            if line.startswith("#") or "." in cells[0]:
                continue
            if "-" in cells[0]:
                first, last = map(int, cells[0].split("-"))
                inside = last - first + 1
                sentence.append(Surface(cells[1], "SpaceAfter=No" not in cells[9]))
                continue
            if inside == 0:
                sentence.append(Surface(cells[1], "SpaceAfter=No" not in cells[9]))
            inside = max(inside - 1, 0)
            word = Word(cells[1], cells[2], cells[3], cells[4], cells[5], int(cells[6]), cells[7])
            sentence[-1].words.append(word)
        documents[-1].append(sentence)
    return documents


def conllu(documents: list[list[Sentence]]) -> str:
    lines = []
    for sentence in (sentence for document in documents for sentence in document):
        number = 1
        for token in sentence:
            misc = "_" if token.space_after else "SpaceAfter=No"
            if len(token.words) > 1:
                lines.append("\t".join([f"{number}-{number + len(token.words) - 1}", token.form, *["_"] * 7, misc]))
            for w in token.words:
                columns = [str(number), w.form, w.lemma, w.upos, w.xpos, w.feats, str(w.head), w.deprel, "_", misc]
                lines.append("\t".join(columns))
                number += 1
        lines.append("")
    return "\n".join(lines) + "\n"


def as_doc(sentences: list[Sentence]) -> Doc:
    text, starts, ends, heads, sent_starts, words = "", [], [], [], [], []
    for sentence in sentences:
        offset = len(words)
        for token in sentence:
            for word in token.words:
                starts.append(len(text))
                ends.append(len(text) + len(token.form))
                sent_starts.append(int(len(words) == offset))
                heads.append(len(words) if word.head == 0 else offset + word.head - 1)
                words.append(word)
            text += token.form + " " * token.space_after
    doc = Doc.from_words([word.form for word in words], heads=heads, sent_starts=sent_starts)
    columns = {
        name: StringColumn.from_values(getattr(word, attribute) for word in words)
        for name, attribute in (("xpos", "xpos"), ("upos", "upos"), ("lemmas", "lemma"), ("deprels", "deprel"))
    }
    feats = StringColumn.from_values("" if word.feats == "_" else word.feats for word in words)
    return Doc(text, doc.words, starts, ends, heads=doc.heads, sent_starts=doc.sent_starts, feats=feats, **columns)


def with_wrong_labels(sentences: list[Sentence], dice: random.Random) -> list[Sentence]:
    """Every annotation of a word has been taken from another word in one case of eight; trees stay trees."""
    pool = [word for sentence in sentences for token in sentence for word in token.words]
    result = []
    for sentence in sentences:
        copied: Sentence = []
        for token in sentence:
            copied.append(Surface(token.form, token.space_after))
            for word in token.words:
                mixed = {
                    name: getattr(dice.choice(pool) if dice.random() < 0.125 else word, name)
                    for name in ("lemma", "upos", "xpos", "feats", "deprel")
                }
                copied[-1].words.append(Word(form=word.form, head=word.head, **mixed))
        reattach(copied, dice)
        result.append(copied)
    return result


def reattach(sentence: Sentence, dice: random.Random) -> None:
    """Hang some words on the root's place: no cycle can come of it."""
    words = [word for token in sentence for word in token.words]
    root = next(number for number, word in enumerate(words, 1) if word.head == 0)
    for number, word in enumerate(words, 1):
        if number != root and dice.random() < 0.2:
            word.head = root


def with_other_tokens(sentences: list[Sentence], dice: random.Random) -> list[Sentence]:
    """Cut differently: tokens split, joined, multiword tokens taken apart or made, sentences joined."""
    tokens: Sentence = []
    for sentence in with_wrong_labels(sentences, dice):
        for token in sentence:
            tokens += _recut(token, dice)
    joined: Sentence = []
    for token in tokens:
        if joined and not joined[-1].space_after and dice.random() < 0.2:
            before = joined.pop()
            word = before.words[0]
            word.form = before.form + token.form
            token = Surface(word.form, token.space_after, [word])
        joined.append(token)
    result: list[Sentence] = []
    while joined:
        length = dice.randint(5, 30)
        result.append(joined[:length])
        joined = joined[length:]
    for sentence in result:
        words = [word for token in sentence for word in token.words]
        for number, word in enumerate(words):
            word.head = dice.randint(0, number) if number else 0
            if number and word.head == 0:
                word.head = 1
    return result


def _recut(token: Surface, dice: random.Random) -> Sentence:
    chance = dice.random()
    first = token.words[0]
    if len(token.words) > 1 and chance < 0.4:  # taken as one word
        return [Surface(token.form, token.space_after, [_like(first, token.form)])]
    if len(token.words) == 1 and len(token.form) > 2 and chance < 0.1:  # split in two tokens
        cut = dice.randint(1, len(token.form) - 1)
        left, right = token.form[:cut], token.form[cut:]
        if left.isspace() or right.isspace():
            return [token]
        return [Surface(left, False, [_like(first, left)]), Surface(right, token.space_after, [_like(first, right)])]
    if len(token.words) == 1 and len(token.form) > 3 and chance < 0.15:  # a multiword token where there is none
        parts = [token.form[:2], token.form[2:]]
        return [Surface(token.form, token.space_after, [_like(first, part) for part in parts])]
    return [token]


def _like(word: Word, form: str) -> Word:
    return Word(form, word.lemma, word.upos, word.xpos, word.feats, word.head, word.deprel)


def official(tmp_path: Path, gold: list[list[Sentence]], system: list[list[Sentence]]) -> dict[str, float]:
    parsed = []
    for name, documents in (("gold", gold), ("system", system)):
        path = tmp_path / f"{name}.conllu"
        path.write_text(conllu(documents), encoding="utf8")
        parsed.append(udeval.load_conllu_file(str(path)))
    scores = udeval.evaluate(*parsed)
    figures = {ours: scores[theirs].f1 for theirs, ours in KEYS.items()}
    for theirs, ours in SPAN_KEYS.items():
        figures[f"{ours}_p"] = scores[theirs].precision
        figures[f"{ours}_r"] = scores[theirs].recall
        figures[f"{ours}_f"] = scores[theirs].f1
    return figures


@pytest.fixture(scope="module")
def dev(ewt: Path) -> list[list[Sentence]]:
    return read(ewt / "en_ewt-ud-dev.conllu")


def test_with_the_references_tokens_our_figures_are_the_official_ones(
    dev: list[list[Sentence]], tmp_path: Path
) -> None:
    dice = random.Random(7)
    system = [with_wrong_labels(document, dice) for document in dev]

    scores = score_docs(map(as_doc, dev), map(as_doc, system))

    expected = {k: v for k, v in official(tmp_path, dev, system).items() if not k.startswith("words")}
    assert {key: scores.metrics[key] for key in expected} == pytest.approx(expected, abs=1e-12)
    assert 0.5 < scores.metrics["las"] < 0.9


@pytest.mark.parametrize("seed", [1])
def test_with_other_tokens_our_figures_are_the_official_ones(
    dev: list[list[Sentence]], tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    system = [with_other_tokens(document, dice) for document in dev]

    scores = score_docs(map(as_doc, dev), map(as_doc, system))

    expected = official(tmp_path, dev, system)
    assert {key: scores.metrics[key] for key in expected} == pytest.approx(expected, abs=1e-12)
    assert 0.5 < scores.metrics["words_f"] < 0.95
