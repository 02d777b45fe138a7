"""One result per optimizer step, for as many epochs as the reader takes.

The generator knows order, sub-batches, the optimizer and the averages; it knows neither when to stop (beyond
max_epochs) nor what is evaluated, logged or saved: see driver.py. Everything it does is a function of the state it is
given, so a run goes on from a checkpoint as if it had never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from frostline.corpora.batching import epoch_order
from frostline.errors import TrainingError
from frostline.layers.parameters import ParameterStore
from frostline.layers.randomness import Clock
from frostline.layers.scheduling import Schedule
from frostline.tokens import Doc, Example
from frostline.training.averages import Averages
from frostline.training.optimizer import Optimizer
from frostline.training.out_of_memory import Updates
from frostline.training.schedules import dropout_at

Batcher = Callable[[Iterable[Doc]], Iterator[list[Doc]]]


class Evaluation(Protocol):
    """What an evaluation gives back."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """Metric name → fraction, with the names of metrics.json."""


class Trainable(Protocol):
    """What the loop asks of a pipeline."""

    @property
    def parameters(self) -> ParameterStore:
        """All its weights."""

    def bind_schedules(self, *, total_steps: int | None) -> None:
        """Tell the schedules inside of it how long the run is; None when it has no length."""

    def begin_step(self, *, step: int, last_score: float | None) -> None:
        """Let what follows a schedule (gradient factors, what is frozen) be as it is at a step."""

    def update(self, step: Sequence[Sequence[Example]], *, dropout: float, clock: Clock) -> Mapping[str, float]:
        """Add a step's gradients, over its sub-batches; the mean loss by component. Nothing moves."""

    def evaluate(self, references: Iterable[Doc]) -> Evaluation:
        """Predict on the tokens of annotated docs, and score."""

    def to_disk(self, path: Path) -> None:
        """Save to a folder."""


class Docs(Protocol):
    """Training docs with random access: a list, or a memory-mapped corpus."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Doc: ...


@dataclass(slots=True, kw_only=True)
class Position:
    """Where a run stands; with the weights, the optimizer and the averages all that the next step depends on."""

    epoch: int = 0
    step: int = 0  # optimizer steps done
    step_in_epoch: int = 0  # of them, in this epoch
    last_score: float | None = None
    score_before: float | None = None  # the last score as the latest step saw it


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What one optimizer step did."""

    epoch: int  # from 0
    step: int  # optimizer steps done, this one included
    n_words: int
    losses: dict[str, float]  # by component, the mean over the step
    learn_rates: dict[str, float]  # by component
    grad_norm: float  # before clipping
    dropout: float
    ends_epoch: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a step is made of."""

    seed: int
    batcher: Batcher
    dropout: Schedule
    accumulate_gradient: int = 1  # batches that make one step
    max_epochs: int = 0  # 0: no limit
    on_out_of_memory: str = "fail"  # or "halve": see out_of_memory.py


def train_steps(
    pipeline: Trainable, docs: Docs, *, optimizer: Optimizer, averages: Averages, recipe: Recipe, position: Position
) -> Iterator[StepResult]:
    """Train step by step; `position` is moved along before a result is yielded.

    Args:
        docs: annotated; every epoch visits all of them, in an order that is a function of seed and epoch.
        position: where to begin. The one who reads the results sets `last_score` after an evaluation.
    Raises:
        TrainingError: no docs, a loss or gradient that is not a finite number (the weights have not moved), or a step
            that does not fit the memory.
        ConfigError: a dropout that is not from 0 to below 1.
    """
    if len(docs) == 0:
        raise TrainingError("There is nothing to train on: the corpus has no docs.", where="corpora.train")
    store, updates = pipeline.parameters, Updates(recipe.on_out_of_memory)
    while not recipe.max_epochs or position.epoch < recipe.max_epochs:
        for batches, is_last in _steps_of_epoch(docs, recipe, position.epoch, position.step_in_epoch):
            clock = Clock(seed=recipe.seed, epoch=position.epoch, step=position.step)
            dropout = dropout_at(recipe.dropout, position.step, position.last_score)
            examples = [[Example(doc.without_annotations(), doc) for doc in batch] for batch in batches]
            position.score_before = position.last_score
            pipeline.begin_step(step=position.step, last_score=position.last_score)
            losses = dict(updates.compute(pipeline, examples, dropout=dropout, clock=clock))
            _check_losses(losses, position.step)
            moved = optimizer.step(store, step=position.step, last_score=position.last_score)
            averages.update(store)
            n_words = sum(len(doc) for batch in batches for doc in batch)
            result = StepResult(
                epoch=position.epoch, step=position.step + 1, n_words=n_words,
                losses=losses, learn_rates=moved.learn_rates, grad_norm=moved.grad_norm, dropout=dropout,
                ends_epoch=is_last,
            )  # fmt: skip
            position.step += 1
            position.epoch, position.step_in_epoch = (
                (position.epoch + 1, 0) if is_last else (position.epoch, position.step_in_epoch + 1)
            )
            yield result


def count_steps(docs: Docs, recipe: Recipe, *, max_steps: int = 0) -> int | None:
    """The length of the run in steps as schedules see it: that of the first epoch, times max_epochs.

    Later epochs may fill their batches a little differently, so the real number can differ by a few. None when
    neither epochs nor steps are limited.
    """
    if not recipe.max_epochs:
        return max_steps or None
    if max_steps and max_steps <= recipe.max_epochs:
        return max_steps
    n_steps = recipe.max_epochs * sum(1 for _ in _steps_of_epoch(docs, recipe, 0, 0))
    return min(n_steps, max_steps) if max_steps else n_steps


def _steps_of_epoch(docs: Docs, recipe: Recipe, epoch: int, n_done: int) -> Iterator[tuple[list[list[Doc]], bool]]:
    """The steps of an epoch after the first `n_done`, and whether each is the epoch's last."""
    order = epoch_order(len(docs), seed=recipe.seed, epoch=epoch)
    batches = recipe.batcher(docs[int(i)] for i in order)
    held: list[list[Doc]] | None = None  # a step waits for the next one, to know whether it is the last
    for number, step in enumerate(_groups_of(batches, recipe.accumulate_gradient)):
        if held is not None:
            yield held, False
        held = step if number >= n_done else None
    if held is None:
        raise TrainingError("The batcher makes no batch of the training docs.", where="training.batcher")
    yield held, True


def _groups_of(batches: Iterable[list[Doc]], n: int) -> Iterator[list[list[Doc]]]:
    group: list[list[Doc]] = []
    for batch in batches:
        group.append(batch)
        if len(group) == n:
            yield group
            group = []
    if group:
        yield group


def _check_losses(losses: Mapping[str, Any], step: int) -> None:
    bad = sorted(name for name, loss in losses.items() if not math.isfinite(loss))
    if bad:
        raise TrainingError(
            f"The loss of '{bad[0]}' is {losses[bad[0]]} at step {step}.",
            where=f"step {step}",
            fix="Lower the learning rate, lengthen its warm-up, or look at the examples of this step.",
        )
