"""Entity tags: IOB2 ("B-PER", "I-PER", "O"), the other schemes that become it, and spans.

Pure functions on lists of tags. A tag of None is missing: it ends a span and starts none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

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


class Cause(Enum):
    """Why a tag that goes on with an entity, or ends it, was made the beginning of one."""

    NOTHING_OPEN = "goes on with an entity that was not begun"     # as IOB1 writes most entities
    ANOTHER_OPEN = "goes on with an entity of another label"
    NOTHING_TO_CLOSE = "ends an entity that was not begun"
    ANOTHER_TO_CLOSE = "ends an entity of another label"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A tag that `normalise` made the beginning of an entity, because none of its label was open."""

    row: int
    tag: str
    cause: Cause

    @property
    def read_as(self) -> str:
        """The tag that it became."""
        return f"B-{self.tag.partition('-')[2]}"


def normalise(tags: Sequence[str | None]) -> list[str | None]:
    """Bring IOB1, IOB2, BIOES, BILUO or BMES tags to IOB2.

    An entity that is continued without having been opened is opened there, as conlleval does it; `repairs_of` says
    where. Raises TagError for any other tag.
    """
    return [tag for tag, _ in _read(tags)]


def repairs_of(tags: Sequence[str | None]) -> list[Repair]:
    """The tags of one sentence that continue or end an entity which was not opened. Raises TagError."""
    return [repair for _, repair in _read(tags) if repair is not None]


def _read(tags: Sequence[str | None]) -> Iterator[tuple[str | None, Repair | None]]:
    """Each tag in IOB2, and what had to be mended for it."""
    open_label: str | None = None
    for row, tag in enumerate(tags):
        if tag is None or tag in (OUTSIDE, ""):
            yield None if tag is None else OUTSIDE, None
            open_label = None
            continue
        mark, dash, label = tag.partition("-")
        if not dash or not label or mark not in _OPENING | _INSIDE:
            raise TagError(row, tag)
        continues = mark in _INSIDE and open_label == label
        is_odd = mark in _INSIDE and not continues
        repair = Repair(row=row, tag=tag, cause=_cause(mark, open_label)) if is_odd else None
        yield f"{'I' if continues else 'B'}-{label}", repair
        open_label = None if mark in _CLOSING else label


def _cause(mark: str, open_label: str | None) -> Cause:
    if mark in _CLOSING:
        return Cause.NOTHING_TO_CLOSE if open_label is None else Cause.ANOTHER_TO_CLOSE
    return Cause.NOTHING_OPEN if open_label is None else Cause.ANOTHER_OPEN


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
