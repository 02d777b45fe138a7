"""Bound what torch keeps for every shape that it has multiplied in bf16 or float16 on a CPU.

There oneDNN compiles a kernel for each new shape, and keeps the last 1,024 of them, in two caches. Batches of text have
ever new shapes: 40 steps of a training on EWT left 500 MiB of kernels that were hardly ever used again, and 840 MiB of
holes in the heap between them. A step needs some dozens, and training is as fast with these.
"""

from __future__ import annotations

import os

KEPT = 128
_CAPACITIES = {  # read once, by the first product: each with another name that says the same
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "DNNL_PRIMITIVE_CACHE_CAPACITY",
    "LRU_CACHE_CAPACITY": "LRU_CACHE_CAPACITY",
}


def bound_kernel_caches() -> None:
    """Let the caches hold `KEPT` kernels, where the environment does not say how many; too late changes nothing."""
    for name, older_name in _CAPACITIES.items():
        if name not in os.environ and older_name not in os.environ:
            os.environ[name] = str(KEPT)
