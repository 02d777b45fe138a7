"""Read CoNLL columns: a word and its tags on each line, an empty line after each block, as NER data comes.

The first column is the word, the last the entity tag in IOB1, IOB2, BIOES, BILUO or BMES, which become IOB2 (an
entity that goes on without having begun begins there, with a warning: IOB1 writes most of them so); a second
column of three or more is the fine tag. Documents are what `-DOCSTART-` opens; where a file has none, blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from frostline.corpora.converters.faults import Faults, numbered_lines, stem_of
from frostline.tokens import Doc, iob
from frostline.tokens.iob import TagError

DOCUMENT_START = "-DOCSTART-"

_FIX = "Write the word first and its entity tag last, between them tabs or spaces, such as: Paris<tab>B-LOC."

Block = list[tuple[int, list[str]]]     # line number and columns of each word


def read_columns(path: Path, *, n_sentences_per_doc: int = 1) -> Iterator[Doc]:
    """The docs of a file, one at a time; their words are joined by spaces, since the format has none.

    n_sentences_per_doc: how many blocks make a doc in a file without -DOCSTART-. Blocks are taken as sentences where
    a doc may have several; a doc that is one block says nothing about sentences.

    Raises:
        CorpusError: after reading on to find more faults, up to 20, naming file, line and the way to mend each.
    """
    faults = Faults(path)
    stem = stem_of(path)
    blocks: list[Block] = []
    is_marked = False
    n_docs = 0
    for block in _blocks(path, faults):
        opens = not block
        is_marked |= opens
        if blocks and (opens or (not is_marked and len(blocks) >= n_sentences_per_doc)):
            n_docs += 1
            yield _doc(blocks, f"{stem}-{n_docs:05d}", faults, has_sentences=is_marked or n_sentences_per_doc > 1)
            blocks = []
        if block:
            blocks.append(block)
    if blocks:
        yield _doc(blocks, f"{stem}-{n_docs + 1:05d}", faults, has_sentences=is_marked or n_sentences_per_doc > 1)
    faults.raise_any()
    faults.tell_warnings()


def _blocks(path: Path, faults: Faults) -> Iterator[Block]:
    """The blocks of a file; an empty one stands for -DOCSTART-."""
    block: Block = []
    for number, line in numbered_lines(path):
        if not line or line.isspace():
            if block:
                yield block
            block = []
            continue
        columns = line.split("\t") if "\t" in line else line.split()
        if columns[0] == DOCUMENT_START:
            if block:
                yield block
            yield []
            block = []
            continue
        if "\t" not in line and line.startswith("# ") and columns[-1] != iob.OUTSIDE and "-" not in columns[-1]:
            continue  # a comment
        if len(columns) < 2:
            faults.add(number, "The line has a word and no tag.", _FIX)
        elif not columns[0].strip() or not columns[-1].strip():
            faults.add(number, "The word or its tag is empty.", _FIX)
        else:
            block.append((number, [column.strip() for column in columns]))
    if block:
        yield block


def _doc(blocks: list[Block], doc_id: str, faults: Faults, *, has_sentences: bool) -> Doc:
    ents: list[str | None] = []
    sent_starts: list[int] = []
    for block in blocks:
        try:
            ents += faults.read_tags([columns[-1] for _, columns in block], [number for number, _ in block])
        except TagError as error:
            faults.add(block[error.row][0], f"'{error.tag}' is no entity tag.",
                       "Write O, or B- or I- and a label, such as B-PER.")
            ents += [None] * len(block)
        sent_starts += [1] + [0] * (len(block) - 1)
    rows = [columns for block in blocks for _, columns in block]
    has_tags = all(len(columns) > 2 for columns in rows)
    return Doc.from_words(
        [columns[0] for columns in rows], ents=ents, doc_id=doc_id,
        xpos=[columns[1] for columns in rows] if has_tags else None,
        sent_starts=sent_starts if has_sentences else None,
    )
