"""Which step starts when: one at a time in the plan's order, or several side by side where that was asked for.

Asked for by `-j`, or by `resources` on the steps. Then edges come from deps and outputs alone, and a step starts when
all it needs is done and the machine has room for it. What starting and finishing mean is run.py's business.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Protocol

from frostline.errors import StepFailed
from frostline.runner.executors.base import Executor, Running
from frostline.runner.graph import Graph
from frostline.runner.plan import Action, Decision
from frostline.runner.run import Runner, Work
from frostline.runner.spec import Step

WAIT_S = 0.1  # how often the steps' output is looked at


class Reporter(Protocol):
    """Who is told what happens."""

    def started(self, step: Step, decision: Decision, running: Running) -> None:
        """A step's command has begun."""

    def tick(self, running: list[Running]) -> None:
        """Time has passed while these are at work."""

    def finished(self, step: Step, running: Running) -> None:
        """A step is done and recorded."""

    def settled(self, step: Step, decision: Decision) -> None:
        """A step was skipped or restored."""

    def failed(self, step: Step, error: StepFailed, running: Running | None) -> None:
        """A step went wrong."""


@dataclass(slots=True)
class Tally:
    """What became of the steps."""

    ran: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, StepFailed] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)  # not tried, because of a failure


class Schedule:
    """One run over a list of steps.

    Args:
        order: the steps, each after those it needs.
        n_jobs: how many at once; None: as many as their resources allow.
        n_cpus: what the machine has.
        parallel: False keeps the order strictly, one at a time.
    """

    def __init__(
        self,
        runner: Runner,
        executor: Executor,
        graph: Graph,
        order: tuple[str, ...],
        reporter: Reporter,
        *,
        parallel: bool,
        n_jobs: int | None = None,
        n_cpus: int | None = None,
    ) -> None:
        self.runner = runner
        self.executor = executor
        self.graph = graph
        self.pending = list(order)
        self.reporter = reporter
        self.parallel = parallel
        self.n_jobs = (n_jobs or len(order)) if parallel else 1
        self.n_cpus = n_cpus or os.cpu_count() or 1
        self.counts_cpus = n_jobs is None
        self.working: dict[str, Work] = {}
        self.open_steps = set(order)  # neither done nor given up
        self.tally = Tally()

    def run(self, *, keep_going: bool = False) -> Tally:
        """Carry everything out. On Ctrl-C, or any fault of ours, running steps are ended first."""
        try:
            while self.pending or self.working:
                stopping = bool(self.tally.failed) and not keep_going
                if stopping:
                    self.tally.left_out += self.pending
                    self.pending = []
                elif self._start_what_fits():
                    continue
                if self.working:
                    self._wait()
        except BaseException:
            self.runner.stop(list(self.working.values()))
            raise
        return self.tally

    def _start_what_fits(self) -> bool:
        """Start or settle the first step that is ready; whether there was one."""
        for name in self.pending:
            if self._is_hopeless(name):
                self.pending.remove(name)
                self.open_steps.discard(name)
                self.tally.left_out.append(name)
                return True
            if self._is_ready(name) and self._has_room(self.graph.steps[name]):
                self.pending.remove(name)
                self._begin(name)
                return True
            if not self.parallel:
                break
        return False

    def _is_hopeless(self, name: str) -> bool:
        lost = self.tally.failed.keys() | set(self.tally.left_out)
        return any(needed in lost for needed in self.graph.upstream[name])

    def _is_ready(self, name: str) -> bool:
        if not self.parallel:
            return not self.working
        return not any(needed in self.open_steps for needed in self.graph.upstream[name])

    def _has_room(self, step: Step) -> bool:
        if len(self.working) >= self.n_jobs:
            return False
        taken = sum(self._cpus(work.step) for work in self.working.values())
        return not self.working or taken + self._cpus(step) <= self.n_cpus

    def _cpus(self, step: Step) -> int:
        """A step without `cpus` takes one under -j, the whole machine otherwise."""
        if step.resources.cpus is not None:
            return min(step.resources.cpus, self.n_cpus)
        return self.n_cpus if self.counts_cpus else 1

    def _begin(self, name: str) -> None:
        step = self.graph.steps[name]
        try:
            begun = self.runner.begin(name)
        except StepFailed as error:
            self._give_up(step, error, None)
            return
        if isinstance(begun, Work):
            self.working[name] = begun
            self.reporter.started(step, begun.decision, begun.running)
            return
        (self.tally.restored if begun.action is Action.RESTORE else self.tally.skipped).append(name)
        self.open_steps.discard(name)
        self.reporter.settled(step, begun)

    def _wait(self) -> None:
        ended = self.executor.wait([work.running for work in self.working.values()], WAIT_S)
        self.reporter.tick([work.running for work in self.working.values()])
        for name, work in list(self.working.items()):
            if any(work.running is running for running in ended):
                self._end(name, work)

    def _end(self, name: str, work: Work) -> None:
        outcome = work.running.outcome
        if outcome is not None and (outcome.exit_code != 0 or outcome.timed_out) and self.runner.again(work):
            self.reporter.started(work.step, work.decision, work.running)
            return
        running = work.running
        try:
            self.runner.finish(work)
        except StepFailed as error:
            del self.working[name]
            self._give_up(work.step, error, running)
            return
        del self.working[name]
        self.open_steps.discard(name)
        self.tally.ran.append(name)
        self.reporter.finished(work.step, running)

    def _give_up(self, step: Step, error: StepFailed, running: Running | None) -> None:
        self.tally.failed[step.name] = error
        self.open_steps.discard(step.name)
        self.reporter.failed(step, error, running)


def asks_for_parallel(graph: Graph, order: tuple[str, ...], n_jobs: int | None) -> bool:
    """Whether steps may run side by side: `-j`, or a step that says what it takes of the machine."""
    if n_jobs is not None:
        return n_jobs > 1
    return any(graph.steps[name].resources.cpus is not None for name in order)
