"""Entity tags: IOB2 ("B-PER", "I-PER", "O"), the other schemes that become it, and spans.

Pure functions on lists of tags. A tag of None is missing: it ends a span and starts none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

OUTSIDE = "O"

_OPENING = frozenset("BSU")     # B of all schemes; S (BIOES) and U (BILUO) are whole entities
_CLOSING = frozenset("ELSU")    # E (BIOES), L (BILUO)
_INSIDE = frozenset("IELM")     # M: the middle in BMES


class TagError(ValueError):
    """A tag that belongs to no scheme; `row` says which."""

    def __init__(self, row: int, tag: str) -> None:
        super().__init__(f"'{tag}' is no entity tag")
        self.row = row
        self.tag = tag


def normalise(tags: Sequence[str | None]) -> list[str | None]:
    """Bring IOB1, IOB2, BIOES, BILUO or BMES tags to IOB2.

    An entity that is continued without having been opened is opened there. Raises TagError for any other tag.
    """
    result: list[str | None] = []
    open_label: str | None = None
    for row, tag in enumerate(tags):
        if tag is None or tag in (OUTSIDE, ""):
            result.append(None if tag is None else OUTSIDE)
            open_label = None
            continue
        mark, dash, label = tag.partition("-")
        if not dash or not label or mark not in _OPENING | _INSIDE:
            raise TagError(row, tag)
        continues = mark in _INSIDE and open_label == label
        result.append(f"{'I' if continues else 'B'}-{label}")
        open_label = None if mark in _CLOSING else label
    return result


def spans_of(tags: Sequence[str | None]) -> list[tuple[int, int, str]]:
    """The entities of IOB2 tags as (start, end, label), end exclusive, in order."""
    spans: list[tuple[int, int, str]] = []
    start, open_label = 0, None
    for row, tag in enumerate([*tags, OUTSIDE]):
        mark, _, label = (tag or OUTSIDE).partition("-")
        if open_label is not None and (mark != "I" or label != open_label):
            spans.append((start, row, open_label))
            open_label = None
        if mark in ("B", "I") and open_label is None:
            start, open_label = row, label
    return spans


def tags_of(n_tokens: int, spans: Iterable[tuple[int, int, str]]) -> list[str]:
    """IOB2 tags of spans that don't overlap. Raises ValueError where they do, are empty, or leave the tokens."""
    tags = [OUTSIDE] * n_tokens
    for start, end, label in spans:
        if not 0 <= start < end <= n_tokens:
            raise ValueError(f"entity {label} from {start} to {end} does not lie in {n_tokens} tokens")
        if any(tag != OUTSIDE for tag in tags[start:end]):
            raise ValueError(f"entity {label} from {start} to {end} overlaps another")
        tags[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
    return tags
