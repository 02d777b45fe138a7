"""Numbers that change with the step: learning rates, dropout, gradient factors.

A schedule is a pure function of the step (from 0) and the last score, so nothing of it needs saving. One that
stretches over the whole run is written with `total_steps = 0` and learns the run's length from `bind`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from frostline.config.registry import registry
from frostline.errors import ConfigError
from frostline.layers.scheduling import Rate, Schedule


def as_schedule(rate: Rate, *, where: str | None = None) -> Schedule:
    """A plain number as a schedule that never changes; ConfigError where `rate` is neither.

    Args:
        where: config path of the rate, for the message.
    """
    if isinstance(rate, Schedule):
        return rate
    if not isinstance(rate, int | float):
        raise ConfigError(
            f"A {type(rate).__name__} is neither a number nor a schedule.",
            where=where,
            fix="A schedule can be called with a step and has a method 'bind', such as frostline.constant.v1.",
        )
    _check_values(rate, where=where)
    return Constant(value=float(rate))


def dropout_at(schedule: Schedule, step: int, last_score: float | None = None) -> float:
    """The dropout of a step; ConfigError where it is not from 0 to below 1."""
    rate = schedule(step, last_score)
    if not 0 <= rate < 1:
        raise ConfigError(
            f"The dropout is {rate} at step {step}, but must be from 0 to below 1: at 1 nothing is left to learn from.",
            where="training.dropout",
            fix="Give a share such as 0.1, or a schedule whose values stay below 1.",
        )
    return rate


def check_dropout(schedule: Schedule, *, n_steps: int) -> None:
    """Raise ConfigError where a dropout is not from 0 to below 1 at one of the first `n_steps` steps."""
    for step in range(n_steps):
        dropout_at(schedule, step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """One value for the whole run."""

    value: float

    def __call__(self, step: int, last_score: float | None = None) -> float:
        return self.value

    def bind(self, *, total_steps: int | None) -> Schedule:
        """Unchanged."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmup:
    """Up in a straight line to the initial rate, then down to the final one, by a line or a half cosine.

    The first step already moves (rate / warmup_steps), and so does the last.
    """

    initial_rate: float
    warmup_steps: int
    total_steps: int  # 0: the run's own length
    final_rate: float = 0.0
    cosine: bool = False

    def __call__(self, step: int, last_score: float | None = None) -> float:
        if step < self.warmup_steps:
            return self.initial_rate * (step + 1) / self.warmup_steps
        n_falling = max(1, self.total_steps - self.warmup_steps)
        done = min(1.0, (step - self.warmup_steps) / n_falling)
        left = 0.5 * (1 + math.cos(math.pi * done)) if self.cosine else 1 - done
        return self.final_rate + (self.initial_rate - self.final_rate) * left

    def bind(self, *, total_steps: int | None) -> Schedule:
        """With the run's length in the place of 0."""
        if self.total_steps:
            return self
        if total_steps is None:
            raise ConfigError(
                "A schedule with total_steps = 0 stretches over the run, but the run has no length.",
                where="training",
                fix="Set training.max_epochs or training.max_steps, or the schedule's total_steps.",
            )
        return replace(self, total_steps=total_steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piecewise:
    """A value for each stretch of steps: `values[i]` until `boundaries[i]`, the last value from there on."""

    boundaries: tuple[int, ...]
    values: tuple[float, ...]

    def __call__(self, step: int, last_score: float | None = None) -> float:
        for boundary, value in zip(self.boundaries, self.values, strict=False):
            if step < boundary:
                return value
        return self.values[-1]

    def bind(self, *, total_steps: int | None) -> Schedule:
        """Unchanged."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class OneByOne:
    """`first`, and one more after every `steps_each` steps."""

    steps_each: int
    first: int = 1

    def __call__(self, step: int, last_score: float | None = None) -> float:
        return float(self.first + step // self.steps_each)

    def bind(self, *, total_steps: int | None) -> Schedule:
        """Unchanged."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolated:
    """A straight line between (step, value) points; the first and the last value reach outwards."""

    steps: tuple[int, ...]
    values: tuple[float, ...]

    def __call__(self, step: int, last_score: float | None = None) -> float:
        if step <= self.steps[0]:
            return self.values[0]
        for i in range(1, len(self.steps)):
            if step <= self.steps[i]:
                part = (step - self.steps[i - 1]) / (self.steps[i] - self.steps[i - 1])
                return self.values[i - 1] + part * (self.values[i] - self.values[i - 1])
        return self.values[-1]

    def bind(self, *, total_steps: int | None) -> Schedule:
        """Unchanged."""
        return self


@registry.schedules("frostline.constant.v1")
def constant(*, value: float) -> Constant:
    """One value for the whole run."""
    _check_values(value, where="value")
    return Constant(value=value)


@registry.schedules("frostline.warmup_linear.v1")
def warmup_linear(
    *, initial_rate: float, warmup_steps: int = 0, total_steps: int = 0, final_rate: float = 0.0
) -> Warmup:
    """A linear rise to initial_rate over warmup_steps, then a linear fall to final_rate at total_steps (0: the end)."""
    return _warmup(initial_rate, warmup_steps, total_steps, final_rate, cosine=False)


@registry.schedules("frostline.warmup_cosine.v1")
def warmup_cosine(
    *, initial_rate: float, warmup_steps: int = 0, total_steps: int = 0, final_rate: float = 0.0
) -> Warmup:
    """A linear rise to initial_rate over warmup_steps, then half a cosine down to final_rate at total_steps."""
    return _warmup(initial_rate, warmup_steps, total_steps, final_rate, cosine=True)


@registry.schedules("frostline.piecewise.v1")
def piecewise(*, boundaries: Sequence[int], values: Sequence[float]) -> Piecewise:
    """Constant stretches: one more value than boundaries, the boundaries growing."""
    _check_growing(boundaries, "boundaries")
    if len(values) != len(boundaries) + 1:
        raise ConfigError(
            f"{len(boundaries)} boundaries need {len(boundaries) + 1} values, but there are {len(values)}.",
            fix="Give one value before each boundary and one after the last.",
        )
    _check_values(*values, where="values")
    return Piecewise(boundaries=tuple(boundaries), values=tuple(values))


@registry.schedules("frostline.one_by_one.v1")
def one_by_one(*, steps_each: int, first: int = 1) -> OneByOne:
    """Counts up from `first`, one more after every `steps_each` steps: layers that unfreeze (Howard and Ruder 2018)."""
    if steps_each < 1:
        message = f"steps_each is {steps_each}, but must be 1 or more."
        raise ConfigError(message, where="steps_each", fix="Give the steps after which the next one begins to move.")
    _check_values(first, where="first")
    return OneByOne(steps_each=steps_each, first=first)


@registry.schedules("frostline.interpolated.v1")
def interpolated(*, steps: Sequence[int], values: Sequence[float]) -> Interpolated:
    """Straight lines between points: as many values as steps, the steps growing."""
    _check_growing(steps, "steps")
    if not steps or len(values) != len(steps):
        raise ConfigError(
            f"{len(steps)} steps need as many values, but there are {len(values)}.",
            fix="Give one value for each step, at least one.",
        )
    _check_values(*values, where="values")
    return Interpolated(steps=tuple(steps), values=tuple(values))


def _warmup(initial: float, warmup_steps: int, total_steps: int, final: float, *, cosine: bool) -> Warmup:
    for name, number in (("warmup_steps", warmup_steps), ("total_steps", total_steps)):
        if number < 0:
            fix = "Give a number of steps from 0 up."
            raise ConfigError(f"{name} is {number}, but must be 0 or more.", where=name, fix=fix)
    _check_values(initial, where="initial_rate")
    _check_values(final, where="final_rate")
    return Warmup(initial_rate=initial, warmup_steps=warmup_steps, total_steps=total_steps, final_rate=final,
                  cosine=cosine)  # fmt: skip


def _check_values(*values: float, where: str | None) -> None:
    for value in values:
        if not 0 <= value < math.inf:
            message = f"A schedule's values must be 0 or more, not {value}."
            raise ConfigError(message, where=where, fix="Give a number from 0 up.")


def _check_growing(steps: Sequence[int], name: str) -> None:
    if any(later <= earlier for earlier, later in pairwise((-1, *steps))):
        raise ConfigError(
            f"The {name} of a schedule must be 0 or more and grow, but they are {list(steps)}.",
            where=name,
            fix="Give numbers of steps, each above the one before.",
        )
