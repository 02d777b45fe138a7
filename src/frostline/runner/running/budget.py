"""What the machine has to give, what steps ask for, and what is taken: CPUs, GPUs and memory.

A container's limits count as the machine's own. GPUs are those that `CUDA_VISIBLE_DEVICES` names, else all that
nvidia-smi lists; each is a slot that one step holds at a time. Reads /proc and /sys and starts nvidia-smi, no more.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from frostline.errors import StepFailed
from frostline.runner.project.spec import Step

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
DEVICES = "CUDA_VISIBLE_DEVICES"
NO_LIMIT = 1 << 60  # what version 1 of cgroups writes for "no limit" is some number near 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What steps can be given."""

    n_cpus: int
    memory_mib: int | None  # None: not known, so not counted
    gpus: tuple[str, ...] = ()  # as CUDA_VISIBLE_DEVICES names them


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """What one step takes while it works. A step that says nothing of `cpus` takes none of them where others count."""

    cpus: int
    gpus: int
    memory_mib: int


def this_machine(environ: Mapping[str, str], *, wants_gpus: bool) -> Machine:
    """The machine that we run on; its GPUs are looked for only if `wants_gpus`."""
    gpus = visible_gpus(environ) if wants_gpus else ()
    return Machine(n_cpus=n_cpus(), memory_mib=memory_mib(), gpus=gpus)


def n_cpus() -> int:
    """The CPUs that this process may use, a container's quota rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read(CGROUP / "cpu.max").partition(" ")
    if not quota:
        quota, period = _read(CGROUP / "cpu/cpu.cfs_quota_us"), _read(CGROUP / "cpu/cpu.cfs_period_us")
    if quota.strip().isdecimal() and period.strip().isdecimal() and int(period) > 0:
        allowed = min(allowed, max(1, -(-int(quota) // int(period))))
    return allowed


def memory_mib() -> int | None:
    """The machine's memory, or the container's where that is less; None: not known."""
    found = []
    match = re.search(r"^MemTotal:\s+(\d+) kB", _read(MEMINFO), re.MULTILINE)
    if match:
        found.append(int(match[1]) // 1024)
    for file in (CGROUP / "memory.max", CGROUP / "memory/memory.limit_in_bytes"):
        text = _read(file).strip()
        if text.isdecimal() and int(text) < NO_LIMIT:
            found.append(int(text) >> 20)
    return min(found, default=None)


def visible_gpus(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The devices a step may be given, as CUDA_VISIBLE_DEVICES names them; MIG slices count one by one."""
    if DEVICES in environ:
        named = [word.strip() for word in environ[DEVICES].split(",")]
        end = next((at for at, word in enumerate(named) if word in ("", "-1", "NoDevFiles")), len(named))
        return tuple(named[:end])
    program = shutil.which("nvidia-smi", path=environ.get("PATH"))
    return _listed(_output_of(program, "-L")) if program else ()


def _listed(text: str) -> tuple[str, ...]:
    """The devices in the output of `nvidia-smi -L`: UUIDs, as the numbers there need not be CUDA's."""
    found: list[str] = []
    for line in text.splitlines():
        match = re.search(r"\(UUID: ([A-Za-z]+-[^)]+)\)", line)
        if match and match[1].startswith("MIG-"):
            if found and found[-1].startswith("GPU-"):
                found.pop()  # a GPU cut into slices is given slice by slice
            found.append(match[1])
        elif match:
            found.append(match[1])
    return tuple(found)


def _output_of(program: str, *words: str) -> str:
    import subprocess

    try:
        return subprocess.run([program, *words], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def says_what_it_takes(step: Step) -> bool:
    """Whether a step declares any resource, and so may run beside others."""
    taken = step.resources
    return taken.cpus is not None or taken.gpus is not None or taken.memory_mib is not None


def refuse_what_never_fits(steps: Iterable[Step], machine: Machine, file_name: str) -> None:
    """Refuse steps that ask for more GPUs or memory than there is: they would wait for ever.

    More CPUs are not refused: such a step runs alone, with the threads it asks for. Raises StepFailed.
    """
    for step in steps:
        where = f"{file_name}:{step.line}"
        gpus, memory = step.resources.gpus or 0, step.resources.memory_mib or 0
        if gpus > len(machine.gpus):
            there = f"this machine has {len(machine.gpus)}" if machine.gpus else "none is visible here"
            raise StepFailed(
                f"Step '{step.name}' asks for {_gpus(gpus)}, but {there}.",
                where=where,
                fix=f"Run it where there are so many, name them in {DEVICES}, or lower resources.gpus.",
            )
        if machine.memory_mib is not None and memory > machine.memory_mib:
            raise StepFailed(
                f"Step '{step.name}' asks for {memory} MiB of memory, but this machine has {machine.memory_mib} MiB.",
                where=where,
                fix="Run it on a larger machine, or lower resources.memory_mib.",
            )


def _gpus(number: int) -> str:
    return "1 GPU" if number == 1 else f"{number} GPUs"


@dataclass(slots=True)
class Budget:
    """What the steps at work have taken of the machine.

    Args:
        whole_machine: whether a step that declares nothing takes all CPUs (else it takes none of the budget).
    """

    machine: Machine
    whole_machine: bool = False
    taken: dict[str, Need] = field(default_factory=dict)  # step -> what it holds
    slots: dict[str, tuple[str, ...]] = field(default_factory=dict)  # step -> its GPUs

    def need(self, step: Step) -> Need:
        """What a step takes. More CPUs than there are count as all of them."""
        cpus = step.resources.cpus
        if cpus is None:
            cpus = 1 if says_what_it_takes(step) else self.machine.n_cpus if self.whole_machine else 0
        return Need(min(cpus, self.machine.n_cpus), step.resources.gpus or 0, step.resources.memory_mib or 0)

    def has_room(self, need: Need) -> bool:
        """Whether a step may start beside those at work. One that is alone may always."""
        if not self.taken:
            return True
        held = self.taken.values()
        total = self.machine.memory_mib
        return (
            sum(other.cpus for other in held) + need.cpus <= self.machine.n_cpus
            and sum(other.gpus for other in held) + need.gpus <= len(self.machine.gpus)
            and (total is None or sum(other.memory_mib for other in held) + need.memory_mib <= total)
        )

    def take(self, step: Step) -> tuple[str, ...] | None:
        """Note that a step starts. The GPUs that are its own while it works; None: it said nothing of them."""
        self.taken[step.name] = need = self.need(step)
        if step.resources.gpus is None:
            return None
        held = {gpu for gpus in self.slots.values() for gpu in gpus}
        free = [gpu for gpu in self.machine.gpus if gpu not in held]
        self.slots[step.name] = tuple(free[: need.gpus])
        return self.slots[step.name]

    def release(self, step: str) -> None:
        """Note that a step is over."""
        self.taken.pop(step, None)
        self.slots.pop(step, None)
