"""Plain lines about a run: which step starts and why, what it prints, how it ended."""

from __future__ import annotations

import sys
from pathlib import Path

from frostline.console import paint, say
from frostline.errors import StepFailed
from frostline.runner.cli.tables import count
from frostline.runner.executors.base import Running
from frostline.runner.plan import Action, Decision
from frostline.runner.schedule import Tally
from frostline.runner.spec import Step

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
        self.streams = streams
        self.prefixes = prefixes
        self.positions: dict[Path, int] = {}

    def started(self, step: Step, decision: Decision, running: Running) -> None:
        """Say that a step starts, and why."""
        more = f" (and {len(decision.reasons) - 1} more)" if len(decision.reasons) > 1 else ""
        reason = f"{decision.reasons[0]}{more}" if decision.reasons else ""
        say(f"{self._count()} {paint(step.name, 'bold')}: {paint(reason, 'dim')}")
        self.positions[running.job.log] = 0

    def tick(self, running: list[Running]) -> None:
        """Pass on what the steps have printed since."""
        if self.streams:
            for job in running:
                self._pass_on(job, last=job.outcome is not None)

    def finished(self, step: Step, running: Running) -> None:
        """Say that a step is done."""
        self.tick([running])
        self.n_settled += 1
        outcome = running.outcome
        if outcome is not None:
            say(paint(f"{step.name}: done in {outcome.seconds:.1f} s, {outcome.peak_memory_mib:.0f} MiB", "green"))

    def settled(self, step: Step, decision: Decision) -> None:
        """Say that a step was restored; one that is up to date is not worth a line."""
        self.n_settled += 1
        if decision.action is Action.RESTORE:
            say(f"[{self.n_settled}/{self.n_steps}] {paint(step.name, 'bold')}: restored from the store")

    def failed(self, step: Step, error: StepFailed, running: Running | None) -> None:
        """Show the end of the log, where it was not passed on already."""
        self.n_settled += 1
        if running is not None and self.streams:
            self.tick([running])
        elif running is not None:
            lines = _tail(running.job.log)
            for line in lines:
                say(f"  {line}")
        say(paint(f"{step.name}: {error.message}", "red"))

    def summary(self, tally: Tally, seconds: float) -> str:
        """The last line of a run."""
        parts = [f"{count(len(tally.ran), 'step')} ran"]
        for names, word in ((tally.restored, "restored"), (tally.skipped, "up to date"), (tally.left_out, "left out")):
            if names:
                parts.append(f"{len(names)} {word}")
        if tally.failed:
            parts.append(f"{len(tally.failed)} failed")
        return f"{', '.join(parts)} in {seconds:.1f} s"

    def _count(self) -> str:
        return f"[{self.n_settled + 1}/{self.n_steps}]"

    def _pass_on(self, running: Running, *, last: bool) -> None:
        """Copy what is new in a step's log; with prefixes only whole lines, until the last look."""
        log = running.job.log
        try:
            with log.open("rb") as stream:
                stream.seek(self.positions.get(log, 0))
                data = stream.read()
        except FileNotFoundError:
            return
        if self.prefixes:
            data = data if last else data[: data.rfind(b"\n") + 1]
        self.positions[log] = self.positions.get(log, 0) + len(data)
        if not data:
            return
        if self.prefixes:
            name = f"{running.job.step} | ".encode()
            data = b"".join(name + line + b"\n" for line in data.splitlines())
        sys.stderr.buffer.write(data)
        sys.stderr.flush()


def _tail(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    except OSError:
        return []
