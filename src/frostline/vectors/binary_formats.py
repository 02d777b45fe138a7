"""Vectors from binary files: word2vec's, fastText's .bin with its subwords, gensim's, and arrays with a word list."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from frostline.errors import CorpusError, UsageError
from frostline.vectors.subwords import Subwords
from frostline.vectors.table import Vectors

FASTTEXT_MAGIC = 793712314
_FASTTEXT_VERSION = 12
_END_OF_SENTENCE = "</s>"
MAX_WORD_BYTES = 1 << 16


def read_word2vec(path: Path, *, max_words: int | None = None) -> Vectors:
    """word2vec's own binary: a line of counts, then each word, a space, and its float32 numbers.

    Raises:
        CorpusError: the file is cut short, or holds no vectors.
    """
    with path.open("rb") as stream:
        counts = stream.readline().split()
        if len(counts) != 2 or not all(count.isdigit() for count in counts):
            raise CorpusError("The first line should hold two numbers: words and width.", where=f"{path}:1")
        n_words, width = map(int, counts)
        n_words = n_words if max_words is None else min(n_words, max_words)
        words: dict[str, None] = {}
        parts = []
        for _ in range(n_words):
            word = _until(stream, b" ", path).lstrip(b"\n").decode("utf-8", "replace")
            numbers = _floats(stream, width, path)
            if word not in words:
                words[word] = None
                parts.append(numbers)
    if not parts:
        raise CorpusError("The file holds no vectors.", where=str(path))
    return Vectors(tuple(words), np.stack(parts))


def read_fasttext(path: Path, *, max_words: int | None = None) -> Vectors:
    """fastText's .bin (version 12): words with the means of their own row and those of their n-grams, and the n-grams.

    Raises:
        CorpusError: another version, a quantised or supervised model of words alone, or a file that is cut short.
    """
    with path.open("rb") as stream:
        magic, version = _unpack(stream, "<2i", path)
        if magic != FASTTEXT_MAGIC or version != _FASTTEXT_VERSION:
            message = f"This is no fastText model of version {_FASTTEXT_VERSION}."
            raise CorpusError(message, where=str(path), fix="Save it with a current fastText, or give its .vec file.")
        width, *_ = settings = _unpack(stream, "<12id", path)
        n_buckets, shortest, longest = settings[8], settings[9], settings[10]
        words, n_pruned = _fasttext_words(stream, path)
        (is_quantised,) = _unpack(stream, "<?", path)
        if is_quantised or n_pruned > 0:
            fix = "Give the .bin it was made from, not the .ftz."
            raise CorpusError("The model is quantised.", where=str(path), fix=fix)
        n_rows, n_columns = _unpack(stream, "<2q", path)
        if n_columns != width or n_rows < len(words):
            raise CorpusError(f"The table has {n_rows} rows of {n_columns} numbers.", where=str(path))
        table = _floats(stream, n_rows * n_columns, path).reshape(n_rows, n_columns)
    own, buckets = table[: len(words)], table[len(words) :]
    n_words = len(words) if max_words is None else min(len(words), max_words)
    if not n_buckets or not longest or not len(buckets):
        return Vectors(tuple(words[:n_words]), own[:n_words])
    subwords = Subwords(buckets=buckets, shortest=max(1, shortest), longest=longest)
    whole = np.empty((n_words, width), dtype=np.float32)
    for number, word in enumerate(words[:n_words]):
        rows = [] if word == _END_OF_SENTENCE else subwords.rows_of(word)
        whole[number] = (own[number] + buckets[rows].sum(axis=0, dtype=np.float32)) / (1 + len(rows))
    return Vectors(tuple(words[:n_words]), whole, subwords=subwords)


def read_array(
    path: Path, words: Sequence[str], *, max_words: int | None = None, blank_lines: Sequence[int] = ()
) -> Vectors:
    """A .npy or .safetensors file with one array of two dimensions, and the word of each of its rows.

    Args:
        blank_lines: those of the list that gave no word, for messages.
    Raises:
        CorpusError: there is no such array, numbers are not finite, or there are not as many words.
    """
    try:
        if path.suffix == ".npy":
            arrays = {"array": np.load(path, allow_pickle=False)}
        else:
            arrays = {name: array for name, array in load_file(path).items() if array.ndim == 2}
    except Exception as error:  # safetensors raises its own
        raise CorpusError(f"The file can't be read: {error}", where=str(path), fix=_ONE_ARRAY) from error
    if len(arrays) != 1 or next(iter(arrays.values())).ndim != 2:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"
        raise CorpusError(f"The file should hold one array of rows and columns, and has: {found}.", where=str(path),
                          fix=_ONE_ARRAY)  # fmt: skip
    (array,) = arrays.values()
    if array.dtype.kind not in "fiu":
        raise CorpusError(f"The array holds {array.dtype}, not numbers.", where=str(path), fix=_ONE_ARRAY)
    table = np.asarray(array, dtype=np.float32)
    if len(table) != len(words):
        message, fix = f"The array has {len(table)} rows, but there are {len(words)} words.", _ONE_WORD_A_ROW
        if blank_lines:
            shown = ", ".join(map(str, blank_lines[:5])) + (" and more" if blank_lines[5:] else "")
            message = f"{message[:-1]}: of the list's lines, {shown} {'are' if blank_lines[1:] else 'is'} blank."
            fix = "Write the word of each row on a line of its own, or take the row of a blank line away."
        raise CorpusError(message, where=str(path), fix=fix)
    if not np.isfinite(table).all():
        fix = "Take those rows and their words away, or save the array again."
        raise CorpusError("The array holds numbers that are not finite.", where=str(path), fix=fix)
    places = {word: place for place, word in reversed(list(enumerate(words)))}  # the first of several counts
    chosen = sorted(places.values())[:max_words]
    return Vectors(tuple(words[place] for place in chosen), table[chosen])


def read_gensim(path: Path, *, max_words: int | None = None) -> Vectors:
    """KeyedVectors that gensim saved, or a model with them; gensim itself reads the file.

    Raises:
        UsageError: gensim is not installed.
        CorpusError: gensim can't read it.
    """
    try:
        gensim: Any = importlib.import_module("gensim.models")
    except ImportError:
        raise UsageError(
            f"'{path}' is gensim's own format, and gensim is not installed.",
            fix='Install it (`pip install "frostline[vectors]"`), or save the vectors as text: '
            "vectors.save_word2vec_format('vectors.txt').",
        ) from None
    try:
        loaded = gensim.KeyedVectors.load(str(path), mmap="r")
        loaded = getattr(loaded, "wv", loaded)
        words, table = list(loaded.index_to_key)[:max_words], np.asarray(loaded.vectors[:max_words], dtype=np.float32)
    except Exception as error:  # whatever an unpickled file raises
        raise CorpusError(f"gensim can't read it: {error}", where=str(path)) from error
    return Vectors(tuple(words), table)


_ONE_WORD_A_ROW = "Give a list with one word on a line, for each row."
_ONE_ARRAY = "Save one array of numbers in it, with a row for each word: np.save(file, rows.astype('float32'))."


def _fasttext_words(stream: BinaryIO, path: Path) -> tuple[list[str], int]:
    """The words (without the labels), and how many n-grams the model was pruned to: -1 for not at all."""
    n_entries, n_words, _n_labels, _n_tokens, n_pruned = _unpack(stream, "<3i2q", path)
    words = []
    for number in range(n_entries):
        word = _until(stream, b"\0", path).decode("utf-8", "replace")
        _unpack(stream, "<qb", path)
        if number < n_words:
            words.append(word)
    for _ in range(max(0, n_pruned)):
        _unpack(stream, "<2i", path)
    return words, n_pruned


def _unpack(stream: BinaryIO, layout: str, path: Path) -> tuple[Any, ...]:
    data = stream.read(struct.calcsize(layout))
    if len(data) < struct.calcsize(layout):
        raise _cut_short(path)
    return struct.unpack(layout, data)


def _floats(stream: BinaryIO, n: int, path: Path) -> npt.NDArray[np.float32]:
    data = stream.read(n * 4)
    if n < 0 or len(data) < n * 4:
        raise _cut_short(path)
    numbers = np.frombuffer(data, dtype="<f4")
    if not np.isfinite(numbers).all():
        raise CorpusError("The file holds numbers that are not finite.", where=str(path), fix="Fetch it again.")
    return numbers


def _until(stream: BinaryIO, mark: bytes, path: Path) -> bytes:
    """The bytes before the next `mark`, which is passed."""
    found = bytearray()
    while (byte := stream.read(1)) != mark:
        if not byte or len(found) > MAX_WORD_BYTES:
            raise _cut_short(path)
        found += byte
    return bytes(found)


def _cut_short(path: Path) -> CorpusError:
    return CorpusError("The file is cut short, or of another format.", where=str(path), fix="Fetch it again.")
