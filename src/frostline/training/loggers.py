"""What a run tells while it goes on: rows on the console, log.jsonl for the report.

log.jsonl is an output under a promise of equal bytes, so it holds no times; it is written whole at each evaluation
from the run's history. Loggers only watch: one that fails is named once and left out, and the run goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from frostline.config.registry import registry
from frostline.console import has_live_line, live, say
from frostline.files import write_text_atomic
from frostline.training.loop import StepResult

LIVE_EVERY_S = 0.25
PLAIN_EVERY_S = 30.0
N_SCORE_COLUMNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is known of a run when it starts."""

    output: Path
    n_steps: int | None  # as schedules see it; None when only patience ends the run
    max_epochs: int
    n_docs: int
    n_parameters: int
    n_trainable: int
    start_step: int  # above 0 when the run goes on from a checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRecord:
    """One row of log.jsonl; losses, learning rates and norms of the steps since the row before."""

    step: int  # optimizer steps done
    epoch: int  # whole epochs done
    words: int  # trained on so far
    losses: dict[str, float]  # mean per step, by component
    learn_rates: dict[str, float]  # of the last step, by component
    grad_norm: float  # mean, before clipping
    scores: dict[str, float]  # the names of metrics.json, without breakdowns by label
    score: float  # weighted
    is_best: bool


class Logger(Protocol):
    """Watches a run."""

    def started(self, plan: Plan) -> None:
        """Before the first step."""

    def stepped(self, result: StepResult) -> None:
        """After each step."""

    def evaluated(self, record: EvaluationRecord) -> None:
        """After each evaluation."""

    def finished(self, message: str) -> None:
        """After the last step, or when an exception ended the run; the message says which."""


def write_log(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write log.jsonl: one JSON object a line, keys in the order of EvaluationRecord."""
    write_text_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in history))


def as_row(record: EvaluationRecord) -> dict[str, Any]:
    """A record as the object that log.jsonl holds."""
    return asdict(record)


class Guarded:
    """Passes everything on to loggers; one that fails is named, and nothing more is passed on to it."""

    def __init__(self, *loggers: Logger) -> None:
        self._loggers = list(loggers)

    def started(self, plan: Plan) -> None:
        """Pass on."""
        self._each(lambda logger: logger.started(plan))

    def stepped(self, result: StepResult) -> None:
        """Pass on."""
        self._each(lambda logger: logger.stepped(result))

    def evaluated(self, record: EvaluationRecord) -> None:
        """Pass on."""
        self._each(lambda logger: logger.evaluated(record))

    def finished(self, message: str) -> None:
        """Pass on."""
        self._each(lambda logger: logger.finished(message))

    def _each(self, call: Callable[[Logger], None]) -> None:
        for logger in tuple(self._loggers):
            try:
                call(logger)
            except Exception as error:  # whatever a logger of the user's own does, the run is worth more
                self._loggers.remove(logger)
                name = type(logger).__name__
                say(f"warning: the logger {name} failed and is left out from here on ({type(error).__name__}: {error})")


class ConsoleLogger:
    """A table row for each evaluation, and in between a line with the loss, words per second and time left.

    On a terminal that line stays in place; elsewhere it is printed now and then.
    """

    def __init__(self, *, progress: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress = progress
        self._clock = clock
        self._plan: Plan | None = None
        self._columns: tuple[list[str], list[str]] | None = None
        self._started_at = self._shown_at = self._rated_at = clock()
        self._words_since = 0

    def started(self, plan: Plan) -> None:
        """Say what will be trained."""
        self._plan = plan
        self._started_at = self._shown_at = self._rated_at = self._clock()
        length = f"{plan.max_epochs} epochs, about {plan.n_steps} steps" if plan.max_epochs else (
            f"{plan.n_steps} steps" if plan.n_steps else "until the score stops rising")  # fmt: skip
        say(
            f"training {plan.n_trainable:,} of {plan.n_parameters:,} parameters on {plan.n_docs:,} docs: {length}"
            + (f", going on from step {plan.start_step}" if plan.start_step else "")
        )

    def stepped(self, result: StepResult) -> None:
        """Show how far the run is, when the last time is long enough ago."""
        self._words_since += result.n_words
        now = self._clock()
        every = LIVE_EVERY_S if has_live_line() else PLAIN_EVERY_S
        if not self._progress or self._plan is None or now - self._shown_at < every:
            return
        self._shown_at = now
        n_steps = self._plan.n_steps
        of_all = f"/{n_steps}" if n_steps else ""
        loss = " ".join(f"{name} {value:.3f}" for name, value in result.losses.items())
        left = self._seconds_left(result.step, now)
        text = f"  epoch {result.epoch + 1} step {result.step}{of_all} · loss {loss} · {self._rate(now)} words/s" + (
            f" · {_minutes(left)} left" if left is not None else "")  # fmt: skip
        (live if has_live_line() else say)(text)

    def evaluated(self, record: EvaluationRecord) -> None:
        """Print the row."""
        now = self._clock()
        if self._columns is None:
            self._columns = (list(record.losses), _score_columns(record.scores))
            say(self._header())
        losses, scores = self._columns
        cells = [f"{record.epoch:>5}", f"{record.step:>7}"]
        cells += [f"{record.losses.get(name, 0.0):>{_width(name)}.3f}" for name in losses]
        cells += [_percent(record.scores.get(name)).rjust(_width(name)) for name in scores]
        left = self._seconds_left(record.step, now)
        cells += [f"{100 * record.score:>6.2f}", f"{self._rate(now):>8}", f"{_minutes(left):>7}" if left else " " * 7]
        say(" ".join(cells) + (" best" if record.is_best else ""))
        self._rated_at = self._shown_at = self._clock()
        self._words_since = 0

    def finished(self, message: str) -> None:
        """Say how the run ended."""
        say(message)

    def _header(self) -> str:
        assert self._columns is not None
        losses, scores = self._columns
        names = [f"loss {name}" if len(losses) == 1 else name for name in losses] + scores
        widths = [_width(name) for name in losses + scores]
        middle = [name.rjust(width) for name, width in zip(names, widths, strict=True)]
        return " ".join(["epoch", "   step", *middle, " score", " words/s", "   left"])

    def _rate(self, now: float) -> str:
        return f"{self._words_since / max(now - self._rated_at, 1e-9):,.0f}"

    def _seconds_left(self, step: int, now: float) -> float | None:
        if self._plan is None or self._plan.n_steps is None or step <= self._plan.start_step:
            return None
        per_step = (now - self._started_at) / (step - self._plan.start_step)
        return max(0.0, per_step * (self._plan.n_steps - step))


@registry.loggers("frostline.ConsoleLogger.v1")
def build_console_logger(*, progress: bool = True) -> ConsoleLogger:
    """Rows on the console. progress: also a line between evaluations."""
    return ConsoleLogger(progress=progress)


def _score_columns(scores: Mapping[str, float]) -> list[str]:
    """The few scores worth a column: accuracies and F, not precision and recall."""
    telling = [name for name in scores if not name.endswith(("_p", "_r", "_full", "_micro_f", "_auc"))]
    return [name for name in telling if name not in ("score", "words_f")][:N_SCORE_COLUMNS]


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f}"


def _width(name: str) -> int:
    return max(9, len(name))


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return ""
    whole = round(seconds)
    return (
        f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"
        if whole >= 3600
        else f"{whole // 60}:{whole % 60:02}"
    )
