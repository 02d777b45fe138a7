"""Set a process up so that its numbers repeat: seeds, threads, torch's deterministic algorithms.

`Clock` and the generators live in `frostline.layers.randomness`, because layers draw from them; they are offered
here too, for the training loop's readers.
"""

from __future__ import annotations

import os
import random

import numpy
import torch

from frostline.errors import ConfigError, did_you_mean
from frostline.layers.randomness import Clock, counted, numpy_generator, seed_for, torch_generator

__all__ = ["Clock", "counted", "numpy_generator", "seed_for", "set_up", "torch_generator"]

DETERMINISTIC = ("no", "yes", "strict")
CUBLAS_WORKSPACE = ":4096:8"  # what cuBLAS needs to give the same sums twice


def set_up(seed: int, *, deterministic: str = "yes", threads: int = 0) -> None:
    """Seed the global generators (used only by initialisers), set torch's threads and deterministic algorithms.

    Args:
        seed: 0 or above.
        deterministic: "no" lets torch choose; "yes" asks for deterministic algorithms and warns where an operation
            has none; "strict" makes such an operation an error.
        threads: how many threads torch computes with; 0 leaves what is set.
    Raises:
        ConfigError: an unknown value of `deterministic`, or a negative number.
    """
    if deterministic not in DETERMINISTIC:
        fix = did_you_mean(deterministic, DETERMINISTIC)
        raise ConfigError(f"'{deterministic}' is no value of deterministic.", where="system.deterministic", fix=fix)
    if seed < 0 or threads < 0:
        name, value = ("seed", seed) if seed < 0 else ("threads", threads)
        raise ConfigError(f"{name} is {value}, but must be 0 or more.", where=f"system.{name}")
    if threads:
        torch.set_num_threads(threads)
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if deterministic != "no":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", CUBLAS_WORKSPACE)
        torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(deterministic != "no", warn_only=deterministic == "yes")
