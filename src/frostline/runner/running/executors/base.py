"""What the scheduler asks of a place that carries out steps, and what it gets back. Only declarations."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One try of one step."""

    step: str
    commands: tuple[str | tuple[str, ...], ...]  # a string goes through the shell
    shown: tuple[str, ...]  # the same for messages, secrets left symbolic
    folder: Path  # working folder
    environ: Mapping[str, str]
    log: Path  # standard output and error go to its end
    timeout_s: float | None = None  # for all commands together
    gpus: tuple[str, ...] | None = None  # the devices that are its own, by name; None: it said nothing of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended."""

    exit_code: int  # of the last command; negative: ended by that signal
    seconds: float
    cpu_seconds: float
    peak_memory_mib: float  # of the largest process; 0: not known
    failed_command: str | None = None
    timed_out: bool = False
    gpu_names: tuple[str, ...] = ()  # the devices it worked on, where that is known
    peak_gpu_mib: float | None = None  # most memory in use on one of them


class Running(Protocol):
    """A job at work."""

    job: Job
    outcome: Outcome | None  # None while it works


class Executor(Protocol):
    """A place that carries out jobs."""

    def start(self, job: Job) -> Running:
        """Start a job and come back at once."""

    def wait(self, running: Collection[Running], timeout_s: float) -> list[Running]:
        """Wait until one of the jobs has ended, or for so many seconds; the jobs that have ended."""

    def end(self) -> None:
        """End every job with all its processes, gently first; also one whose start was cut short."""
