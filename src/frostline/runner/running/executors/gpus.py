"""How much GPU memory is taken while steps work: nvidia-smi, asked once and left to tell every second.

Where there is no nvidia-smi, or it tells nothing of a device (slices of one, for example), nothing is known.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

QUERY = ("--query-gpu=index,uuid,name,memory.used", "--format=csv,noheader,nounits", "-lms", "1000")
OWN_MIB = 64.0  # a step that did not ask for a GPU has used one if more than this was taken while it worked alone


@dataclass(slots=True)
class Gpu:
    """One device as nvidia-smi knows it."""

    index: str
    uuid: str
    name: str
    used_mib: float


class GpuWatch:
    """The memory in use on each device, as of the last second. Ends with the process that opened it."""

    def __init__(self, program: str) -> None:
        self.devices: dict[str, Gpu] = {}  # by uuid
        self._rest = b""
        self._process = subprocess.Popen(
            [program, *QUERY],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def look(self) -> None:
        """Take in what nvidia-smi has told since."""
        assert self._process.stdout is not None
        while data := self._process.stdout.read(1 << 16):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._note(line.decode("utf-8", "replace"))

    def _note(self, line: str) -> None:
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 4 and parts[3].replace(".", "", 1).isdecimal():
            index, uuid, name, used = parts
            self.devices[uuid] = Gpu(index, uuid, name, float(used))

    def of(self, names: Sequence[str] | None) -> list[Gpu]:
        """The devices that CUDA_VISIBLE_DEVICES would name so; None: all."""
        if names is None:
            return list(self.devices.values())
        return [gpu for gpu in self.devices.values() if any(_means(name, gpu) for name in names)]

    def close(self) -> None:
        """End nvidia-smi."""
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _means(name: str, gpu: Gpu) -> bool:
    return name == gpu.index if name.isdecimal() else gpu.uuid.startswith(name)


def watch_gpus(environ: Mapping[str, str]) -> GpuWatch | None:
    """A watch over the machine's GPUs; None where there is no nvidia-smi."""
    program = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if program is None:
        return None
    try:
        return GpuWatch(program)
    except OSError:
        return None


class GpuPeak:
    """The most that one job has had of the GPUs.

    Args:
        names: the devices that are its own; None: it did not say, and is given what changes while it works alone.
    """

    def __init__(self, watch: GpuWatch, names: Sequence[str] | None) -> None:
        self.watch = watch
        self.names = names
        self.start_mib = {gpu.uuid: gpu.used_mib for gpu in watch.of(names)}
        self.peaks_mib: dict[str, float] = {}
        self.was_alone = True

    def look(self, *, is_alone: bool) -> None:
        """Note what is in use now."""
        self.was_alone &= is_alone
        for gpu in self.watch.of(self.names):
            self.start_mib.setdefault(gpu.uuid, gpu.used_mib)
            self.peaks_mib[gpu.uuid] = max(self.peaks_mib.get(gpu.uuid, 0.0), gpu.used_mib)

    def result(self) -> tuple[tuple[str, ...], float | None]:
        """(the devices' names, most memory in use on one of them in MiB); nothing where the job used none."""
        used = [
            uuid
            for uuid, peak in self.peaks_mib.items()
            if self.names is not None or (self.was_alone and peak - self.start_mib[uuid] > OWN_MIB)
        ]
        names = tuple(self.watch.devices[uuid].name for uuid in used)
        return names, max((self.peaks_mib[uuid] for uuid in used), default=None)
