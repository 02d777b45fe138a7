"""Averages of the weights over the steps."""

from __future__ import annotations

import pytest
import torch

from frostline.errors import ConfigError
from frostline.layers.parameters import ParameterStore
from frostline.training.averages import NoAverages, RunningAverages, averages_from

GROUP = "tagger/weights"


def store_with(value: float) -> ParameterStore:
    module = torch.nn.Linear(2, 2, bias=False)
    torch.nn.init.constant_(module.weight, value)
    return ParameterStore.gather([("tagger", module)])


def after(averages: RunningAverages, *values: float) -> float:
    store = store_with(0.0)
    for value in values:
        store.group(GROUP).values[:4] = value
        averages.update(store)
    return float(averages.values()[GROUP][0])


def test_the_mean_of_all_steps() -> None:
    assert after(RunningAverages(decay=None), 1.0, 2.0, 6.0) == 3.0


def test_the_exponential_average_starts_as_if_young() -> None:
    young = (1 + 2) / (10 + 2)

    assert after(RunningAverages(decay=0.9), 1.0, 2.0) == pytest.approx(young * 1.0 + (1 - young) * 2.0)


def test_it_goes_on_from_what_was_saved() -> None:
    first, second = RunningAverages(decay=None), RunningAverages(decay=None)
    after(first, 1.0, 2.0)

    second.load_state_dict(first.state_dict(), device=torch.device("cpu"))

    assert after(second, 6.0) == after(first, 6.0) == 3.0


def test_frozen_groups_have_no_average() -> None:
    store = ParameterStore.gather([("transformer", torch.nn.Linear(2, 2).requires_grad_(False))])
    averages = RunningAverages(decay=0.9)

    averages.update(store)

    assert averages.values() == {}


@pytest.mark.parametrize(("setting", "decay"), [(True, 0.999), ("mean", None), (0.5, 0.5)])
def test_what_the_config_can_say(setting: object, decay: float | None) -> None:
    averages = averages_from(setting)

    assert isinstance(averages, RunningAverages) and averages.decay == decay


@pytest.mark.parametrize("setting", [None, False, "none"])
def test_no_averages(setting: object) -> None:
    assert isinstance(averages_from(setting), NoAverages)


@pytest.mark.parametrize("setting", ["median", 1.0, 2.0, -0.1])
def test_nonsense_is_refused(setting: object) -> None:
    with pytest.raises(ConfigError, match="averages"):
        averages_from(setting)
