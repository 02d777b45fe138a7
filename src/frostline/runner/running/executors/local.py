"""Carry out steps on this machine: each command leads a process group of its own and writes to the step's log.

While a group lives, a file in local state names it, so that the next runner can end what a dead one left behind.
When a command is done, whatever it left running in its group is ended before anybody looks at the outputs. Ending takes
its time and holds up nobody: it is a state with a deadline, looked at again and again like all others.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Collection
from pathlib import Path

from frostline.runner.digests.hashing import replace_quickly
from frostline.runner.running.executors.base import Job, Outcome, Running
from frostline.runner.running.executors.gpus import GpuPeak, GpuWatch
from frostline.runner.running.executors.memory import largest_peak_mib, own_peak_mib, told_peak_mib
from frostline.runner.running.processes import MARKER, end_groups, signal_all, start_of

GRACE_S = 5.0  # between asking a process to end and making it
LEFT_GRACE_S = 1.0  # the same for what a command left running
KILLED_S = 2.0  # what has not gone so long after it was killed is not waited for
YOUNG_S = 0.2  # a job's first moments, in which it is looked at often: it may be over before the first look
YOUNG_POLL_S = 0.01
POLL_S = 0.02  # where the system can't tell us that a process ended


class LocalRunning:
    """A job at work on this machine."""

    def __init__(self, job: Job, note: Path) -> None:
        self.job = job
        self.outcome: Outcome | None = None
        self.note = note  # names the living process group for the next runner
        self.marker = uuid.uuid4().hex
        self.started = time.monotonic()  # of the newest command
        self.next_command = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.clock: EndClock | None = None
        self.pidfd: int | None = None
        self.code: int | None = None  # of the newest command, once it has ended
        self.seconds = 0.0  # of the commands that have ended
        self.cpu_seconds = 0.0
        self.peak_memory_mib = 0.0
        self.floor_mib = 0.0  # the runner's own peak when the command began
        self.gpu: GpuPeak | None = None
        self.timed_out = False
        self.kill_at: float | None = None  # it has been asked to end, and is killed then
        self.killed_at: float | None = None

    @property
    def deadline(self) -> float | None:
        """When something is due on the monotonic clock: the time limit, or the end of the grace."""
        if self.kill_at is not None:
            return self.kill_at
        if self.job.timeout_s is None or self.timed_out or self.code is not None:
            return None
        return self.started + self.job.timeout_s - self.seconds


class EndClock(threading.Thread):
    """Notes when a process ends, as whoever looks at it may be busy hashing then. Collects nothing."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.ended: float | None = None  # on the monotonic clock; None: it works, or the system doesn't tell
        self.start()

    def run(self) -> None:
        """Wait for the end."""
        with contextlib.suppress(AttributeError, OSError):  # collected already; or a system without this call
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            self.ended = time.monotonic()


class LocalExecutor:
    """Processes of this machine.

    Args:
        notes: the folder of files that name living process groups.
        watch: what knows the GPUs' memory, where that is known; it is closed by `close`.
    """

    def __init__(self, notes: Path, watch: GpuWatch | None = None) -> None:
        self.notes = notes
        self.watch = watch
        self.at_work: list[LocalRunning] = []

    def start(self, job: Job) -> LocalRunning:
        """Start a job's first command."""
        running = LocalRunning(job, self.notes / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.json")
        job.log.parent.mkdir(parents=True, exist_ok=True)
        if self.watch is not None:
            running.gpu = GpuPeak(self.watch, job.gpus)
        self.at_work.append(running)  # before its process is there: Ctrl-C may come in between
        self._next(running)
        return running

    def wait(self, running: Collection[Running], timeout_s: float) -> list[Running]:
        """Wait for the first end of a command, at most `timeout_s`; the jobs that are over."""
        jobs = [job for job in running if isinstance(job, LocalRunning)]
        until = time.monotonic() + timeout_s
        while True:
            now = time.monotonic()
            youngest = max((job.started for job in jobs), default=0.0)
            _wait_for_any(jobs, min(until - now, YOUNG_POLL_S if now - youngest < YOUNG_S else timeout_s))
            self._measure(jobs)
            for job in jobs:
                self._look(job)
            ended: list[Running] = [job for job in jobs if job.outcome is not None]
            if ended or time.monotonic() >= until:
                return ended

    def close(self) -> None:
        """Stop watching the GPUs."""
        if self.watch is not None:
            self.watch.close()

    def _measure(self, jobs: list[LocalRunning]) -> None:
        """Note the memory that living jobs have taken."""
        if self.watch is not None:
            self.watch.look()
        for job in jobs:
            if job.process is not None and job.code is None:
                job.peak_memory_mib = max(job.peak_memory_mib, largest_peak_mib(job.process.pid))
            if job.gpu is not None:
                job.gpu.look(is_alone=len(self.at_work) == 1)

    def end(self) -> None:
        """Interrupt all groups and whatever carries their marks; after a grace, kill them."""
        jobs = list(self.at_work)
        groups = [job.process.pid for job in jobs if job.process is not None]
        end_groups(groups, [job.marker for job in jobs], first=signal.SIGINT, grace_s=GRACE_S)
        for job in jobs:
            self._collect(job)
            self._finish(job, -signal.SIGKILL if job.code is None else job.code, _shown(job))

    def _next(self, running: LocalRunning) -> None:
        """Start the next command, or give the job its outcome when there is none."""
        job = running.job
        if running.next_command >= len(job.commands):
            self._finish(running, 0, None)
            return
        command = job.commands[running.next_command]
        running.next_command += 1
        running.process = running.code = running.kill_at = running.killed_at = None
        self._write_note(running, None)
        running.floor_mib = own_peak_mib()
        running.started = time.monotonic()
        with job.log.open("ab", buffering=0) as log:
            try:
                running.process = subprocess.Popen(
                    command,
                    shell=isinstance(command, str),
                    cwd=job.folder,
                    env={**job.environ, MARKER: running.marker},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                log.write(f"{_shown(running)}: {error.strerror or error}\n".encode())
                self._finish(running, 127 if isinstance(error, FileNotFoundError) else 126, _shown(running))
                return
        self._write_note(running, running.process.pid)
        running.clock = EndClock(running.process.pid)
        with contextlib.suppress(AttributeError, OSError):
            running.pidfd = os.pidfd_open(running.process.pid)

    def _look(self, running: LocalRunning) -> None:
        """Collect a command that has ended; end one whose time is over; go on to the next."""
        if running.outcome is not None or running.process is None:
            return
        self._collect(running)  # before its time is looked at: one that has ended has kept within it
        now = time.monotonic()
        if running.code is None:
            if running.deadline is not None and now >= running.deadline:
                running.timed_out = True
                self._end(running, now, GRACE_S)
        elif not self._has_left_something(running, now):
            if running.code == 0 and not running.timed_out:
                self._next(running)
            else:
                self._finish(running, running.code, _shown(running))

    def _end(self, running: LocalRunning, now: float, grace_s: float) -> bool:
        """Ask a command's processes to end; those that were asked before are killed. Whether any lives."""
        assert running.process is not None
        if running.kill_at is None:
            first, running.kill_at = signal.SIGTERM, now + grace_s
        else:
            first, running.kill_at, running.killed_at = signal.SIGKILL, None, now
        return signal_all([running.process.pid], [running.marker], first)

    def _has_left_something(self, running: LocalRunning, now: float) -> bool:
        """Whether an ended command's group, or what carries its mark, still lives; it is being ended then."""
        assert running.process is not None
        if running.killed_at is not None:
            lives = signal_all([running.process.pid], [running.marker], None)
            return lives and now < running.killed_at + KILLED_S
        if running.kill_at is None or now >= running.kill_at:
            return self._end(running, now, LEFT_GRACE_S)
        return signal_all([running.process.pid], [running.marker], None)

    def _collect(self, running: LocalRunning) -> None:
        """Note the exit code of a command that has ended, and add up what it took."""
        process = running.process
        if process is None or running.code is not None:
            return
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid == 0:
            return
        process.returncode = running.code = os.waitstatus_to_exitcode(status)
        ended = running.clock.ended if running.clock is not None else None
        running.seconds += (ended or time.monotonic()) - running.started
        running.cpu_seconds += usage.ru_utime + usage.ru_stime
        running.peak_memory_mib = max(running.peak_memory_mib, told_peak_mib(usage, running.floor_mib))
        if running.pidfd is not None:
            os.close(running.pidfd)
        running.pidfd = None

    def _finish(self, running: LocalRunning, code: int, failed: str | None) -> None:
        running.note.unlink(missing_ok=True)
        if running in self.at_work:
            self.at_work.remove(running)
        gpu_names, peak_gpu_mib = running.gpu.result() if running.gpu is not None else ((), None)
        running.outcome = Outcome(
            exit_code=code,
            seconds=running.seconds,
            cpu_seconds=running.cpu_seconds,
            peak_memory_mib=running.peak_memory_mib,
            failed_command=failed,
            timed_out=running.timed_out,
            gpu_names=gpu_names,
            peak_gpu_mib=peak_gpu_mib,
        )

    def _write_note(self, running: LocalRunning, group: int | None) -> None:
        note = {
            "runner": os.getpid(),
            "runner_start": start_of(os.getpid()),
            "step": running.job.step,
            "log": str(running.job.log),
            "marker": running.marker,
            "group": group,
            "group_start": start_of(group) if group else None,
        }
        replace_quickly(running.note, json.dumps(note).encode())


def _wait_for_any(jobs: list[LocalRunning], timeout_s: float) -> None:
    """Sleep until a process ends, a deadline passes, or the time is over."""
    if any(job.outcome is not None for job in jobs):
        return
    deadlines = [job.deadline for job in jobs if job.deadline is not None]
    if deadlines:
        timeout_s = max(0.0, min(timeout_s, min(deadlines) - time.monotonic() + 0.001))
    handles = [job.pidfd for job in jobs if job.pidfd is not None]
    if len(handles) == len(jobs):
        poller = select.poll()
        for handle in handles:
            poller.register(handle, select.POLLIN)
        poller.poll(timeout_s * 1000)
    else:
        time.sleep(min(timeout_s, POLL_S))


def _shown(running: LocalRunning) -> str:
    """The command that was started last, as messages show it."""
    return running.job.shown[max(0, running.next_command - 1)] if running.job.shown else ""


def end_leftovers(notes: Path) -> list[str]:
    """End the process groups of runners that are dead; the steps they belonged to."""
    ended = []
    for file in sorted(notes.glob("*.json")) if notes.is_dir() else []:
        try:
            note = json.loads(file.read_bytes())
            runner, started = int(note["runner"]), note["runner_start"]
        except (OSError, ValueError, KeyError, TypeError):
            file.unlink(missing_ok=True)
            continue
        if start_of(runner) is not None and start_of(runner) == started:
            continue
        group = note.get("group")
        is_same = bool(group) and start_of(group) in (None, note.get("group_start"))  # the number may be another's now
        if end_groups([group] if is_same else [], [note["marker"]], first=signal.SIGTERM, grace_s=2.0):
            ended.append(str(note.get("step")))
        file.unlink(missing_ok=True)
    return ended
