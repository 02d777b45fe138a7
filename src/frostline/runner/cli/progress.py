"""Plain lines about a run: which step starts and why, what it prints, how it ended. No control codes in a pipe."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType

from frostline.console import has_live_line, paint, say
from frostline.errors import StepFailed
from frostline.runner.cli.output import Tail, last_lines, plain
from frostline.runner.cli.tables import count, duration
from frostline.runner.planning.plan import Action, Decision
from frostline.runner.project.spec import Step
from frostline.runner.running.executors.base import Outcome, Running
from frostline.runner.running.schedule import Tally

TAIL_LINES = 20  # of a failed step's log


class PlainReporter:
    """Says what happens, line by line, on standard error.

    Args:
        n_steps: how many steps are looked at in all.
        streams: whether the steps' own output is passed on as it comes.
        prefixes: whether each of its lines is given the step's name, as several may print at once.
    """

    def __init__(self, n_steps: int, *, streams: bool, prefixes: bool) -> None:
        self.n_steps = n_steps
        self.n_settled = 0
        self.n_failed = 0
        self.streams = streams
        self.prefixes = prefixes
        self.tails: dict[str, Tail] = {}
        self.tries: dict[str, int] = {}

    def __enter__(self) -> PlainReporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def started(self, step: Step, decision: Decision, running: Running) -> None:
        """Say that a step starts, and why."""
        self.tries[step.name] = 1
        self.tails[step.name] = Tail(running.job.log)
        self.line(f"[{self.n_settled + 1}/{self.n_steps}] {paint(step.name, 'bold')}: {paint(why(decision), 'dim')}")

    def retried(self, step: Step, outcome: Outcome, running: Running) -> None:
        """Say how a try ended, and that the next one starts."""
        self._pass_on_rest(step.name)
        self.tries[step.name] += 1
        self.tails[step.name] = Tail(running.job.log)
        number = f"try {self.tries[step.name]} of {step.retries + 1}"
        self.line(paint(f"{step.name}: {how_it_ended(outcome)}; {number} starts", "yellow"))

    def tick(self, running: Sequence[Running]) -> None:
        """Pass on what the steps have printed since."""
        for job in running:
            self.output(job.job.step, self.tails[job.job.step].new_lines())

    def finished(self, step: Step, running: Running) -> None:
        """Say that a step is done."""
        self._pass_on_rest(step.name)
        self.n_settled += 1
        outcome = running.outcome
        if outcome is not None:
            memory = f", {outcome.peak_memory_mib:.0f} MiB" if outcome.peak_memory_mib else ""
            self.done(step.name, f"done in {duration(outcome.seconds)}{memory}")

    def done(self, step: str, text: str) -> None:
        """Print the line of a step that is done."""
        self.line(paint(f"{step}: {text}", "green"))

    def settled(self, step: Step, decision: Decision) -> None:
        """Say that a step was restored; one that is up to date is not worth a line."""
        self.n_settled += 1
        if decision.action is Action.RESTORE:
            self.line(f"[{self.n_settled}/{self.n_steps}] {paint(step.name, 'bold')}: restored from the store")

    def failed(self, step: Step, error: StepFailed, running: Running | None) -> None:
        """Show the end of the log, where it was not passed on already."""
        self.n_settled += 1
        self.n_failed += 1
        if running is not None and self.streams:
            self._pass_on_rest(step.name)
        elif running is not None:
            for line in last_lines(running.job.log, TAIL_LINES):
                self.line(f"  {line}")
        self.line(paint(error.message, "red"))

    def line(self, text: str) -> None:
        """Print a line of our own."""
        say(text)

    def output(self, step: str, lines: Sequence[str]) -> None:
        """Print lines of a step."""
        if self.streams and lines:
            self.line("\n".join(f"{step} | {plain(line)}" if self.prefixes else plain(line) for line in lines))

    def _pass_on_rest(self, step: str) -> None:
        self.output(step, self.tails[step].rest())

    def summary(self, tally: Tally, seconds: float) -> str:
        """The last line of a run."""
        parts = [f"{count(len(tally.ran), 'step')} ran"]
        not_run = [*tally.blocked, *tally.left_out]
        for names, word in (
            (tally.restored, "restored"),
            (tally.skipped, "up to date"),
            (tally.failed, "failed"),
            (not_run, "not run"),
        ):
            if names:
                parts.append(f"{len(names)} {word}")
        return f"{', '.join(parts)} in {duration(seconds)}"


def why(decision: Decision) -> str:
    """The first reason of a decision, and how many more there are."""
    if not decision.reasons:
        return ""
    more = f" (and {len(decision.reasons) - 1} more)" if len(decision.reasons) > 1 else ""
    return f"{decision.reasons[0]}{more}"


def how_it_ended(outcome: Outcome) -> str:
    """A failed try in a few words."""
    if outcome.timed_out:
        return "ran out of its time limit"
    return f"exit code {outcome.exit_code}" if outcome.exit_code >= 0 else f"ended by signal {-outcome.exit_code}"


def failure_of(tally: Tally) -> StepFailed | None:
    """What went wrong in a run, as one error: the failure itself, or all of them, and what they kept from running."""
    if not tally.failed:
        return None
    kept = [f"not run  {name}: needs '{needed}'" for name, needed in tally.blocked.items()]
    if tally.left_out:
        kept.append(f"not run  {count(len(tally.left_out), 'step')} more (--keep-going tries those it can)")
    name, error = next(iter(tally.failed.items()))
    if len(tally.failed) == 1:
        return StepFailed("\n  ".join([error.message, *kept]), where=error.where, fix=error.fix) if kept else error
    lines = [f"failed   {error.message}" for error in tally.failed.values()]
    return StepFailed(
        f"{count(len(tally.failed), 'step')} failed:\n  " + "\n  ".join([*lines, *kept]),
        fix=f"What a step printed is shown by: project logs {name}",
    )


def reporter_for(n_steps: int, *, streams: bool, parallel: bool) -> PlainReporter:
    """The reporter that suits standard error: drawn on a terminal, plain lines in a pipe, a log or CI."""
    if streams and has_live_line() and os.environ.get("CI", "").lower() in ("", "0", "false"):
        from frostline.runner.cli.live import LiveReporter

        return LiveReporter(n_steps, parallel=parallel)
    return PlainReporter(n_steps, streams=streams, prefixes=parallel)
