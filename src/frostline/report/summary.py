"""Bring runs together by variant: means over seeds, ranks, best marks. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frostline.report.reading import Run

# Keys of metrics.json that get a column, with their headings, in this order.
METRIC_TITLES = {
    "score": "Score",
    "xpos_acc": "XPOS",
    "upos_acc": "UPOS",
    "feats_acc": "Features",
    "lemma_acc": "Lemmas",
    "uas": "UAS",
    "las": "LAS",
    "sents_f": "Sentences F",
    "ents_f": "Entities F",
    "cats_macro_f": "Categories F",
    "cats_micro_f": "Categories micro F",
    "cats_auc": "Categories AUC",
    "spans_f": "Spans F",
    "words_f": "Words F",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """Mean of a figure over seeds; `spread` is the standard deviation, None with one seed."""

    value: float
    spread: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """All runs of one variant."""

    name: str
    runs: tuple[Run, ...]

    @property
    def missing(self) -> str | None:
        """What is not there yet, in words; None when every run is whole."""
        faults: dict[str, list[int]] = {}
        for run in self.runs:
            if run.missing:
                faults.setdefault(run.missing, []).append(run.seed)
        if not faults:
            return None
        if any(len(seeds) == len(self.runs) for seeds in faults.values()):
            return next(iter(faults))
        return "; ".join(f"seed {', '.join(map(str, seeds))} {fault}" for fault, seeds in faults.items())

    def metric(self, split: str, name: str) -> Mean | None:
        """Mean of a metric over the seeds that have it."""
        return mean_of(run.metrics.get(split, {}).get(name) for run in self.runs)

    def score(self, split: str) -> Mean | None:
        """The weighted score, or the mean of the metrics that have a column where no score was written."""
        return mean_of(run_score(run, split) for run in self.runs)

    def cost(self, name: str, split: str | None = None) -> Mean | None:
        """Mean of a field of timing.json: of the training, or of the evaluation on `split`."""
        timings = (run.split_timing.get(split, {}) if split else run.timing for run in self.runs)
        return mean_of(_number(timing, name) for timing in timings)


def run_score(run: Run, split: str) -> float | None:
    """One run's score on a split."""
    metrics = run.metrics.get(split, {})
    if "score" in metrics:
        return metrics["score"]
    found = [metrics[name] for name in METRIC_TITLES if name in metrics]
    return statistics.fmean(found) if found else None


def mean_of(values: Iterable[float | None]) -> Mean | None:
    """Mean and standard deviation of the values that are there; None when none is."""
    there = [value for value in values if value is not None]
    if not there:
        return None
    return Mean(value=statistics.fmean(there), spread=statistics.stdev(there) if len(there) > 1 else None)


def gather(runs: Sequence[Run]) -> list[Variant]:
    """Variants, best on dev first, earliest name first on ties, those without a dev score last."""
    by_name: dict[str, list[Run]] = {}
    for run in runs:
        by_name.setdefault(run.variant, []).append(run)
    variants = [Variant(name=name, runs=tuple(found)) for name, found in by_name.items()]
    return sorted(variants, key=_rank)


def _rank(variant: Variant) -> tuple[int, float, str]:
    score = variant.score("dev")
    return (0, -score.value, variant.name) if score else (1, 0.0, variant.name)


def columns_of(variants: Sequence[Variant], wished: Sequence[str]) -> list[str]:
    """Keys of metrics.json that get a column: the wished ones, or those with a heading, that some run has.

    The score is always among them, because it decides.
    """
    there = {name for variant in variants for run in variant.runs for found in run.metrics.values() for name in found}
    names = wished if not wished or "score" in wished else ("score", *wished)
    return [name for name in names or METRIC_TITLES if name in there]


def best_names(
    variants: Sequence[Variant], figure: Callable[[Variant], Mean | None], *, lowest: bool = False
) -> frozenset[str]:
    """Names of the variants with the best figure, as it is shown (two decimals of a percent)."""
    shown = {v.name: round(found.value, 4) for v in variants if (found := figure(v)) is not None}
    if not shown:
        return frozenset()
    best = (min if lowest else max)(shown.values())
    return frozenset(name for name, value in shown.items() if value == best)


def _number(timing: Mapping[str, Any], name: str) -> float | None:
    value = timing.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
