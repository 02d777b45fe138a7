"""An executor whose commands are played by a function in this process: whole runs at the cost of a few file writes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from frostline.runner.cli.progress import PlainReporter
from frostline.runner.keeping.setup import prepare
from frostline.runner.running.budget import Budget, Machine
from frostline.runner.running.executors.base import Job, Outcome, Running
from frostline.runner.running.run import Options, Runner
from frostline.runner.running.schedule import Schedule, Tally, asks_for_parallel
from frostline.runner.session import Session

Play = Callable[[Job], int]  # does what the job's commands do; gives the exit code


@dataclass
class PlayedRunning:
    """A job that is over when the executor is asked to wait."""

    job: Job
    outcome: Outcome | None = None


@dataclass
class PlayedExecutor:
    """Ends the job that began first at each call of `wait`, and tells what was at work together."""

    play: Play
    at_work: list[PlayedRunning] = field(default_factory=list)
    begun: list[Job] = field(default_factory=list)
    together: list[tuple[str, ...]] = field(default_factory=list)  # the jobs at work, at each wait

    def start(self, job: Job) -> PlayedRunning:
        self.begun.append(job)
        self.at_work.append(running := PlayedRunning(job))
        return running

    def wait(self, running: Collection[Running], timeout_s: float) -> list[Running]:
        self.together.append(tuple(one.job.step for one in self.at_work))
        first = self.at_work.pop(0)
        code = self.play(first.job)
        first.outcome = Outcome(
            exit_code=code,
            seconds=0.1,
            cpu_seconds=0.1,
            peak_memory_mib=1.0,
            failed_command=first.job.shown[-1] if code else None,
        )
        return [first]

    def end(self) -> None:
        self.at_work.clear()


@dataclass
class PlayedRun:
    """What became of a run."""

    tally: Tally
    executor: PlayedExecutor

    @property
    def order(self) -> list[str]:
        """The steps in the order in which they began."""
        return [job.step for job in self.executor.begun]


def run_played(
    root: Path,
    names: list[str],
    play: Play,
    *,
    n_jobs: int | None = None,
    keep_going: bool = False,
    machine: Machine | None = None,
    overrides: dict[str, object] | None = None,
) -> PlayedRun:
    """What `project run NAMES` does, its commands played."""
    session = Session(root, overrides=overrides)
    prepare(root, session.project.directories)
    session.__dict__.pop("hasher", None)
    selection = session.select(names)
    plan = session.plan(selection)
    executor = PlayedExecutor(play)
    runner = Runner(session, executor, Options(machine=machine), lambda text: None)
    runner.prepare([decision.step for decision in plan])
    budget = Budget(machine or Machine(n_cpus=2, memory_mib=1000), whole_machine=n_jobs is None)
    reporter = PlainReporter(len(plan), streams=False, prefixes=False)
    parallel = asks_for_parallel(session.graph, selection.order, n_jobs)
    schedule = Schedule(runner, executor, session.graph, plan, reporter, budget, parallel=parallel, n_jobs=n_jobs)
    try:
        tally = schedule.run(keep_going=keep_going)
    finally:
        runner.close()
    return PlayedRun(tally, executor)


def touch_outputs(job: Job) -> int:
    """Play a command whose words are the paths it writes, `fail` ends it badly."""
    (words,) = job.commands
    if words[1:2] == ("fail",):
        return 3
    for word in words[1:]:
        path = job.folder / word
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{job.step}\n")
    return 0
