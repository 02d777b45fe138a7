"""The weighted score."""

from __future__ import annotations

import pytest

from frostline.errors import ConfigError
from frostline.evaluation import weighted_score


def test_the_score_is_the_weighted_mean() -> None:
    assert weighted_score({"xpos_acc": 1.0, "las": 0.5}, {"xpos_acc": 1.0, "las": 3.0}) == 2.5 / 4


def test_a_missing_metric_leaves_with_its_weight() -> None:
    assert weighted_score({"xpos_acc": 0.8}, {"xpos_acc": 0.5, "ents_f": 0.5}) == 0.8


def test_without_weights_headline_metrics_count_alike() -> None:
    assert weighted_score({"xpos_acc": 1.0, "upos_acc": 0.0, "xpos_acc/NN": 0.3, "uas": 0.7}) == 0.5


def test_a_weight_of_none_or_zero_leaves_the_metric_out() -> None:
    assert weighted_score({"xpos_acc": 1.0, "las": 0.5, "uas": 0.1}, {"xpos_acc": 1.0, "las": None, "uas": 0.0}) == 1.0


def test_the_score_of_nothing_is_zero() -> None:
    assert weighted_score({}) == 0.0


def test_an_unknown_metric_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        weighted_score({"xpos_acc": 1.0}, {"xpos_ac": 1.0})

    assert caught.value.fix == "Did you mean 'xpos_acc'?"


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ConfigError, match="below 0"):
        weighted_score({"las": 1.0}, {"las": -1.0})
