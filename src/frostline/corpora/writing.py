"""What all writers of docs refuse: text that no UTF-8 file can hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from frostline.errors import CorpusError
from frostline.tokens import Doc
from frostline.tokens.surrogates import half_character


@contextmanager
def as_utf8(docs: Sequence[Doc]) -> Iterator[None]:
    """Write docs in the block; half a character in one of them becomes a CorpusError that names the doc."""
    try:
        yield
    except UnicodeEncodeError as error:
        doc = next((doc for doc in docs if any(half_character(text) is not None for text in _texts(doc))), None)
        name = "A doc" if doc is None else f"The doc {doc.doc_id!a}"
        code = ord(error.object[error.start])
        raise CorpusError(
            f"{name} holds half a character (U+{code:04X}), which no file can hold.",
            fix='Take it out, or replace it: text.encode("utf-16", errors="surrogatepass")'
            '.decode("utf-16", errors="replace").',
        ) from error


def _texts(doc: Doc) -> Iterator[str]:
    yield doc.doc_id
    yield doc.text
    yield doc.group or ""
    yield from doc.words.distinct()
    for column in doc.string_columns().values():
        yield from column.distinct()
    yield from doc.cats
