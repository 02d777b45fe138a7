"""What changed between two commands, word by word. Pure; difflib is loaded only when something changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

SHORT = 40  # characters of a value that a sentence shows


def first_difference(old: Sequence[str], new: Sequence[str]) -> str:
    """The words that changed, where they stand together: `0.1 → 0.2`, `+ --fast`, `- --slow`; else how many places.

    Empty where there is no difference in words.
    """
    places = [
        (removed, added)
        for before, after in _paired(old, new)
        for removed, added in _differences((before or "").split(), (after or "").split())
    ]
    if len(places) == 1:
        ((removed, added),) = places
        if removed and added:
            return f"{shortened(removed)} → {shortened(added)}"
        return f"+ {shortened(added)}" if added else f"- {shortened(removed)}"
    return f"in {len(places)} places" if places else ""


def marked_lines(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each line with a sign: " " as it was, "-" gone, "+" new, "~" changed, in pieces.

    A piece is a sign and words: " " for what stands in both, "-" for what is gone, "+" for what is new; between two
    pieces there is a blank.
    """
    for before, after in _paired(old, new):
        if before == after:
            yield " ", [(" ", before or "")]
        elif after is None:
            yield "-", [("-", before or "")]
        elif before is None:
            yield "+", [("+", after)]
        else:
            yield "~", list(_pieces(before, after))


def _pieces(before: str, after: str) -> Iterator[tuple[str, str]]:
    """The words of two lines that differ; where only the blanks between them do, both lines whole."""
    old, new = before.split(), after.split()
    if old == new:
        yield from (("-", before), ("+", after))
    for kind, start, end, new_start, new_end in _changes(old, new) if old != new else ():
        if kind == "equal":
            yield " ", " ".join(old[start:end])
        else:
            gone, added = " ".join(old[start:end]), " ".join(new[new_start:new_end])
            yield from (piece for piece in (("-", gone), ("+", added)) if piece[1])


def _paired(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    """The lines of both side by side; None where one has no such line."""
    for kind, start, end, new_start, new_end in _changes(old, new):
        if kind == "equal":
            yield from zip(old[start:end], new[new_start:new_end], strict=True)
            continue
        n = min(end - start, new_end - new_start)
        yield from zip(old[start : start + n], new[new_start : new_start + n], strict=True)
        yield from ((line, None) for line in old[start + n : end])
        yield from ((None, line) for line in new[new_start + n : new_end])


def _differences(old: list[str], new: list[str]) -> Iterator[tuple[str, str]]:
    for kind, start, end, new_start, new_end in _changes(old, new):
        if kind != "equal":
            yield " ".join(old[start:end]), " ".join(new[new_start:new_end])


def _changes(old: Sequence[str], new: Sequence[str]) -> Sequence[tuple[str, int, int, int, int]]:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, old, new, autojunk=False).get_opcodes()


def shortened(text: str) -> str:
    """A text that a sentence can hold."""
    return text if len(text) <= SHORT else text[: SHORT - 3] + "…"
