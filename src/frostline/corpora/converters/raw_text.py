"""Read plain text through a tokenizer: a document is a file, a block between empty lines, or a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from frostline.corpora.converters.faults import numbered_lines, stem_of
from frostline.tokens import Doc

TextUnit = Literal["file", "block", "line"]
TEXT_UNITS = ("file", "block", "line")


def read_text(path: Path, *, tokenizer: Callable[[str], Doc], unit: TextUnit = "block") -> Iterator[Doc]:
    """The docs of a UTF-8 file, one at a time; what holds nothing but white space is left out.

    Raises:
        CorpusError: the file can't be read, or a line is not UTF-8.
    """
    for number, text in enumerate(_texts(path, unit), start=1):
        doc = tokenizer(text)
        doc.doc_id = f"{stem_of(path)}-{number:05d}"
        yield doc


def _texts(path: Path, unit: TextUnit) -> Iterator[str]:
    lines: list[str] = []
    for _, line in numbered_lines(path):
        is_empty = not line.strip()
        if lines and (unit == "line" or (unit == "block" and is_empty)):
            yield "\n".join(lines)
            lines.clear()
        if not is_empty or (unit == "file" and lines):
            lines.append(line)
    text = "\n".join(lines).rstrip()
    if text:
        yield text
