"""Charts: round ticks, nothing outside the frame, labels that cover nothing."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostline.report.charts import Series, line_chart, log_ticks, nice_ticks, scatter_chart


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


def test_one_evaluation_is_enough_for_a_chart() -> None:
    root = ElementTree.fromstring(chart(Series(name="a", colour=0, points=((10.0, 50.0),))))

    assert [line.get("points") for line in root.findall("polyline")] == ["586.3,157.0"]  # at the right, half way up
    assert [text.text for text in root.findall("text") if text.get("class", "").startswith("name")] == ["a"]


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
