"""Counted randomness: every random number is a function of (seed, epoch, step, module name).

Nothing is drawn from a state that lives from step to step, so a resumed run needs no generator's state, a module's
numbers do not depend on which other modules drew before it, and two ways of wiring one pipeline draw the same.
Data order is the corpora's own business (`epoch_order`), by the same rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy
import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Where a run stands: what random numbers are a function of."""

    seed: int
    epoch: int = 0  # from 0
    step: int = 0  # optimizer steps done before this one, over all epochs


def seed_for(clock: Clock, module: str) -> int:
    """A 64-bit seed for one use of randomness: the first 8 bytes of a SHA-256, the same on every machine."""
    return int.from_bytes(_digest(clock, module)[:8], "little")


def torch_generator(clock: Clock, module: str, *, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh torch generator for one module at one step."""
    return torch.Generator(device=device).manual_seed(seed_for(clock, module))


def numpy_generator(clock: Clock, module: str) -> numpy.random.Generator:
    """A fresh NumPy generator (Philox, 128-bit key) for one module at one step."""
    key = int.from_bytes(_digest(clock, module)[:16], "little")
    return numpy.random.Generator(numpy.random.Philox(key=key))


@contextmanager
def counted(clock: Clock, module: str) -> Iterator[None]:
    """Let torch's own generators, which dropout draws from, start at this module's seed; restore them afterwards."""
    # only the device in use: forking the state of every GPU costs a synchronisation each
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        seed = seed_for(clock, module)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed formats a stack per kind of device, there or not
        if devices:
            torch.cuda.manual_seed(seed)
        yield


def _digest(clock: Clock, module: str) -> bytes:
    return hashlib.sha256(f"{clock.seed} {clock.epoch} {clock.step} {module}".encode()).digest()
