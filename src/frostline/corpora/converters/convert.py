"""Sources in, one corpus out: which format a file has, and the reader for it. Nothing is left half-written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from frostline.console import say
from frostline.corpora.converters.columns import DOCUMENT_START, read_columns
from frostline.corpora.converters.conllu import read_conllu
from frostline.corpora.converters.faults import as_text, numbered_lines
from frostline.corpora.converters.jsonl import read_jsonl
from frostline.corpora.converters.raw_text import TEXT_UNITS, TextUnit, read_text
from frostline.corpora.store import INDEX, WORDS_PER_SHARD, Corpus, open_corpus, write_corpus
from frostline.corpora.tokenizer import Tokenizer
from frostline.digest import sha256_file
from frostline.errors import CorpusError, UsageError, did_you_mean
from frostline.tokens import Doc

FORMATS = ("conllu", "columns", "jsonl", "text", "corpus")

_EXTENSIONS = {".conllu": "conllu", ".conllup": "conllu", ".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "text",
               ".iob": "columns", ".iob2": "columns", ".bio": "columns", ".bioes": "columns", ".bilou": "columns"}
_TAG = re.compile(r"O|[BIESLUM]-\S+")
_CONLLU_ROW = re.compile(r"[0-9]+([-.][0-9]+)?(\t[^\t]*){9}")
_CONLLU_COMMENT = re.compile(r"#\s*(newdoc|newpar|sent_id|text|global\.columns)\b")


def convert(
    sources: Sequence[Path], dest: Path, *, format: str = "auto", n_words_per_shard: int = WORDS_PER_SHARD,
    n_sentences_per_doc: int = 1, text_unit: TextUnit = "block", tokenizer: Callable[[str], Doc] | None = None,
) -> Corpus:
    """Convert files, in the order given, to the corpus folder `dest`, which appears when all is written.

    sources: files, or folders, whose files are taken in the order of their names; corpus folders too. format: one of
    FORMATS, or "auto" to go by each file's extension and content. n_sentences_per_doc: for files that don't say where
    a document begins. text_unit: what a document is in plain text. tokenizer: for text; None takes the default one.

    Raises:
        UsageError: an unknown format or text unit. CorpusError: a source is missing, of no known format or faulty,
        there is no word in all of them, or something else stands at `dest`.
    """
    if format != "auto" and format not in FORMATS:
        raise UsageError(f"There is no format '{format}'.", fix=did_you_mean(format, ["auto", *FORMATS]))
    if text_unit not in TEXT_UNITS:
        raise UsageError(f"There is no text unit '{text_unit}'.", fix=did_you_mean(text_unit, TEXT_UNITS))
    files = list(_files(sources))
    formats = [detect_format(file) if format == "auto" else format for file in files]
    tokenizer = tokenizer or Tokenizer()

    def docs() -> Iterator[Doc]:
        n_words = 0
        for file, kind in zip(files, formats, strict=True):
            n_docs = 0
            for doc in read_docs(file, format=kind, tokenizer=tokenizer, n_sentences_per_doc=n_sentences_per_doc,
                                 text_unit=text_unit):
                n_docs, n_words = n_docs + 1, n_words + len(doc)
                yield doc
            if n_docs == 0 and len(files) > 1:  # a single one is an error below
                say(f"warning: there is no doc in '{file}'")
        if n_words == 0:
            raise CorpusError("There is no word in the sources.", where=", ".join(map(str, sources)),
                              fix="Give files with text in them.")

    write_corpus(docs(), dest, n_words_per_shard=n_words_per_shard, meta={
        "sources": [{"name": as_text(file.name), "format": kind, "sha256": _digest(file)}
                    for file, kind in zip(files, formats, strict=True)]})
    return open_corpus(dest)


def read_docs(
    path: Path, *, format: str = "auto", tokenizer: Callable[[str], Doc] | None = None, n_sentences_per_doc: int = 1,
    text_unit: TextUnit = "block",
) -> Iterator[Doc]:
    """The docs of one file of any format, one at a time; the arguments and errors are those of `convert`."""
    kind = detect_format(path) if format == "auto" else format
    if kind == "conllu":
        return read_conllu(path, n_sentences_per_doc=n_sentences_per_doc)
    if kind == "columns":
        return read_columns(path, n_sentences_per_doc=n_sentences_per_doc)
    if kind == "jsonl":
        return read_jsonl(path, tokenizer=tokenizer or Tokenizer())
    if kind == "corpus":
        return iter(open_corpus(path))
    return read_text(path, tokenizer=tokenizer or Tokenizer(), unit=text_unit)


def detect_format(path: Path) -> str:
    """The format of a file, by its extension, else by its first lines.

    Raises:
        CorpusError: there is no such file, or it looks like none of FORMATS.
    """
    if path.is_dir() and (path / INDEX).is_file():
        return "corpus"
    if not path.is_file():
        raise CorpusError("There is no such file.", where=str(path), fix="Check the path.")
    known = _EXTENSIONS.get(path.suffix.lower())
    if known is not None:
        return known
    return _by_content(path)


def _by_content(path: Path) -> str:
    shown = 0
    for _, line in numbered_lines(path):
        if not line.strip():
            continue
        if _CONLLU_ROW.fullmatch(line) or _CONLLU_COMMENT.match(line):
            return "conllu"
        if line.lstrip().startswith("{") and line.rstrip().endswith("}"):
            return "jsonl"
        columns = line.split()
        if len(columns) >= 2 and (_TAG.fullmatch(columns[-1]) or columns[0] == DOCUMENT_START):
            return "columns"
        shown += 1
        if shown >= 20:
            break
    raise CorpusError("The file's format can't be told from its name or its first lines.", where=str(path),
                      fix=f"Name the format with --format: {', '.join(FORMATS)}.")


def _files(sources: Sequence[Path]) -> Iterator[Path]:
    if not sources:
        raise UsageError("There is nothing to convert.", fix="Name at least one file.")
    for source in map(Path, sources):
        if not source.exists():
            raise CorpusError("There is no such file.", where=str(source), fix="Check the path.")
        if source.is_file() or (source / INDEX).is_file():
            yield source
            continue
        inside = sorted(file for file in source.rglob("*") if file.is_file() and file.suffix.lower() in _EXTENSIONS)
        if not inside:
            raise CorpusError("The folder has no file of a known extension.", where=str(source),
                              fix=f"Name the files, or give them one of: {', '.join(_EXTENSIONS)}.")
        yield from inside


def _digest(file: Path) -> str:
    return open_corpus(file).digest if file.is_dir() else sha256_file(file)
