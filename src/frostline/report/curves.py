"""Which figures the charts show: scores as training goes on, and what a score costs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from frostline.report.charts import Series, line_chart, scatter_chart
from frostline.report.summary import Variant


def learning_chart(variants: Sequence[Variant], colours: Mapping[str, int]) -> str:
    """Dev score over steps, a line for each variant; with several seeds their mean, in the band of all of them."""
    series = [_series(variant, colours[variant.name]) for variant in variants]
    return line_chart(
        series,
        width=620,
        x_title="step",
        y_title="dev score",
        title="Learning curves: dev score by training step, one line for each variant",
    )


def cost_chart(variants: Sequence[Variant], colours: Mapping[str, int]) -> str:
    """Test score against seconds of training, a dot for each variant."""
    places = []
    for variant in variants:
        score, seconds = variant.score("test"), variant.cost("seconds")
        if score and seconds:
            places.append((variant.name, colours[variant.name], seconds.value, 100 * score.value))
    return scatter_chart(
        places,
        width=420,
        x_title="seconds of training, logarithmic",
        y_title="test score",
        title="Test score against training time",
    )


def _series(variant: Variant, colour: int) -> Series:
    logs = [{point.step: 100 * point.score for point in run.log} for run in variant.runs if run.log]
    steps = sorted(set.intersection(*(set(log) for log in logs))) if logs else []
    points = tuple((float(step), statistics.fmean(log[step] for log in logs)) for step in steps)
    band = tuple((float(step), min(log[step] for log in logs), max(log[step] for log in logs)) for step in steps)
    best = None
    if len(logs) == 1:
        kept = [point for run in variant.runs for point in run.log if point.is_best]
        best = (float(kept[-1].step), 100 * kept[-1].score) if kept else None
    return Series(name=variant.name, colour=colour, points=points, band=band if len(logs) > 1 else (), best=best)
