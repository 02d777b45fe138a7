"""Doc: a text, its tokens and their annotations, as columns.

A token is a word in the sense of Universal Dependencies; the words of one multiword token share its character span.
A column that is None is wholly missing; a row of -1 (or None) is missing; "" is annotated as none. Setting an
annotation replaces its column, and checks it (annotations.py): arrays of a doc from a corpus are views of a mapped
file and can't be written to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from frostline.tokens import iob
from frostline.tokens.annotations import (
    HeadAnnotation,
    Numbers,
    StartAnnotation,
    StringAnnotation,
    Strings,
    as_numbers,
    as_strings,
    check_heads,
    check_length,
)
from frostline.tokens.columns import MISSING, StringColumn
from frostline.tokens.published import ByPublisher
from frostline.tokens.similarity import Floats, WordVectors, has_vector, mean_vector, similarity
from frostline.tokens.source import NOTHING, Source
from frostline.tokens.views import Span, Token

STRING_COLUMNS = ("upos", "xpos", "feats", "lemmas", "deprels", "ents", "deps", "misc")

Spans = dict[str, list[tuple[int, int, str]]]


class Doc:
    """A text cut into words, with what is known about them.

    text: the characters. words: (n,) the word forms. starts, ends: (n,) int32 character offsets, never decreasing.
    upos, xpos, feats, lemmas, deprels: what CoNLL-U calls them. heads: (n,) int32 index of the head in this doc, the
    own index at a root. sent_starts: (n,) int8, 1 at the first word of a sentence, 0 inside. ents: IOB2 tags.
    deps, misc: the two last CoNLL-U columns, as written. cats: label -> score of the whole doc.
    spans: name -> (start, end, label) in tokens, which may overlap. group: the genre, for scores by group.
    activations: what publishers write; vectors: of words, for `vector` and `similarity`. Both are never saved, and no
    part of equality.
    A column can be set to another of the same length, to a list (None where missing), or to None.

    Raises:
        ValueError: columns of different lengths, here or when one is set, or offsets outside the text or going back.
    """

    __hash__ = None  # type: ignore[assignment]  # equality is by value, and columns can be replaced
    __slots__ = ("_deprels", "_deps", "_ends", "_ents", "_feats", "_heads", "_lemmas", "_misc", "_sent_starts",
                 "_starts", "_upos", "_words", "_xpos", "activations", "cats", "doc_id", "group", "source", "spans",
                 "text", "vectors")

    upos, xpos, feats, lemmas = StringAnnotation(), StringAnnotation(), StringAnnotation(), StringAnnotation()
    deprels, ents, deps, misc = StringAnnotation(), StringAnnotation(), StringAnnotation(), StringAnnotation()
    heads, sent_starts = HeadAnnotation(), StartAnnotation()

    def __init__(
        self, text: str, words: StringColumn, starts: npt.ArrayLike, ends: npt.ArrayLike, *,
        upos: StringColumn | None = None, xpos: StringColumn | None = None, feats: StringColumn | None = None,
        lemmas: StringColumn | None = None, deprels: StringColumn | None = None, ents: StringColumn | None = None,
        deps: StringColumn | None = None, misc: StringColumn | None = None,
        heads: npt.NDArray[np.int32] | None = None, sent_starts: npt.NDArray[np.int8] | None = None,
        cats: dict[str, float] | None = None, spans: Spans | None = None, source: Source = NOTHING,
        doc_id: str = "", group: str | None = None, check: bool = True,
    ) -> None:
        self.text = text
        self._words = words
        self._starts: npt.NDArray[np.int32] = np.asarray(starts, dtype=np.int32)
        self._ends: npt.NDArray[np.int32] = np.asarray(ends, dtype=np.int32)
        self._upos, self._xpos, self._feats, self._lemmas = upos, xpos, feats, lemmas
        self._deprels, self._ents, self._deps, self._misc = deprels, ents, deps, misc
        self._heads, self._sent_starts = heads, sent_starts
        self.cats: dict[str, float] = {} if cats is None else cats
        self.spans: Spans = {} if spans is None else spans
        self.source = source
        self.doc_id, self.group = doc_id, group
        self.activations: dict[str, Any] = ByPublisher()
        self.vectors: WordVectors | None = None
        if check:
            self._check()

    @classmethod
    def from_words(
        cls, words: Iterable[str], spaces: Iterable[bool] | None = None, *,
        heads: Numbers = None, sent_starts: Numbers = None, cats: dict[str, float] | None = None,
        spans: Spans | None = None, doc_id: str = "", group: str | None = None, **columns: Strings,
    ) -> Doc:
        """Make a doc of words whose text is not known: they are joined, with a space after each where `spaces` is true.

        spaces: one flag for each word; None puts a space between all words and none at the end.
        heads, sent_starts: numbers, None or -1 where missing. columns: lists of strings (or StringColumns) by the
        names of Doc's string columns, None where missing.

        Raises:
            TypeError: a name in `columns` that Doc does not have.
            ValueError: lengths differ.
        """
        forms = list(words)
        gaps = [True] * (len(forms) - 1) + [False] if spaces is None else [bool(flag) for flag in spaces]
        if spaces is not None and len(gaps) != len(forms):
            raise ValueError(f"{len(forms)} words, but {len(gaps)} flags in spaces")
        for name in columns:
            if name not in STRING_COLUMNS:
                raise TypeError(f"Doc has no column '{name}': it has {', '.join(STRING_COLUMNS)}")
        lengths = np.array([len(form) for form in forms], dtype=np.int32)
        starts = np.zeros(len(forms), dtype=np.int32)
        if forms:
            starts[1:] = np.cumsum(lengths + np.array(gaps, dtype=np.int32))[:-1]
        text = "".join(form + " " * gap for form, gap in zip(forms, gaps, strict=False))
        doc = cls(text, StringColumn.from_values(forms), starts, starts + lengths,
                  cats=cats, spans=spans, doc_id=doc_id, group=group)
        doc.heads, doc.sent_starts = heads, sent_starts
        for name, values in columns.items():
            setattr(doc, name, values)
        return doc

    def _check(self) -> None:
        n = len(self.words)
        sizes = {"starts": len(self.starts), "ends": len(self.ends)}
        sizes |= {name: len(column) for name, column in self.string_columns().items()}
        sizes |= {name: len(array) for name, array in (("heads", self.heads), ("sent_starts", self.sent_starts))
                  if array is not None}
        for name, size in sizes.items():
            check_length(name, size, n)
        if n == 0:
            return
        if self.words.is_missing.any():
            raise ValueError("a word is missing")
        if self.starts[0] < 0 or self.ends.max() > len(self.text) or (self.starts > self.ends).any():
            raise ValueError("a token lies outside the text")
        if (np.diff(self.starts) < 0).any() or (np.diff(self.ends) < 0).any():
            raise ValueError("tokens are not in the order of the text")
        if self.heads is not None:
            check_heads(self.heads, n)

    @property
    def words(self) -> StringColumn:
        return self._words

    @words.setter
    def words(self, values: StringColumn | Iterable[str]) -> None:
        column = as_strings(values, "words", len(self))
        if column is None or column.is_missing.any():
            raise ValueError("a word is missing")
        self._words = column

    @property
    def starts(self) -> npt.NDArray[np.int32]:
        return self._starts

    @starts.setter
    def starts(self, values: npt.ArrayLike) -> None:
        self._starts = as_numbers(values, np.int32, "starts", len(self))

    @property
    def ends(self) -> npt.NDArray[np.int32]:
        return self._ends

    @ends.setter
    def ends(self, values: npt.ArrayLike) -> None:
        self._ends = as_numbers(values, np.int32, "ends", len(self))

    def __len__(self) -> int:
        return len(self._words)

    def __iter__(self) -> Iterator[Token]:
        return (Token(self, i) for i in range(len(self)))

    @overload
    def __getitem__(self, place: int) -> Token: ...
    @overload
    def __getitem__(self, place: slice) -> Span: ...
    def __getitem__(self, place: int | slice) -> Token | Span:
        """The token at a place, from the end where that is negative; the span of a slice without a step."""
        if isinstance(place, slice):
            start, end, step = place.indices(len(self))
            if step != 1:
                raise ValueError("a span has no step")
            return Span(self, start, max(start, end))
        return Token(self, range(len(self))[place])

    def __repr__(self) -> str:
        start = self.text if len(self.text) <= 40 else self.text[:39] + "…"
        return f"Doc({start!r}, {len(self)} tokens{', id=' + repr(self.doc_id) if self.doc_id else ''})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Doc):
            return NotImplemented
        if self is other:
            return True
        plain = ("text", "doc_id", "group", "cats", "spans", "source", "words", *STRING_COLUMNS)
        return all(getattr(self, name) == getattr(other, name) for name in plain) and all(
            _same(getattr(self, name), getattr(other, name)) for name in ("starts", "ends", "heads", "sent_starts"))

    @property
    def spaces(self) -> npt.NDArray[np.bool_]:
        """(n,) True where the text goes on after the token with something that belongs to no token."""
        following = np.append(self.starts[1:], len(self.text)) if len(self) else self.starts
        return np.asarray(following > self.ends)

    @property
    def vector(self) -> Floats:
        """(width,) float32: the mean of the tokens that have a vector; UsageError where the doc has no vectors."""
        return mean_vector(self, 0, len(self))

    @property
    def has_vector(self) -> bool:
        """Whether some token has a vector."""
        return has_vector(self, 0, len(self))

    def similarity(self, other: Doc | Span | Token) -> float:
        """Cosine with another doc's, span's or token's vector, from -1 to 1; 0.0 where one has none."""
        return similarity(self, other)

    def string_columns(self) -> dict[str, StringColumn]:
        """The string annotations that are there, by name; the words are not among them."""
        found = ((name, getattr(self, name)) for name in STRING_COLUMNS)
        return {name: column for name, column in found if column is not None}

    def column(self, name: str) -> StringColumn | None:
        """A string column by its name ("words" too), None where wholly missing. Raises KeyError for another name."""
        if name != "words" and name not in STRING_COLUMNS:
            raise KeyError(f"Doc has no string column '{name}': it has words, {', '.join(STRING_COLUMNS)}")
        column: StringColumn | None = getattr(self, name)
        return column

    def set_column(self, name: str, column: StringColumn | None) -> None:
        """Replace a string annotation. Raises KeyError for another name, ValueError when the length differs."""
        if name not in STRING_COLUMNS:
            raise KeyError(f"Doc has no annotation '{name}': it has {', '.join(STRING_COLUMNS)}")
        setattr(self, name, column)

    def token(self, i: int) -> Token:
        """The view of token `i`; negative counts from the end."""
        if not -len(self) <= i < len(self):
            raise IndexError(f"token {i} of a doc of {len(self)}")
        return Token(self, i % len(self))

    def span(self, start: int, end: int, label: str = "") -> Span:
        """The view of tokens `start` to `end`, exclusive."""
        if not 0 <= start <= end <= len(self):
            raise IndexError(f"span {start} to {end} of a doc of {len(self)} tokens")
        return Span(self, start, end, label)

    def entities(self) -> list[Span]:
        """The entities of the `ents` column; none where it is missing."""
        return [] if self.ents is None else [Span(self, *span) for span in iob.spans_of(self.ents.values())]

    def sentences(self) -> list[tuple[int, int]]:
        """(start, end) of each sentence in tokens. Where no start is annotated, the doc is one sentence."""
        if len(self) == 0:
            return []
        if self.sent_starts is None:
            return [(0, len(self))]
        starts = [0, *(i for i in np.flatnonzero(self.sent_starts == 1).tolist() if i > 0)]
        return list(zip(starts, [*starts[1:], len(self)], strict=True))

    def slice(self, start: int, end: int) -> Doc:
        """A doc of tokens `start` to `end`, exclusive, and their stretch of the text.

        Heads are counted anew; a head outside is missing, and its relation with it. An entity cut at its beginning
        starts with B again; spans and multiword tokens that are cut in two are dropped. The id, the group and the
        categories stay those of the whole.
        """
        if not 0 <= start <= end <= len(self):
            raise IndexError(f"slice {start} to {end} of a doc of {len(self)} tokens")
        first = int(self.starts[start]) if start < end else 0
        last = int(self.ends[end - 1]) if start < end else 0
        columns = {name: column[start:end] for name, column in self.string_columns().items()}
        heads = None
        if self.heads is not None:
            heads, columns = _heads_inside(self.heads[start:end], start, end, columns)
        if "ents" in columns:
            columns["ents"] = _reopened(columns["ents"])
        spans = {name: [(s - start, e - start, label) for s, e, label in items if start <= s and e <= end]
                 for name, items in self.spans.items()}
        return self._with_its_vectors(Doc(
            self.text[first:last], self.words[start:end],
            self.starts[start:end] - np.int32(first), self.ends[start:end] - np.int32(first),
            heads=heads, sent_starts=None if self.sent_starts is None else self.sent_starts[start:end],
            cats=dict(self.cats), spans=spans, source=self.source.slice(start, end),
            doc_id=self.doc_id, group=self.group, check=False, **columns,
        ))

    def without_annotations(self) -> Doc:
        """The same text, tokens, id and group, and nothing else: what a pipeline is given to predict on."""
        multiwords = Source(multiwords=self.source.multiwords) if self.source.multiwords else NOTHING
        return self._with_its_vectors(Doc(self.text, self.words, self.starts, self.ends, source=multiwords,
                                          doc_id=self.doc_id, group=self.group, check=False))

    def copy(self) -> Doc:
        """A doc whose annotations can be replaced without touching this one; arrays are shared."""
        return self._with_its_vectors(Doc(
            self.text, self.words, self.starts, self.ends, heads=self.heads, sent_starts=self.sent_starts,
            cats=dict(self.cats), spans={name: list(items) for name, items in self.spans.items()},
            source=self.source, doc_id=self.doc_id, group=self.group, check=False, **self.string_columns(),
        ))

    def _with_its_vectors(self, made: Doc) -> Doc:
        made.vectors = self.vectors
        return made


def _same(left: npt.NDArray[Any] | None, right: npt.NDArray[Any] | None) -> bool:
    if left is None or right is None:
        return left is right
    return bool(np.array_equal(left, right))


def _heads_inside(
    heads: npt.NDArray[np.int32], start: int, end: int, columns: dict[str, StringColumn]
) -> tuple[npt.NDArray[np.int32], dict[str, StringColumn]]:
    inside = (heads >= start) & (heads < end)
    cut = ~inside & (heads >= 0)
    if cut.any() and "deprels" in columns:
        deprels = columns["deprels"]
        columns = columns | {"deprels": StringColumn(np.where(cut, MISSING, deprels.codes), deprels.table)}
    return np.where(inside, heads - start, MISSING).astype(np.int32), columns


def _reopened(ents: StringColumn) -> StringColumn:
    if len(ents) == 0 or not (ents[0] or "").startswith("I-"):
        return ents
    return StringColumn.from_values(iob.normalise(ents.values()))
