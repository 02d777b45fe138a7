"""One number out of many: the weighted mean that picks a checkpoint and a variant."""

from __future__ import annotations

from collections.abc import Mapping

from frostline.errors import ConfigError, did_you_mean

HEADLINE_METRICS = (
    "xpos_acc",
    "upos_acc",
    "feats_acc",
    "lemma_acc",
    "las",
    "sents_f",
    "ents_f",
    "cats_macro_f",
    "spans_f",
)
KNOWN_METRICS = frozenset(HEADLINE_METRICS) | {
    *("uas", "las_full", "cats_micro_f", "cats_auc"),
    *(f"{name}_{kind}" for name in ("words", "sents", "ents", "spans") for kind in "prf"),
}


def weighted_score(metrics: Mapping[str, float], weights: Mapping[str, float | None] | None = None) -> float:
    """Weighted mean of metrics, 0 to 1.

    Metrics that are absent (their annotation is missing) leave the mean, and their weight with them: missing is not
    wrong. Without weights, the headline metrics count alike; the score of nothing is 0.0.

    Args:
        metrics: as in metrics.json.
        weights: metric or metric/label -> weight >= 0; None and 0 mean that it does not count.
    Raises:
        ConfigError: a name that no scorer gives, or a negative weight.
    """
    if not weights:
        weights = dict.fromkeys(HEADLINE_METRICS, 1.0)
    for name, weight in weights.items():
        if name not in metrics and name.split("/", 1)[0] not in KNOWN_METRICS:
            raise ConfigError(
                f"No scorer gives a metric named '{name}'.",
                where="training.score_weights",
                fix=did_you_mean(name, KNOWN_METRICS | metrics.keys()),
            )
        if weight is not None and weight < 0:
            raise ConfigError(
                f"The weight of '{name}' is {weight}, below 0.",
                where=f"training.score_weights.{name}",
                fix="Weights are 0 or more; 0 leaves the metric out.",
            )
    used = {name: weight for name, weight in weights.items() if weight and name in metrics}
    total = sum(used.values())
    return sum(metrics[name] * weight for name, weight in used.items()) / total if total else 0.0
