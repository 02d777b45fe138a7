"""Read vectors of any of the formats, found by a file's name and its first bytes."""

from __future__ import annotations

import struct
from codecs import BOM_UTF8
from pathlib import Path

from frostline.errors import CorpusError, UsageError, did_you_mean
from frostline.vectors.binary_formats import FASTTEXT_MAGIC, read_array, read_fasttext, read_gensim, read_word2vec
from frostline.vectors.store import META, open_vectors
from frostline.vectors.table import Vectors
from frostline.vectors.text_formats import looks_like_text, read_text

FORMATS = ("auto", "text", "word2vec-binary", "fasttext", "gensim", "array", "frostline")
_PEEK_BYTES = 1 << 16  # a line of text may hold thousands of numbers


def read_vectors(
    path: Path, *, format: str = "auto", words: Path | None = None, max_words: int | None = None
) -> Vectors:
    """The vectors of a file, or of a folder of our own.

    Args:
        format: one of FORMATS; "text" is word2vec's, GloVe's and fastText's .vec.
        words: a list with one word on a line, for "array".
        max_words: no more than the first so many; None for all.
    Raises:
        UsageError: an unknown format, a word list that is missing or not asked for, gensim's format without gensim.
        CorpusError: the file is not there, or not what it should be.
    """
    if format not in FORMATS:
        raise UsageError(f"There is no format '{format}'.", where="--format", fix=did_you_mean(format, FORMATS))
    if not path.exists():
        raise CorpusError("There is no such file.", where=str(path), fix="Check the path.")
    kind = detect_format(path) if format == "auto" else format
    if (words is not None) != (kind == "array"):
        need = "needs a" if kind == "array" else "takes no"
        fix = "Give a file with one word on a line." if kind == "array" else "Leave it out."
        raise UsageError(f"The format '{kind}' {need} list of words.", where="--words", fix=fix)
    if kind == "frostline":
        opened = open_vectors(path)
        if max_words is None or max_words >= len(opened):
            return opened
        kept = tuple(opened.words[:max_words])
        return Vectors(kept, opened.table, rows=opened.rows[:max_words], subwords=opened.subwords)
    if kind == "array":
        assert words is not None
        return read_array(path, read_words(words), max_words=max_words, blank_lines=_blank_lines(words))
    reader = {"text": read_text, "word2vec-binary": read_word2vec, "fasttext": read_fasttext, "gensim": read_gensim}
    return reader[kind](path, max_words=max_words)


def detect_format(path: Path) -> str:
    """One of FORMATS but "auto".

    Raises:
        CorpusError: nothing fits, or the file is empty.
    """
    if path.is_dir() and (path / META).is_file():
        return "frostline"
    if path.suffix in (".npy", ".safetensors"):
        return "array"
    if path.suffix in (".kv", ".model", ".gensim"):
        return "gensim"
    if path.is_file():
        with path.open("rb") as stream:
            start = stream.read(_PEEK_BYTES)
        if not start:
            raise CorpusError("The file is empty.", where=str(path), fix="Fetch or write it again.")
        if len(start) >= 4 and struct.unpack("<i", start[:4])[0] == FASTTEXT_MAGIC:
            return "fasttext"
        if looks_like_text(start if len(start) == _PEEK_BYTES else start + b"\n"):
            return "text"
        counts = start.partition(b"\n")[0].split()
        if len(counts) == 2 and all(count.isdigit() for count in counts):
            return "word2vec-binary"
    raise CorpusError("The format can't be told from the file.", where=str(path),
                      fix=f"Say which it is by --format: {', '.join(FORMATS[1:])}.")  # fmt: skip


def read_words(path: Path) -> list[str]:
    """One word on a line; empty lines are none.

    Raises:
        CorpusError: the file is not there, or holds no words.
    """
    if not path.is_file():
        raise CorpusError("There is no such list of words.", where=str(path), fix="Check the path.")
    words = [line for line in _lines_of(path) if line]
    if not words:
        raise CorpusError("The list holds no words.", where=str(path), fix="Write one word on each line.")
    return words


def _blank_lines(path: Path) -> list[int]:
    """The numbers of the lines without a word."""
    return [number for number, line in enumerate(_lines_of(path), 1) if not line]


def _lines_of(path: Path) -> list[str]:
    """The lines of a list of words, without the mark that some editors put before the first."""
    lines = path.read_bytes().removeprefix(BOM_UTF8).decode("utf-8", "replace").removesuffix("\n").split("\n")
    return [line.rstrip("\r") for line in lines]
