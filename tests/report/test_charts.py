"""Charts: round ticks, nothing outside the frame, labels that cover nothing."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostline.report.charts import FEW_POINTS, Series, line_chart, log_ticks, nice_ticks, scatter_chart


def chart(*series: Series) -> str:
    return line_chart(series, width=620, x_title="step", y_title="score", title="Scores")


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_span_the_values_with_few_round_steps(low: float, size: float) -> None:
    ticks = nice_ticks(low, low + size)

    slack = 1e-6 * size + 1e-9
    assert ticks[0] <= low + slack and ticks[-1] >= low + size - slack
    assert 2 <= len(ticks) <= 9


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(3, 70, [2, 5, 10, 20, 50, 100]), (20, 50, [20, 50]), (0.3, 0.3, [0.2, 0.5])],
)
def test_logarithmic_ticks_are_ones_twos_and_fives(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_ticks_of_equal_values_leave_room_around_them() -> None:
    assert nice_ticks(5.0, 5.0)[0] < 5.0 < nice_ticks(5.0, 5.0)[-1]


def test_nothing_to_draw_draws_nothing() -> None:
    assert chart(Series(name="a", colour=0, points=())) == ""
    assert scatter_chart([("a", 0, 1.0, 1.0)], width=400, x_title="", y_title="", title="") == ""


def marks(root: ElementTree.Element) -> list[tuple[str | None, ...]]:
    """Class, place and radius of the marks of evaluations, in the order they are drawn."""
    return [
        tuple(mark.get(name) for name in ("class", "cx", "cy", "r"))
        for mark in root.findall("circle")
        if "point" in (mark.get("class") or "")
    ]


def test_one_evaluation_is_a_mark_because_a_line_of_one_point_can_not_be_seen() -> None:
    root = ElementTree.fromstring(chart(Series(name="a", colour=0, points=((10.0, 50.0),))))

    assert root.findall("polyline") == []
    assert marks(root) == [("point k0", "586.3", "157.0", "3")]  # at the right, half way up
    assert [text.text for text in root.findall("text") if text.get("class", "").startswith("name")] == ["a"]


@pytest.mark.parametrize(("n_evaluations", "n_marks"), [(2, 2), (FEW_POINTS, FEW_POINTS), (FEW_POINTS + 1, 0)])
def test_evaluations_are_marked_where_they_are_few(n_evaluations: int, n_marks: int) -> None:
    points = tuple((float(i), float(i * i)) for i in range(n_evaluations))

    root = ElementTree.fromstring(chart(Series(name="a", colour=0, points=points)))

    assert len(root.findall("polyline")) == 1
    assert len(marks(root)) == n_marks


def test_coinciding_evaluations_are_rings_of_each_colour() -> None:
    points = ((10.0, 50.0),)

    root = ElementTree.fromstring(chart(*(Series(name=f"v{i}", colour=i, points=points) for i in range(2))))

    assert [(class_, radius) for class_, _, _, radius in marks(root)] == [("point k1", "5"), ("point k0", "3")]


def test_the_range_of_seeds_at_one_evaluation_is_a_line() -> None:
    root = ElementTree.fromstring(chart(Series(name="a", colour=1, points=((10.0, 50.0),), band=((10.0, 40.0, 60.0),))))

    (line,) = (line for line in root.findall("line") if "range" in (line.get("class") or ""))
    assert line.get("x1") == line.get("x2")
    assert float(line.get("y1") or 0) > float(line.get("y2") or 0)


def test_labels_of_crowded_lines_stay_apart() -> None:
    series = [Series(name=f"v{i}", colour=i, points=((0.0, 10.0), (9.0, 90 + i / 100))) for i in range(8)]

    svg = chart(*series)

    heights = sorted(float(y) for y in re.findall(r'class="name[^>]* y="([\d.]+)"', svg))
    assert len(heights) == 8
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 15


def test_coinciding_lines_are_dashed_in_turn_and_labelled_together() -> None:
    points = ((0.0, 1.0), (1.0, 2.0))

    root = ElementTree.fromstring(
        chart(Series(name="a", colour=0, points=points), Series(name="b", colour=1, points=points))
    )

    lines = root.findall("polyline")
    assert [line.get("stroke-dashoffset") for line in lines] == ["0", "-10"]
    assert [text.text for text in root.findall("text") if text.get("class", "").startswith("name")] == ["a", "= b"]


def test_names_are_escaped() -> None:
    root = ElementTree.fromstring(chart(Series(name="<&>", colour=0, points=((0.0, 1.0), (1.0, 2.0)))))

    assert [text.text for text in root.findall("text") if text.get("class", "").startswith("name")] == ["<&>"]
