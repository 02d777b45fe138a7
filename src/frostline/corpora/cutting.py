"""Cut documents into what a model trains on: the whole, or runs of sentences. Pure."""

from __future__ import annotations

from typing import Literal

from frostline.errors import ConfigError
from frostline.tokens import Doc

Unit = Literal["document", "sentences"]
UNITS = ("document", "sentences")


def cut(doc: Doc, *, unit: Unit = "document", n_sentences: int = 1, max_words: int | None = None) -> list[Doc]:
    """Cut a doc into pieces that follow one another and together are the doc.

    unit: "document" leaves it whole, "sentences" takes `n_sentences` at a time. max_words: a longer piece is cut
    again, between sentences where it can be and anywhere else where a sentence alone is too long. Pieces have the
    ids "docid#0", "docid#1", …; a doc that stays whole keeps its id. Group and categories are the document's.

    Raises:
        ConfigError: an unknown unit, or a number below 1.
    """
    points = cut_points(doc, unit=unit, n_sentences=n_sentences, max_words=max_words)
    return [piece_of(doc, k if len(points) > 1 else None, start, end) for k, (start, end) in enumerate(points)]


def check_cut(unit: str, n_sentences: int, max_words: int | None) -> None:
    """Raise ConfigError where the settings of `cut` make no sense."""
    if unit not in UNITS:
        raise ConfigError(f"There is no unit '{unit}'.", where="unit", fix=f"Choose one of: {', '.join(UNITS)}.")
    for name, number in (("n_sentences", n_sentences), ("max_words", max_words)):
        if number is not None and number < 1:
            raise ConfigError(f"A doc can't be cut into pieces of less than one sentence or word: {name} is {number}.",
                              where=name, fix=f"Set {name} to 1 or more (max_words may be null: no limit).")


def cut_points(doc: Doc, *, unit: Unit, n_sentences: int, max_words: int | None) -> list[tuple[int, int]]:
    """Where `cut` cuts: (start, end) of each piece in tokens. A doc without tokens is one piece."""
    check_cut(unit, n_sentences, max_words)
    if len(doc) == 0:
        return [(0, 0)]
    return _limited(doc.sentences(), n_sentences if unit == "sentences" else None, max_words)


def piece_of(doc: Doc, k: int | None, start: int, end: int) -> Doc:
    """Piece `k` of a doc, or the doc itself where k is None."""
    if k is None:
        return doc
    piece = doc.slice(start, end)
    piece.doc_id = f"{doc.doc_id}#{k}"
    return piece


def _limited(sentences: list[tuple[int, int]], step: int | None, max_words: int | None) -> list[tuple[int, int]]:
    """Borders of the pieces, greedily: each takes sentences until `step` or `max_words` is reached."""
    pieces: list[tuple[int, int]] = []
    start = sentences[0][0]
    taken = 0
    for first, last in sentences:
        full = step is not None and taken == step
        if taken and (full or (max_words is not None and last - start > max_words)):
            pieces.append((start, first))
            start, taken = first, 0
        while max_words is not None and last - start > max_words:  # a sentence too long by itself
            pieces.append((start, start + max_words))
            start += max_words
        taken += 1
    pieces.append((start, sentences[-1][1]))
    return pieces
