"""A run on a terminal: below, each running step with its last line and its time; above, what is done, line by line."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from frostline.console import paint
from frostline.errors import StepFailed
from frostline.runner.cli.output import Tail, coloured
from frostline.runner.cli.progress import PlainReporter, why
from frostline.runner.cli.tables import duration
from frostline.runner.planning.plan import Decision
from frostline.runner.project.spec import Step
from frostline.runner.running.executors.base import Outcome, Running

NARROWEST = 40  # columns below which a step's last line is left out


class LiveReporter(PlainReporter):
    """Draws what is at work, anew at every tick.

    Args:
        parallel: several steps may work at once: their output is then only drawn; else it is printed too.
        console: where to draw; None: standard error.
    """

    def __init__(self, n_steps: int, *, parallel: bool, console: Console | None = None) -> None:
        super().__init__(n_steps, streams=not parallel, prefixes=False)
        self.console = console or Console(stderr=True, highlight=False)
        self.live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=False)
        self.parallel = parallel
        self.since: dict[str, float] = {}  # step -> when it began
        self.whys: dict[str, str] = {}  # step -> its first reason, where that was not printed at the start
        self.began = time.monotonic()

    def __enter__(self) -> LiveReporter:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.update(Text(""), refresh=False)
        self.live.stop()

    def started(self, step: Step, decision: Decision, running: Running) -> None:
        """Draw the step; where output is printed, say why it starts."""
        self.since[step.name] = time.monotonic()
        if self.parallel:
            self.tries[step.name] = 1
            self.tails[step.name] = Tail(running.job.log, skips=True)
            self.whys[step.name] = why(decision)
        else:
            super().started(step, decision, running)
        self._draw()

    def retried(self, step: Step, outcome: Outcome, running: Running) -> None:
        """Say how a try ended; the clock begins anew."""
        super().retried(step, outcome, running)
        self.since[step.name] = time.monotonic()

    def tick(self, running: Sequence[Running]) -> None:
        """Look at what the steps print, and draw."""
        super().tick(running)
        self._draw()

    def finished(self, step: Step, running: Running) -> None:
        """Say that a step is done, and draw it no more."""
        self.since.pop(step.name, None)
        super().finished(step, running)
        self._draw()

    def done(self, step: str, text: str) -> None:
        """Print the line of a step that is done, with its reason where that was not printed at the start."""
        if self.parallel:
            text = f"{paint(f'{step}: {text}', 'green')}  {paint(self.whys.pop(step, ''), 'dim')}"
            self.line(f"[{self.n_settled}/{self.n_steps}] {text}".rstrip())
        else:
            super().done(step, text)

    def failed(self, step: Step, error: StepFailed, running: Running | None) -> None:
        """Show the end of the log, where it was not printed already."""
        self.since.pop(step.name, None)
        super().failed(step, error, running)
        self._draw()

    def line(self, text: str) -> None:
        """Print a line above what is drawn."""
        self.console.print(Text.from_ansi(text), soft_wrap=True)

    def output(self, step: str, lines: Sequence[str]) -> None:
        """Print lines of a step, their colours kept."""
        if self.streams and lines:
            self.line("\n".join(map(coloured, lines)))

    def _draw(self) -> None:
        width, height = self.console.size
        shown = list(self.since)[: max(1, height - 4)]
        name_width = min(max(map(len, shown), default=0), max(8, width // 3))
        rows = [self._row(name, name_width, width) for name in shown]
        if len(self.since) > len(shown):
            rows.append(Text(f"  … and {len(self.since) - len(shown)} more", style="dim"))
        rows.append(self._foot(width))
        self.live.update(Group(*rows), refresh=True)

    def _row(self, name: str, name_width: int, width: int) -> Text:
        row = Text(no_wrap=True, overflow="ellipsis")
        row.append(_fitted(name, name_width), style="bold")
        row.append(f" {duration(time.monotonic() - self.since[name]):>7}", style="cyan")
        if width >= NARROWEST:
            row.append(f"  {self.tails[name].last}", style="dim")
        row.truncate(width - 1, overflow="ellipsis")
        return row

    def _foot(self, width: int) -> Text:
        parts = [f"{self.n_settled} of {self.n_steps}", f"{len(self.since)} running"]
        if self.n_failed:
            parts.append(f"{self.n_failed} failed")
        foot = Text(" · ".join([*parts, duration(time.monotonic() - self.began)]), no_wrap=True)
        foot.truncate(width - 1, overflow="ellipsis")
        return foot


def _fitted(name: str, width: int) -> str:
    """A name in so many columns; of a long one the end is kept, where cells of a matrix differ."""
    if len(name) <= width:
        return name.ljust(width)
    head = max(1, width // 3)
    return f"{name[:head]}…{name[-(width - head - 1) :]}"
