"""Which step starts when: one at a time in the plan's order, or several side by side where that was asked for.

Asked for by `-j`, or by `resources` on the steps. Then edges come from deps and outputs alone, and a step starts when
all it needs is done and the machine has room for it. Whose turn it is, turns.py knows; what starting and finishing
mean is run.py's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from frostline.errors import StepFailed
from frostline.runner.planning.graph import Graph
from frostline.runner.planning.plan import Action, Decision
from frostline.runner.project.spec import Step
from frostline.runner.running.budget import Budget, says_what_it_takes
from frostline.runner.running.executors.base import Executor, Outcome, Running
from frostline.runner.running.locks import PathsBusy
from frostline.runner.running.run import Runner, Work
from frostline.runner.running.turns import Turns

WAIT_S = 0.1  # how often the steps' output is looked at


class Reporter(Protocol):
    """Who is told what happens."""

    def started(self, step: Step, decision: Decision, running: Running) -> None:
        """A step's command has begun."""

    def retried(self, step: Step, outcome: Outcome, running: Running) -> None:
        """A step has failed so, and its next try has begun."""

    def tick(self, running: Sequence[Running]) -> None:
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
    blocked: dict[str, str] = field(default_factory=dict)  # not tried: step -> the failed step that it needs
    left_out: list[str] = field(default_factory=list)  # not tried, as a failure ended the run


class Schedule:
    """One run over a plan.

    Args:
        plan: the decisions, each after those of the steps that it needs.
        budget: what the machine has.
        parallel: False keeps the order strictly, one at a time.
        n_jobs: how many at once; None: as many as their resources allow.
    """

    def __init__(
        self,
        runner: Runner,
        executor: Executor,
        graph: Graph,
        plan: Sequence[Decision],
        reporter: Reporter,
        budget: Budget,
        *,
        parallel: bool,
        n_jobs: int | None = None,
    ) -> None:
        self.runner = runner
        self.executor = executor
        self.graph = graph
        self.reporter = reporter
        self.budget = budget
        self.n_jobs = (n_jobs or len(plan)) if parallel else 1
        order = tuple(decision.step for decision in plan)
        needs = {name: budget.need(graph.steps[name]) for name in order} if parallel else None
        self.turns = Turns(graph, order, needs)
        self.untouched = _untouched(graph, plan)
        self.working: dict[str, Work] = {}
        self.postponed: list[str] = []  # another process works on their paths
        self.tally = Tally()

    def run(self, *, keep_going: bool = False) -> Tally:
        """Carry everything out. On Ctrl-C, or any fault of ours, running steps are ended first."""
        try:
            while True:
                if self.tally.failed and not keep_going:
                    self.tally.left_out += self.turns.give_up()
                elif self._start_one():
                    continue
                if not self.working:
                    break
                self._wait()
        except BaseException:
            self.runner.stop(list(self.working.values()))
            raise
        return self.tally

    def _start_one(self) -> bool:
        """Start or settle the step whose turn it is; whether there was one."""
        if len(self.working) >= self.n_jobs:
            return False
        name = self.turns.take(self.budget.has_room, is_idle=not self.working)
        if name is None:
            return False
        self._begin(name)
        return True

    def _begin(self, name: str) -> None:
        step = self.graph.steps[name]
        if name in self.untouched:
            self._settle(step, self.untouched[name])
            return
        gpus = self.budget.take(step)
        try:
            begun = self.runner.begin(name, gpus=gpus, patient=not self.working)
        except PathsBusy:
            self.budget.release(name)
            self.postponed.append(name)
            return
        except StepFailed as error:
            self._give_up(step, error, None)
            return
        if isinstance(begun, Work):
            self.working[name] = begun
            self.reporter.started(step, begun.decision, begun.running)
            return
        self.budget.release(name)
        self._settle(step, begun)

    def _settle(self, step: Step, decision: Decision) -> None:
        (self.tally.restored if decision.action is Action.RESTORE else self.tally.skipped).append(step.name)
        self.turns.settle(step.name)
        self.reporter.settled(step, decision)

    def _wait(self) -> None:
        ended = self.executor.wait([work.running for work in self.working.values()], WAIT_S)
        self.reporter.tick([work.running for work in self.working.values()])
        for name, work in list(self.working.items()):
            if any(work.running is running for running in ended):
                self._end(name, work)
        for name in reversed(self.postponed):
            self.turns.put_back(name)
        self.postponed.clear()

    def _end(self, name: str, work: Work) -> None:
        outcome = work.running.outcome
        if outcome is not None and (outcome.exit_code != 0 or outcome.timed_out) and self.runner.again(work):
            self.reporter.retried(work.step, outcome, work.running)
            return
        running = work.running
        try:
            self.runner.finish(work)
        except StepFailed as error:
            del self.working[name]
            self._give_up(work.step, error, running)
            return
        del self.working[name]
        self.budget.release(name)
        self.turns.settle(name)
        self.tally.ran.append(name)
        self.reporter.finished(work.step, running)

    def _give_up(self, step: Step, error: StepFailed, running: Running | None) -> None:
        self.budget.release(step.name)
        self.tally.failed[step.name] = error
        self.tally.blocked |= dict.fromkeys(self.turns.lose(step.name), step.name)
        self.reporter.failed(step, error, running)


def _untouched(graph: Graph, plan: Iterable[Decision]) -> dict[str, Decision]:
    """The steps that are up to date and have nothing before them that acts: they need not be decided again."""
    found: dict[str, Decision] = {}
    planned = {decision.step: decision for decision in plan}
    for name, decision in planned.items():
        needed = [other for other in graph.upstream[name] if other in planned]
        if decision.action is Action.SKIP and name not in graph.overlapping and found.keys() >= set(needed):
            found[name] = decision
    return found


def asks_for_parallel(graph: Graph, order: Iterable[str], n_jobs: int | None) -> bool:
    """Whether steps may run side by side: `-j`, or a step that says what it takes of the machine."""
    if n_jobs is not None:
        return n_jobs > 1
    return any(says_what_it_takes(graph.steps[name]) for name in order)
