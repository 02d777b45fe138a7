"""Vectors from text: word2vec's and fastText's .vec (a first line with the counts), and GloVe's (none).

One word and its numbers on a line, separated by spaces. A few words of public files hold spaces themselves, so numbers
are counted from the right. The first of several lines of one word counts. A byte order mark is no part of a word.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frostline.console import say
from frostline.errors import CorpusError
from frostline.vectors.table import Vectors


def read_text(path: Path, *, max_words: int | None = None) -> Vectors:
    """The vectors of a text file, with or without a line of counts.

    Args:
        max_words: read no more than the first so many; None for all.
    Raises:
        CorpusError: a line is no word with as many finite numbers as the others; the file has no vectors, or fewer
            lines than its first one counts.
    """
    words: dict[str, None] = {}
    parts: list[npt.NDArray[np.float32]] = []
    width: int | None = None
    n_counted = n_lines = 0
    for number, line in _lines(path):
        if number == 1 and (counts := _counts(line)) is not None:
            n_counted, width = counts
            continue
        if max_words is not None and len(words) >= max_words:
            break
        if width is None:
            width = len(line.split(" ")) - 1
        word, numbers = _parsed(line, width, path, number)
        n_lines += 1
        if word not in words:
            words[word] = None
            parts.append(numbers)
    else:  # read to the end
        if n_lines < n_counted and (max_words is None or len(words) < max_words):
            raise CorpusError(
                f"The file is cut short: its first line counts {n_counted} words, but {n_lines} lines follow.",
                where=str(path),
                fix="Fetch it again, or mend the count if nothing is missing.",
            )
    if not parts:
        raise CorpusError("The file holds no vectors.", where=str(path), fix="Give a file with a word and its numbers "
                          "on each line.")  # fmt: skip
    return Vectors(tuple(words), np.stack(parts))


def looks_like_text(start: bytes) -> bool:
    """Whether a file that begins so has a word and numbers on its first lines."""
    lines = start.removeprefix(BOM_UTF8).split(b"\n")[:-1]  # the last one may be cut
    if lines and _counts(lines[0].decode("utf-8", "replace")) is not None:
        lines = lines[1:]
    if not lines:
        return False
    try:  # of a word with spaces, the numbers at the end decide
        float(lines[0].decode("utf-8").split()[-1])
    except (ValueError, IndexError):
        return False
    return True


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as stream:  # by bytes: a word may hold a character that str takes for the end of a line
        for number, raw in enumerate(stream, 1):
            if not raw.endswith(b"\n"):
                say(f"{path}:{number}: the last line has no end; if the file was cut there, its last number is wrong")
            raw = raw.removeprefix(BOM_UTF8) if number == 1 else raw
            line = raw.decode("utf-8", "replace").rstrip("\r\n").rstrip(" ")
            if line:
                yield number, line


def _counts(line: str) -> tuple[int, int] | None:
    """The words and the width that a line of two whole numbers gives; None for any other line."""
    fields = line.split()
    return (int(fields[0]), int(fields[1])) if len(fields) == 2 and all(map(str.isdigit, fields)) else None


def _parsed(line: str, width: int, path: Path, number: int) -> tuple[str, npt.NDArray[np.float32]]:
    word, *fields = line.rsplit(" ", width) if width else (line,)
    try:
        numbers = np.array(fields, dtype=np.float32)
    except ValueError:
        numbers = np.zeros(0, dtype=np.float32)
    if not width or len(numbers) != width or not np.isfinite(numbers).all():
        raise CorpusError(
            f"The line should be a word and {width or 'some'} numbers: {line[:60]!r}.",
            where=f"{path}:{number}",
            fix="Mend or remove the line; every line has as many numbers as the first.",
        )
    return word, numbers
