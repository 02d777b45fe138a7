"""Which stretches of a doc an encoder reads at once, chosen by name in a config.

    [components.transformer.model.windows]
    @windows = "frostline.sentences.v1"

A registered function gives a *getter*: it takes docs and gives, for each, spans of tokens, which may overlap, lie in
any order and leave tokens out. A doc's spans must be a function of that doc alone, since numbers are kept by it.

    @registry.windows("paragraphs.v1")
    def build_paragraphs() -> WindowGetter:
        def paragraphs(docs: Sequence[Doc]) -> list[list[tuple[int, int]]]:
            return [[(start, end) for start, end, label in doc.spans["paragraphs"]] for doc in docs]
        return paragraphs

Spans longer than the transformer's `window` are cut as long docs are; windows.py does that.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from frostline.config import registry
from frostline.errors import ConfigError, TrainingError
from frostline.tokens import Doc
from frostline.tokens.views import Span

LONGEST_SHOWN = 60  # characters of what a getter gave, in messages
WORDS_SHOWN = 5

WindowGetter: TypeAlias = Callable[[Sequence[Doc]], Iterable[Iterable[tuple[int, int] | Span]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strided:
    """Windows of so many pieces, so many apart. Counted in pieces, so no getter: windows.py cuts them."""

    window: int
    stride: int


def check_lengths(*, window: int, stride: int) -> None:
    """Raise ConfigError where one is below 1, or windows would leave gaps."""
    for name, number in (("window", window), ("stride", stride)):
        if number < 1:
            fix = "Give a number from 1 up."
            raise ConfigError(f"{name} is {number}, but must be 1 or more.", where=name, fix=fix)
    if stride > window:
        message = f"stride is {stride}, and would leave gaps between windows of {window}."
        raise ConfigError(message, where="stride", fix="Give the window's length or less.")


@registry.windows("frostline.strided.v1")
def build_strided(*, window: int = 254, stride: int = 190) -> Strided:
    """Docs that fit are read whole, longer ones in overlapping windows.

    window, stride: in pieces, special tokens aside; they take the place of the transformer's own.
    """
    check_lengths(window=window, stride=stride)
    return Strided(window=window, stride=stride)


@registry.windows("frostline.docs.v1")
def build_docs() -> WindowGetter:
    """Whole docs; those longer than the transformer's `window` are cut, so raise that to what the encoder bears."""
    return lambda docs: [[(0, len(doc))] for doc in docs]


@registry.windows("frostline.sentences.v1")
def build_sentences(*, missing: Literal["fail", "whole"] = "fail") -> WindowGetter:
    """Each sentence by itself, as a component before the transformer found them.

    missing: what happens to a doc without sentences: "fail", or "whole" to read it as one.
    """

    if missing == "fail":
        return sentences_of
    return lambda docs: [doc.sentences() for doc in docs]


def sentences_of(docs: Sequence[Doc]) -> list[list[tuple[int, int]]]:
    """(start, end) of each doc's sentences, in tokens; TrainingError where nobody has marked any in one of them."""
    for number, doc in enumerate(docs):
        if doc.sent_starts is None and len(doc):
            raise TrainingError(
                f"The transformer reads sentences, but nobody has marked any in {_called(doc, number)}.",
                fix="Put a component that marks them before the transformer, and name it in training."
                "annotating_components (docs/transformers.md has one that goes by rules); or let such docs be read "
                'whole: @windows = "frostline.sentences.v1" with missing = "whole".',
            )
    return [doc.sentences() for doc in docs]


@registry.windows("frostline.strided_tokens.v1")
def build_strided_tokens(*, window: int = 128, stride: int = 96) -> WindowGetter:
    """Windows of so many tokens, so many apart; both are numbers of tokens."""
    check_lengths(window=window, stride=stride)

    def strided(docs: Sequence[Doc]) -> list[list[tuple[int, int]]]:
        return [
            [
                (start, min(start + window, len(doc)))
                for start in range(0, len(doc), stride)
                if start == 0 or start + window - stride < len(doc)
            ]
            for doc in docs
        ]

    return strided


def spans_of(getter: WindowGetter, docs: Sequence[Doc], *, where: str | None = None) -> list[NDArray[np.int64]]:
    """What a getter gives for the docs, checked: for each doc (n_spans, 2), sorted, each once, empty ones left out.

    Args:
        where: config path of the getter's block, for messages.
    Raises:
        TrainingError: spans for more or fewer docs, something that is no span, or a span that is not one of its doc.
            One that the getter raises without a place gets `where`.
    """
    found = _as_arrays(getter, docs, where)
    if len(found) != len(docs):
        raise TrainingError(
            f"The getter of windows gave spans for {len(found)} docs, but was asked for {len(docs)}.",
            where=where,
            fix="It must give one list of spans for each doc, which may be empty.",
        )
    for doc, spans in zip(docs, found, strict=True):
        starts, ends = spans[:, 0], spans[:, 1]
        bad = np.flatnonzero((starts < 0) | (ends < starts) | (ends > len(doc)))
        if len(bad):
            start, end = spans[bad[0]].tolist()
            raise TrainingError(
                f"The getter of windows gave the span {start} to {end} for a doc of {len(doc)} tokens.",
                where=where,
                fix="A span is (first token, one past the last), both within the doc.",
            )
    return [np.unique(spans[spans[:, 1] > spans[:, 0]], axis=0) for spans in found]


def _as_arrays(getter: WindowGetter, docs: Sequence[Doc], where: str | None) -> list[NDArray[np.int64]]:
    """What a getter gives as arrays, (n_spans, 2) each; whether there is one for each doc is for the caller to say."""
    try:
        given: object = getter(docs)  # whatever somebody's function gives
        all_spans = list(given) if isinstance(given, Iterable) else None
    except TrainingError as error:
        error.where = error.where or where
        raise
    if all_spans is None:
        message = f"The getter of windows gave {_shown(given)} for {len(docs)} docs."
        raise TrainingError(message, where=where, fix=_WANTED)
    found = []
    for number, spans in enumerate(all_spans):
        try:
            found.append(_as_array(spans))
        except (TypeError, ValueError) as error:
            doc = _called(docs[number], number) if number < len(docs) else "a doc too many"
            message = f"The getter of windows gave {_shown(spans)} for {doc}."
            raise TrainingError(message, where=where, fix=_WANTED) from error
    return found


_WANTED = "It must give a list for each doc: spans of it, or pairs of whole numbers (first token, one past the last)."


def _as_array(spans: Iterable[tuple[int, int] | Span]) -> NDArray[np.int64]:
    """TypeError or ValueError where these are no spans; a number with a fraction is none, even of zero."""
    pairs = []
    for span in spans:
        start, end = (span.start, span.end) if isinstance(span, Span) else span
        pairs.append((operator.index(start), operator.index(end)))
    return np.asarray(pairs, dtype=np.int64).reshape(-1, 2)


def _shown(given: object) -> str:
    text = repr(given)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _called(doc: Doc, number: int) -> str:
    """A doc for a message: its name, else its number in the batch and how it begins."""
    if doc.doc_id:
        return f"the doc '{doc.doc_id}'"
    words = [str(word) for word in doc.words.values()]
    shown = [*words[:WORDS_SHOWN], *("…" for _ in words[WORDS_SHOWN : WORDS_SHOWN + 1])]
    return f"doc {number + 1} of the batch ('{' '.join(shown)}')"
