"""Schedules are functions of the step; the ones that stretch over the run learn its length."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from frostline.config.registry import registry
from frostline.errors import ConfigError
from frostline.training.schedules import (
    Constant,
    Schedule,
    as_schedule,
    check_dropout,
    interpolated,
    piecewise,
    warmup_cosine,
    warmup_linear,
)


def test_the_linear_warm_up_rises_and_falls_and_every_step_moves() -> None:
    rate = warmup_linear(initial_rate=1.0, warmup_steps=4, total_steps=8)

    assert [rate(step) for step in range(9)] == [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]


def test_without_warm_up_the_first_step_has_the_full_rate() -> None:
    assert warmup_linear(initial_rate=2.0, total_steps=4)(0) == 2.0


def test_the_cosine_is_at_half_in_the_middle_of_the_fall() -> None:
    rate = warmup_cosine(initial_rate=1.0, warmup_steps=2, total_steps=12, final_rate=0.2)

    assert (rate(2), rate(7), rate(12), rate(99)) == pytest.approx((1.0, 0.6, 0.2, 0.2))


def test_a_schedule_without_a_length_stretches_over_the_run() -> None:
    rate = warmup_linear(initial_rate=1.0)

    assert rate.bind(total_steps=10)(5) == 0.5
    assert warmup_linear(initial_rate=1.0, total_steps=20).bind(total_steps=10)(5) == 0.75


def test_a_run_without_a_length_needs_a_schedule_with_one() -> None:
    with pytest.raises(ConfigError, match="has no length"):
        warmup_linear(initial_rate=1.0).bind(total_steps=None)


def test_pieces_and_points() -> None:
    pieces = piecewise(boundaries=[2, 4], values=[1.0, 0.5, 0.1])
    points = interpolated(steps=[0, 10, 20], values=[1.0, 0.0, 0.5])

    assert [pieces(step) for step in range(6)] == [1.0, 1.0, 0.5, 0.5, 0.1, 0.1]
    assert [points(step) for step in (0, 5, 15, 99)] == [1.0, 0.5, 0.25, 0.5]


@pytest.mark.parametrize(
    ("boundaries", "values"), [([2, 2], [1, 1, 1]), ([2], [1]), ([-1], [1, 1])], ids=["equal", "too few", "negative"]
)
def test_pieces_that_do_not_fit_are_refused(boundaries: list[int], values: list[float]) -> None:
    with pytest.raises(ConfigError) as caught:
        piecewise(boundaries=boundaries, values=values)

    assert caught.value.fix


@pytest.mark.parametrize("name", ["warmup_steps", "total_steps"])
def test_a_number_of_steps_below_0_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is -1") as caught:
        warmup_linear(initial_rate=0.1, **{name: -1})

    assert caught.value.fix


@pytest.mark.parametrize(
    "make",
    [
        lambda: as_schedule(-1),
        lambda: warmup_linear(initial_rate=-0.1),
        lambda: warmup_cosine(initial_rate=0.1, final_rate=float("inf")),
        lambda: piecewise(boundaries=[2], values=[1, float("nan")]),
        lambda: interpolated(steps=[2], values=[-1]),
    ],
)
def test_a_value_below_0_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError, match="must be 0 or more"):
        make()


@pytest.mark.parametrize(
    ("schedule", "step"),
    [
        (as_schedule(1.0), 0),
        (piecewise(boundaries=[3], values=[0.5, 1.0]), 3),
        (warmup_linear(initial_rate=1.2, warmup_steps=4, total_steps=9), 3),
    ],
)
def test_a_dropout_of_1_or_more_is_refused_wherever_it_comes(schedule: Schedule, step: int) -> None:
    with pytest.raises(ConfigError, match=f"at step {step}") as caught:
        check_dropout(schedule, n_steps=10)

    assert caught.value.where == "training.dropout"
    assert caught.value.fix


def test_a_dropout_that_stays_below_1_is_fine() -> None:
    schedule = warmup_linear(initial_rate=0.9, warmup_steps=4, total_steps=9)

    check_dropout(schedule, n_steps=10)

    assert max(schedule(step, None) for step in range(10)) == pytest.approx(0.9)


def test_a_number_is_a_schedule_too() -> None:
    assert as_schedule(0.1) == Constant(value=0.1)


def test_a_config_names_a_schedule_inside_an_optimizer() -> None:
    block = {"@optimizers": "frostline.Adam.v1", "rates": {"tagger": 10.0}, "learn_rate": {
        "@schedules": "frostline.warmup_linear.v1", "initial_rate": 1e-4, "warmup_steps": 10}}  # fmt: skip

    adam = registry.resolve(block, path="training.optimizer")

    adam.bind(total_steps=110)
    assert adam.learn_rate(60) == pytest.approx(5e-5)
    assert registry.resolve({**block, "learn_rate": 1e-3}, path="training.optimizer").learn_rate(7) == 1e-3
