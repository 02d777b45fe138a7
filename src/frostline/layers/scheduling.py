"""What everybody asks of a schedule: a number that changes with the step. The schedules themselves are training's."""

from __future__ import annotations

from typing import Protocol, TypeAlias, runtime_checkable


@runtime_checkable
class Schedule(Protocol):
    """What the loop, the optimizer and the readers of an embedding ask of a schedule."""

    def __call__(self, step: int, last_score: float | None = None) -> float:
        """The value at a step (optimizer steps done before it), after the score of the last evaluation, if any."""

    def bind(self, *, total_steps: int | None) -> Schedule:
        """The same schedule for a run of that length; ConfigError when it needs a length and there is none."""


Rate: TypeAlias = Schedule | float
