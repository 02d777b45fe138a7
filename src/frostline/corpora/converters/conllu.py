"""Read CoNLL-U: lines to sentences to docs, with everything that writing them back needs.

A document is what `# newdoc` opens; where a file has none, runs of sentences. Entities come from MISC (`NER=B-PER`),
categories from a comment (`# cats = {"news": 1.0}`), the group from a comment (`# group = blog`) or from what stands
before the first "-" of the document's id, as in EWT. Checking the lines is conllu_lines.py's business, writing
conllu_writer.py's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from frostline.corpora.converters.conllu_lines import Sentence, read_sentences
from frostline.corpora.converters.faults import Faults, stem_of
from frostline.tokens import Comments, Doc, EmptyNode, Multiword, Source, StringColumn
from frostline.tokens.iob import TagError
from frostline.tokens.surrogates import half_character

ENTITY_KEY = "NER"
PARAGRAPH_GAP = "\n\n"
HALF_CHARACTER = "{} holds half a character: a surrogate without its other half."

_GENRE = re.compile(r"([A-Za-z]+)-")
_SPACES = {"s": " ", "t": "\t", "n": "\n", "r": "\r", "p": "|", "\\": "\\"}
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))")


def read_conllu(path: Path, *, n_sentences_per_doc: int = 1) -> Iterator[Doc]:
    """The docs of a CoNLL-U file, one at a time.

    n_sentences_per_doc: how many sentences make a doc in a file (or the part of one) without `# newdoc`.

    Raises:
        CorpusError: after reading on to find more faults, up to 20, naming file, line and the way to mend each.
    """
    faults = Faults(path)
    builder: _DocBuilder | None = None
    is_marked = False
    n_docs = 0
    for sentence in read_sentences(path, faults):
        opens = sentence.value("newdoc") is not None or sentence.value("newdoc id") is not None
        is_marked |= opens
        if builder is not None and (opens or (not is_marked and builder.n_sentences >= n_sentences_per_doc)):
            yield builder.doc(f"{stem_of(path)}-{n_docs}")
            builder = None
        if builder is None:
            n_docs += 1
            builder = _DocBuilder(faults)
        builder.add(sentence)
    faults.raise_any()
    faults.tell_warnings()
    if builder is not None:
        yield builder.doc(f"{stem_of(path)}-{n_docs}")


class _DocBuilder:
    """A doc in the making: plain lists, one entry for each word."""

    def __init__(self, faults: Faults) -> None:
        self.n_sentences = 0
        self._faults = faults
        self._text: list[str] = []
        self._n_characters = 0
        self._gap = ""
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._rows: list[list[str]] = []
        self._heads: list[int] = []
        self._sent_starts: list[int] = []
        self._ents: list[str | None] = []
        self._source: dict[str, list[Any]] = {"comments": [], "multiwords": [], "empty_nodes": []}
        self._cats: dict[str, float] = {}
        self._doc_id: str | None = None
        self._group: str | None = None

    def add(self, sentence: Sentence) -> None:
        """Append a sentence."""
        first = len(self._rows)
        if self.n_sentences == 0:
            self._doc_id = sentence.value("newdoc id") or sentence.value("sent_id")
            self._group = sentence.value("group") or sentence.value("genre")
        elif sentence.value("newpar") is not None or sentence.value("newpar id") is not None:
            self._gap = PARAGRAPH_GAP
        self._read_cats(sentence)
        self._lay_out(sentence)
        self._rows += sentence.rows
        self._heads += [first + i if head == 0 else first + head - 1 if head > 0 else -1
                        for i, head in enumerate(sentence.heads)]
        self._sent_starts += [1] + [0] * (len(sentence.rows) - 1)
        self._read_entities(sentence)
        if sentence.comments:
            self._source["comments"].append(Comments(sentence=first, lines=tuple(sentence.comments)))
        for start, end, columns in sentence.multiwords:
            self._source["multiwords"].append(Multiword(
                start=first + start, end=first + end, form=columns[0], columns=tuple(columns[1:])))
        for node_id, columns in sentence.empty_nodes:
            self._source["empty_nodes"].append(EmptyNode(sentence=first, node_id=node_id, columns=tuple(columns)))
        self.n_sentences += 1

    def _lay_out(self, sentence: Sentence) -> None:
        """Put the surface tokens into the text, and give each word the span of its token."""
        multiwords = {start: (end, columns) for start, end, columns in sentence.multiwords}
        n_before = len(self._text)
        i = 0
        while i < len(sentence.rows):
            end, columns = multiwords.get(i, (i + 1, sentence.rows[i]))
            start = self._n_characters + len(self._gap)
            self._text += (self._gap, columns[0])
            self._n_characters = start + len(columns[0])
            self._starts += [start] * (end - i)
            self._ends += [self._n_characters] * (end - i)
            self._gap = " " if columns[8] == "_" else _gap_after(columns[8])
            if half_character(self._gap) is not None:
                self._faults.add(sentence.lines[i], HALF_CHARACTER.format("SpacesAfter"), "Take it out.")
                self._gap = " "
            i = end
        self._compare_text(sentence, "".join(self._text[n_before + 1:]))  # without the gap before the first word

    def _compare_text(self, sentence: Sentence, text: str) -> None:
        """Warn where the comment "# text" says something else than the words; white space counts as one space."""
        written = sentence.value("text")
        if written is None or written == text or written.split() == text.split():
            return
        self._faults.warn(
            sentence.comment_line("text"), "text",
            f"The comment '# text' is not what the words and SpaceAfter give: '{_shortened(written, text)}', not "
            f"'{_shortened(text, written)}'. The words count.")

    def _read_entities(self, sentence: Sentence) -> None:
        tags: list[str | None] = [_entity_of(row[8]) for row in sentence.rows]
        if any(tags):
            try:
                tags = self._faults.read_tags(tags, sentence.lines)
            except TagError as error:
                self._faults.add(sentence.lines[error.row], f"{ENTITY_KEY}={error.tag} in MISC is no entity tag.",
                                 f"Write {ENTITY_KEY}=O, or B- or I- and a label, such as {ENTITY_KEY}=B-PER.")
        self._ents += tags

    def _read_cats(self, sentence: Sentence) -> None:
        value = sentence.value("cats")
        if value is None:
            return
        try:
            cats = {str(label): float(score) for label, score in json.loads(value).items()}
            if any(half_character(label) is not None for label in cats):
                message = HALF_CHARACTER.format("The comment '# cats'")
                self._faults.add(sentence.comment_line("cats"), message, "Take it out.")
            else:
                self._cats |= cats
        except (ValueError, TypeError, AttributeError):
            self._faults.add(sentence.comment_line("cats"), "The comment '# cats' holds no categories.",
                             'Write a JSON object of numbers, such as # cats = {"news": 1.0, "sport": 0.0}.')

    def doc(self, default_id: str) -> Doc:
        """The doc, when its last sentence has been added."""
        doc_id = self._doc_id or default_id
        genre = _GENRE.match(doc_id)
        forms, lemmas, upos, xpos, feats, _, deprels, deps, misc = zip(*self._rows, strict=True)
        return Doc(
            "".join(self._text), StringColumn.from_values(forms),
            np.array(self._starts, dtype=np.int32), np.array(self._ends, dtype=np.int32),
            lemmas=_column("_" if form == lemma == "_" else _or_missing(lemma)
                           for form, lemma in zip(forms, lemmas, strict=True)),
            upos=_column(map(_or_missing, upos)), xpos=_column(map(_or_missing, xpos)),
            feats=_column("" if value == "_" and tag != "_" else _or_missing(value)
                          for value, tag in zip(feats, upos, strict=True)),
            deprels=_column(map(_or_missing, deprels)), deps=_column(map(_or_missing, deps)),
            misc=_column("" if value == "_" else value for value in misc), ents=_column(self._ents),
            heads=np.array(self._heads, dtype=np.int32) if any(head >= 0 for head in self._heads) else None,
            sent_starts=np.array(self._sent_starts, dtype=np.int8), cats=self._cats,
            source=Source(**{name: tuple(items) for name, items in self._source.items()}),
            doc_id=doc_id, group=self._group or (genre.group(1) if genre else None),
        )


def _column(values: Any) -> StringColumn | None:
    column = StringColumn.from_values(values)
    return None if column.is_missing.all() else column


def _or_missing(value: str) -> str | None:
    return None if value == "_" else value


def _entity_of(misc: str) -> str | None:
    if ENTITY_KEY not in misc:
        return None
    for item in misc.split("|"):
        key, _, value = item.partition("=")
        if key == ENTITY_KEY:
            return value
    return None


def _gap_after(misc: str) -> str:
    """The white space that MISC puts behind a token: one space, unless SpaceAfter or SpacesAfter say otherwise."""
    gap = " "
    for item in misc.split("|"):
        key, _, value = item.partition("=")
        if key == "SpacesAfter":
            return _ESCAPE.sub(_unescaped, value)
        if key == "SpaceAfter" and value == "No":
            gap = ""
    return gap


def _shortened(text: str, other: str) -> str:
    """The part of a text where it begins to differ from another."""
    first = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))
    start = max(0, first - 20)
    return ("…" if start else "") + text[start:first + 20] + ("…" if first + 20 < len(text) else "")


def _unescaped(match: re.Match[str]) -> str:
    code, letter = match.groups()
    return chr(int(code, 16)) if code else _SPACES.get(letter, letter)
