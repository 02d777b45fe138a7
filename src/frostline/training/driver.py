"""The policy of a run: when to evaluate, what to save, when to stop, what to do when it is interrupted.

Reads the results of loop.py one by one. After each evaluation the output folder holds a whole model-best, a log up
to here, and a checkpoint to go on from; at the end model-last and timing.json too, and no checkpoint.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from frostline.config.user_code import CodeFiles
from frostline.console import say
from frostline.errors import ConfigError, TrainingError
from frostline.evaluation.timing import Timing, bytes_on_disk, peak_gpu_mib, peak_memory_mib
from frostline.evaluation.weights import HEADLINE_METRICS, weighted_score
from frostline.files import held, remove_tree, write_json_atomic
from frostline.tokens import Doc
from frostline.training.averages import Averages, NoAverages
from frostline.training.checkpoint import Learner, Progress, resume, save_best, save_checkpoint
from frostline.training.loggers import ConsoleLogger, EvaluationRecord, Guarded, Logger, Plan, as_row, write_log
from frostline.training.loop import Docs, Position, Recipe, StepResult, Trainable, count_steps, train_steps
from frostline.training.memory import STEPS_BETWEEN, give_back
from frostline.training.optimizer import Optimizer
from frostline.training.saving import CHECKPOINT, LOG, MODEL_BEST, MODEL_LAST, TIMING, clear_leftovers, save_model
from frostline.training.schedules import check_dropout


class Ending(enum.Enum):
    """Why a run ended."""

    MAX_STEPS = "max_steps is reached"
    MAX_EPOCHS = "max_epochs is reached"
    PATIENCE = "the score has not risen for as many steps as patience allows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When to evaluate and when to stop; max_epochs is in the Recipe."""

    max_steps: int = 0  # 0: no limit
    patience: int = 0  # steps without a better score; 0: no limit
    eval_frequency: int = 0  # steps between evaluations; 0: once per epoch
    score_weights: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run writes, and what its records say about it."""

    output: Path
    digest: str  # of config, data, code and versions: what a checkpoint must match (checkpoint.digest_of_run)
    code: CodeFiles = ()  # of the user's own, to say whether it is that which differs
    precision: str = "float32"
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to."""

    ending: Ending
    best_score: float
    best_step: int
    n_steps: int
    n_epochs: int  # whole ones
    n_words: int
    resumed_from: int | None  # step of the checkpoint, None for a run from the start


def check_ending(*, max_epochs: int, max_steps: int, patience: int) -> None:
    """Raise ConfigError where nothing ever ends the run."""
    if not (max_epochs or max_steps or patience):
        raise ConfigError(
            "Nothing ever ends this training: max_epochs, max_steps and patience are all 0.",
            where="training",
            fix="Set one of them above 0.",
        )


def bind_schedules(
    pipeline: Trainable, docs: Docs, optimizer: Optimizer, recipe: Recipe, policy: Policy
) -> tuple[Recipe, int | None]:
    """Tell all schedules how long the run is; the recipe with its schedule bound, and the length in steps."""
    total_steps = count_steps(docs, recipe, max_steps=policy.max_steps)
    optimizer.bind(total_steps=total_steps)
    pipeline.bind_schedules(total_steps=total_steps)
    dropout = recipe.dropout.bind(total_steps=total_steps)
    check_dropout(dropout, n_steps=total_steps or 1)  # at the last step it would be late to hear of it
    return replace(recipe, dropout=dropout), total_steps


def train(
    pipeline: Trainable,
    train_docs: Docs,
    dev_docs: Iterable[Doc],
    *,
    optimizer: Optimizer,
    recipe: Recipe,
    policy: Policy,
    place: Place,
    averages: Averages | None = None,
    logger: Logger | None = None,
) -> Outcome:
    """Train to the end, from the checkpoint in the output folder if there is one of this very run.

    Args:
        pipeline: initialised; its parameters are in their store.
        dev_docs: annotated; gone through once for each evaluation.
        averages: of the weights, for what is evaluated and saved; None for none.
        logger: watches beside the console, or is a console logger itself.
    Raises:
        ConfigError: nothing ever ends the run, or its dropout reaches 1.
        TrainingError: there is nothing to train on or to score, a loss or gradient is not finite, another training
            writes to the same folder, or the disk refuses.
    Any exception, Ctrl-C too, leaves the last state as model-last and is raised again.
    """
    check_ending(max_epochs=recipe.max_epochs, max_steps=policy.max_steps, patience=policy.patience)
    recipe, total_steps = bind_schedules(pipeline, train_docs, optimizer, recipe, policy)
    learner = Learner(store=pipeline.parameters, optimizer=optimizer, averages=averages or NoAverages())
    run = _Run(pipeline=pipeline, dev_docs=dev_docs, learner=learner, policy=policy, place=place,
               logger=_watching(logger))  # fmt: skip
    with held(place.output) as is_ours:
        if not is_ours:
            raise TrainingError(
                "Another training writes to this folder.",
                where=str(place.output),
                fix="Wait until it has ended, or name another --output.",
            )
        return _carried_out(run, train_docs, recipe, total_steps)


def _carried_out(run: _Run, train_docs: Docs, recipe: Recipe, total_steps: int | None) -> Outcome:
    resumed_from = run.begin()
    store = run.learner.store
    plan = Plan(output=run.place.output, n_steps=total_steps, max_epochs=recipe.max_epochs, n_docs=len(train_docs),
                n_parameters=store.n_parameters, n_trainable=store.n_trainable,
                start_step=resumed_from or 0)  # fmt: skip
    run.logger.started(plan)
    try:
        ending = run.go(train_docs, recipe)
    except BaseException as error:
        run.rescue(error)
        raise
    return run.finish(ending, resumed_from)


def _watching(logger: Logger | None) -> Guarded:
    if isinstance(logger, ConsoleLogger):
        return Guarded(logger)
    return Guarded(ConsoleLogger(), logger) if logger is not None else Guarded(ConsoleLogger())


@dataclass(slots=True, kw_only=True)
class _Tally:
    """Sums over the steps since the last evaluation."""

    n_steps: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    grad_norm: float = 0.0

    def add(self, result: StepResult) -> None:
        self.n_steps += 1
        self.grad_norm += result.grad_norm
        for name, loss in result.losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + loss


@dataclass(slots=True, kw_only=True)
class _Run:
    """A run under way."""

    pipeline: Trainable
    dev_docs: Iterable[Doc]
    learner: Learner
    policy: Policy
    place: Place
    logger: Guarded
    progress: Progress = field(default_factory=Progress)
    tally: _Tally = field(default_factory=_Tally)
    session_started: float = field(default_factory=time.perf_counter)

    @property
    def _checkpoint(self) -> Path:
        return self.place.output / CHECKPOINT

    def begin(self) -> int | None:
        """Clear up after a killed run and go on from its checkpoint; the step it goes on from, None for a new run."""
        clear_leftovers(self.place.output)
        found = resume(self._checkpoint, self.learner, digest=self.place.digest, code=self.place.code,
                       prepare=self._stand_at)  # fmt: skip
        if found.progress is None:
            if self._checkpoint.exists():
                say(f"training starts anew: {found.reason}")
                remove_tree(self._checkpoint)
            return None
        say(f"resuming from the checkpoint in {self._checkpoint}: {found.reason}")
        self.progress = found.progress
        self.session_started = time.perf_counter() - found.progress.seconds
        if self.progress.best_step is not None:  # outputs may have been removed before this try
            save_model(self.pipeline, self.place.output / MODEL_BEST, values=found.best)
        write_log(self.place.output / LOG, self.progress.history)
        return self.progress.position.step

    def _stand_at(self, position: Position) -> None:
        """Let the pipeline be as the latest step left it: what was frozen then has no moments in the checkpoint."""
        if position.step:
            self.pipeline.begin_step(step=position.step - 1, last_score=position.score_before)

    def go(self, train_docs: Docs, recipe: Recipe) -> Ending:
        """Step, evaluate, step, until something ends the run."""
        ending = self._ending(recipe)
        if ending is not None:  # killed between the last checkpoint and the end
            return ending
        steps = train_steps(self.pipeline, train_docs, optimizer=self.learner.optimizer,
                            averages=self.learner.averages, recipe=recipe,
                            position=self.progress.position)  # fmt: skip
        for result in steps:
            self.progress.n_words += result.n_words
            self.tally.add(result)
            self.logger.stepped(result)
            if result.step % STEPS_BETWEEN == 0:
                give_back()
            ending = self._ending(recipe)
            if ending is not None or self._is_due(result):
                self._evaluate(result)
                ending = ending or self._ending(recipe)
            if ending is not None:
                return ending
        return Ending.MAX_EPOCHS

    def rescue(self, error: BaseException) -> None:
        """Save the last state as model-last; whatever goes wrong here, the first error stays the one that is seen."""
        if self.progress.position.step == 0:
            return
        try:
            self._save_last()
        except Exception as second:  # the first error matters more
            say(f"warning: the last state could not be saved: {second}")
            return
        what = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        again = "; the same command goes on from the last checkpoint" if self._checkpoint.exists() else ""
        self.logger.finished(f"training {what} at step {self.progress.position.step}: "
                             f"the last state is in {self.place.output / MODEL_LAST}{again}")  # fmt: skip

    def finish(self, ending: Ending, resumed_from: int | None) -> Outcome:
        """Save what the run leaves at its end, and drop the checkpoint."""
        self._save_last()
        progress = self.progress
        progress.seconds = time.perf_counter() - self.session_started
        training_s = progress.seconds - progress.seconds_evaluating
        timing = Timing(
            seconds=progress.seconds, words_per_s=progress.n_words / training_s if training_s > 0 else None,
            peak_memory_mib=peak_memory_mib(), peak_gpu_mib=peak_gpu_mib(), n_words=progress.n_words,
            n_parameters=self.learner.store.n_parameters, bytes_on_disk=bytes_on_disk(self.place.output / MODEL_BEST),
            threads=torch.get_num_threads(), precision=self.place.precision, device=self.place.device,
        )  # fmt: skip
        write_json_atomic(self.place.output / TIMING, timing.to_json())
        remove_tree(self._checkpoint)
        if progress.best_score is None or progress.best_step is None:
            raise TrainingError("The run ended before its first evaluation.", where=str(self.place.output))
        self.logger.finished(f"done after {progress.position.step} steps ({ending.value}): "
                             f"best score {100 * progress.best_score:.2f} at step {progress.best_step}, "
                             f"in {self.place.output / MODEL_BEST}")  # fmt: skip
        return Outcome(ending=ending, best_score=progress.best_score, best_step=progress.best_step,
                       n_steps=progress.position.step, n_epochs=progress.position.epoch, n_words=progress.n_words,
                       resumed_from=resumed_from)  # fmt: skip

    def _is_due(self, result: StepResult) -> bool:
        every = self.policy.eval_frequency
        return result.step % every == 0 if every else result.ends_epoch

    def _ending(self, recipe: Recipe) -> Ending | None:
        """What ends the run here, if anything; a function of progress and policy."""
        position, best_step = self.progress.position, self.progress.best_step
        if self.policy.max_steps and position.step >= self.policy.max_steps:
            return Ending.MAX_STEPS
        if recipe.max_epochs and position.epoch >= recipe.max_epochs:
            return Ending.MAX_EPOCHS
        if self.policy.patience and best_step is not None and position.step - best_step >= self.policy.patience:
            # an end between evaluations would compare with a score that is not known yet
            return Ending.PATIENCE if self.tally.n_steps == 0 else None
        return None

    def _evaluate(self, result: StepResult) -> None:
        """Score the model as it would be saved, save it if it is the best, write log and checkpoint."""
        started = time.perf_counter()
        progress, output = self.progress, self.place.output
        give_back()  # batches of an evaluation are of other sizes than those of training
        with self.learner.store.use(self.learner.averages.values()):
            metrics = dict(self.pipeline.evaluate(self.dev_docs).metrics)
            score = _score(metrics, self.policy.score_weights)
            is_best = progress.best_score is None or score > progress.best_score  # a tie keeps the earlier model
            if is_best:
                self.pipeline.to_disk(output / MODEL_BEST)
                save_best(self._checkpoint, self.learner.store, step=result.step)
        if is_best:
            progress.best_score, progress.best_step = score, result.step
        record = EvaluationRecord(
            step=result.step, epoch=progress.position.epoch, words=progress.n_words,
            losses={name: total / self.tally.n_steps for name, total in self.tally.losses.items()},
            learn_rates=result.learn_rates, grad_norm=self.tally.grad_norm / self.tally.n_steps,
            scores={name: value for name, value in sorted(metrics.items()) if "/" not in name and name != "score"},
            score=score, is_best=is_best,
        )  # fmt: skip
        self.tally = _Tally()
        progress.position.last_score = score
        progress.history.append(as_row(record))
        write_log(output / LOG, progress.history)
        now = time.perf_counter()
        progress.seconds, progress.seconds_evaluating = (
            now - self.session_started,
            progress.seconds_evaluating + now - started,
        )
        save_checkpoint(self._checkpoint, self.learner, progress, digest=self.place.digest, code=self.place.code)
        give_back()
        progress.seconds_evaluating += time.perf_counter() - now
        self.logger.evaluated(record)

    def _save_last(self) -> None:
        save_model(self.pipeline, self.place.output / MODEL_LAST, values=self.learner.averages.values())


def _score(metrics: Mapping[str, float], weights: Mapping[str, float | None]) -> float:
    """The weighted score; TrainingError when the dev docs have none of the annotations that it is made of."""
    score = weighted_score(metrics, weights)
    wanted = [name for name, weight in weights.items() if weight] or HEADLINE_METRICS
    if not any(name in metrics for name in wanted):
        raise TrainingError(
            f"The dev corpus gives none of the scores that choose the best model ({', '.join(wanted)}).",
            where="corpora.dev",
            fix="Use a dev corpus with these annotations, or set training.score_weights to scores it gives.",
        )
    return score
