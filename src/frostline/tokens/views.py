"""Token and Span: windows on a doc's columns. They hold no annotation themselves and cost nothing until asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frostline.tokens import attributes
from frostline.tokens.similarity import Floats, has_vector, mean_vector, similarity

if TYPE_CHECKING:
    from frostline.tokens.columns import StringColumn
    from frostline.tokens.doc import Doc


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """One word of a doc. Annotations are None where missing."""

    doc: Doc
    i: int

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Token({self.text!r}, i={self.i})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and other.doc is self.doc and other.i == self.i

    def __hash__(self) -> int:
        return hash((id(self.doc), self.i))

    @property
    def text(self) -> str:
        return self.doc.words[self.i] or ""

    @property
    def start(self) -> int:
        """First character in the doc's text."""
        return int(self.doc.starts[self.i])

    @property
    def end(self) -> int:
        """One past the last character in the doc's text."""
        return int(self.doc.ends[self.i])

    @property
    def upos(self) -> str | None:
        return _at(self.doc.upos, self.i)

    @property
    def xpos(self) -> str | None:
        return _at(self.doc.xpos, self.i)

    @property
    def feats(self) -> str | None:
        return _at(self.doc.feats, self.i)

    @property
    def lemma(self) -> str | None:
        return _at(self.doc.lemmas, self.i)

    @property
    def deprel(self) -> str | None:
        return _at(self.doc.deprels, self.i)

    @property
    def ent(self) -> str | None:
        """The IOB tag, such as "B-PER"."""
        return _at(self.doc.ents, self.i)

    @property
    def head(self) -> Token | None:
        """The token it depends on; a root is its own head; None where missing."""
        if self.doc.heads is None or self.doc.heads[self.i] < 0:
            return None
        return Token(self.doc, int(self.doc.heads[self.i]))

    @property
    def is_sent_start(self) -> bool | None:
        if self.doc.sent_starts is None or self.doc.sent_starts[self.i] < 0:
            return None
        return bool(self.doc.sent_starts[self.i])

    @property
    def norm(self) -> str:
        return attributes.norm(self.text)

    @property
    def shape(self) -> str:
        return attributes.shape(self.text)

    @property
    def prefix(self) -> str:
        return attributes.prefix(self.text)

    @property
    def suffix(self) -> str:
        return attributes.suffix(self.text)

    @property
    def vector(self) -> Floats:
        """(width,) float32; zeros where the word has none, UsageError where the doc has no vectors."""
        return mean_vector(self.doc, self.i, self.i + 1)

    @property
    def has_vector(self) -> bool:
        """Whether the word has a vector."""
        return has_vector(self.doc, self.i, self.i + 1)

    def similarity(self, other: Doc | Span | Token) -> float:
        """See `Doc.similarity`."""
        return similarity(self, other)


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Tokens `start` to `end` (exclusive) of a doc, with a label where it stands for something."""

    doc: Doc
    start: int
    end: int
    label: str = ""

    def __len__(self) -> int:
        return self.end - self.start

    def __iter__(self) -> Iterator[Token]:
        return (Token(self.doc, i) for i in range(self.start, self.end))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        label = f", label={self.label!r}" if self.label else ""
        return f"Span({self.text!r}, {self.start}, {self.end}{label})"

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, Span) and other.doc is self.doc
                and (other.start, other.end, other.label) == (self.start, self.end, self.label))

    def __hash__(self) -> int:
        return hash((id(self.doc), self.start, self.end, self.label))

    @property
    def text(self) -> str:
        """The characters from the first token to the last."""
        if self.start == self.end:
            return ""
        return self.doc.text[int(self.doc.starts[self.start]):int(self.doc.ends[self.end - 1])]

    @property
    def vector(self) -> Floats:
        """(width,) float32: the mean of the tokens that have a vector; UsageError where the doc has no vectors."""
        return mean_vector(self.doc, self.start, self.end)

    @property
    def has_vector(self) -> bool:
        """Whether some token has a vector."""
        return has_vector(self.doc, self.start, self.end)

    def similarity(self, other: Doc | Span | Token) -> float:
        """See `Doc.similarity`."""
        return similarity(self, other)

    def as_doc(self) -> Doc:
        """A doc of its own with these tokens (see Doc.slice)."""
        return self.doc.slice(self.start, self.end)


def _at(column: StringColumn | None, i: int) -> str | None:
    return None if column is None else column[i]
