"""What a treebank file says beside the tokens: comments, multiword tokens, empty nodes.

Kept with a Doc so that reading and writing CoNLL-U loses nothing. Positions are token indices of the doc. Plain
values; reading and writing them is corpora/converters' business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiword:
    """A surface token made of several words, such as "don't" = do + n't."""

    start: int                          # first word
    end: int                            # one past the last word
    form: str
    columns: tuple[str, ...] = ("_",) * 8  # LEMMA to MISC of its line, as written


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyNode:
    """A node of the enhanced graph that has no place in the text."""

    sentence: int                       # first token of its sentence
    node_id: str                        # as written, such as "8.1": after the sentence's eighth word
    columns: tuple[str, ...]            # FORM to MISC of its line, as written


@dataclass(frozen=True, slots=True, kw_only=True)
class Comments:
    """The comment lines above a sentence, each with its "#", without line ends."""

    sentence: int                       # first token of the sentence
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """All that a Doc carries of its file beside columns; empty for docs that come from elsewhere."""

    comments: tuple[Comments, ...] = ()
    multiwords: tuple[Multiword, ...] = ()
    empty_nodes: tuple[EmptyNode, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.comments or self.multiwords or self.empty_nodes)

    def slice(self, start: int, end: int) -> Source:
        """What belongs to the tokens from `start` to `end`, counted from `start`; what is cut in two is dropped."""
        if not self:
            return self
        return Source(
            comments=tuple(Comments(sentence=item.sentence - start, lines=item.lines)
                           for item in self.comments if start <= item.sentence < end),
            multiwords=tuple(_moved(item, -start)
                             for item in self.multiwords if start <= item.start and item.end <= end),
            empty_nodes=tuple(EmptyNode(sentence=item.sentence - start, node_id=item.node_id, columns=item.columns)
                              for item in self._whole_empty_nodes(start, end)),
        )

    def _whole_empty_nodes(self, start: int, end: int) -> Iterator[EmptyNode]:
        for item in self.empty_nodes:
            if start <= item.sentence < end and item.sentence + int(item.node_id.partition(".")[0]) <= end:
                yield item

    def to_json(self) -> dict[str, Any]:
        """Lists and strings only."""
        return {
            "comments": [[item.sentence, list(item.lines)] for item in self.comments],
            "multiwords": [[item.start, item.end, item.form, list(item.columns)] for item in self.multiwords],
            "empty_nodes": [[item.sentence, item.node_id, list(item.columns)] for item in self.empty_nodes],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Source:
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError where the value is of another shape."""
        return cls(
            comments=tuple(Comments(sentence=sentence, lines=tuple(lines)) for sentence, lines in value["comments"]),
            multiwords=tuple(Multiword(start=start, end=end, form=form, columns=tuple(columns))
                             for start, end, form, columns in value["multiwords"]),
            empty_nodes=tuple(EmptyNode(sentence=sentence, node_id=node_id, columns=tuple(columns))
                              for sentence, node_id, columns in value["empty_nodes"]),
        )


NOTHING = Source()


def _moved(item: Multiword, by: int) -> Multiword:
    return Multiword(start=item.start + by, end=item.end + by, form=item.form, columns=item.columns)
