"""Entity tags of all schemes, and spans."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostline.tokens.iob import Cause, Repair, TagError, normalise, repairs_of, spans_of, tags_of


@pytest.mark.parametrize(("tags", "expected"), [
    (["B-X", "I-X", "O", "B-X"], ["B-X", "I-X", "O", "B-X"]),
    (["I-X", "I-X", "B-X", "I-Y"], ["B-X", "I-X", "B-X", "B-Y"]),
    (["B-X", "E-X", "S-Y", "I-Y"], ["B-X", "I-X", "B-Y", "B-Y"]),
    (["B-X", "I-X", "L-X", "U-Y"], ["B-X", "I-X", "I-X", "B-Y"]),
    (["B-X", "M-X", "E-X", None, "I-X", ""], ["B-X", "I-X", "I-X", None, "B-X", "O"]),
])
def test_every_scheme_becomes_iob2(tags: list[str | None], expected: list[str | None]) -> None:
    assert normalise(tags) == expected


@pytest.mark.parametrize(("tags", "expected"), [
    (["B-X", "I-X", "O", "U-X", "B-Y", "L-Y", "S-X", "B-X", "M-X", "E-X"], []),
    (["I-X", "I-X", "O", "I-Y"], [(0, "I-X", Cause.NOTHING_OPEN), (3, "I-Y", Cause.NOTHING_OPEN)]),
    (["B-X", "I-Y", "I-Y"], [(1, "I-Y", Cause.ANOTHER_OPEN)]),
    (["O", "L-X", "B-Y", "E-X"], [(1, "L-X", Cause.NOTHING_TO_CLOSE), (3, "E-X", Cause.ANOTHER_TO_CLOSE)]),
    (["B-X", "L-X", "I-X", None, "I-X"], [(2, "I-X", Cause.NOTHING_OPEN), (4, "I-X", Cause.NOTHING_OPEN)]),
])
def test_entities_that_go_on_without_having_begun_are_listed(
    tags: list[str | None], expected: list[tuple[int, str, Cause]]
) -> None:
    assert repairs_of(tags) == [Repair(row=row, tag=tag, cause=cause) for row, tag, cause in expected]


@pytest.mark.parametrize("tag", ["X", "B-", "-X", "BX", "Z-PER"])
def test_anything_else_is_refused_with_its_row(tag: str) -> None:
    with pytest.raises(TagError) as caught:
        normalise(["O", tag])
    assert caught.value.row == 1


@st.composite
def spans(draw: st.DrawFn) -> list[tuple[int, int, str]]:
    places = sorted(draw(st.sets(st.integers(0, 15), max_size=8)))
    return [(a, b, draw(st.sampled_from("XY"))) for a, b in zip(places[::2], places[1::2], strict=False)]


@given(spans())
def test_spans_survive_the_way_through_tags(given_spans: list[tuple[int, int, str]]) -> None:
    tags = tags_of(15, given_spans)

    assert spans_of(tags) == given_spans
    assert normalise(tags) == tags


def test_spans_that_overlap_or_leave_the_text_are_refused() -> None:
    for bad in ([(0, 2, "X"), (1, 3, "X")], [(2, 2, "X")], [(2, 9, "X")]):
        with pytest.raises(ValueError, match="entity X"):
            tags_of(5, bad)
