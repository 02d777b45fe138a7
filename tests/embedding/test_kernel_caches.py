"""Kernels that torch compiles for shapes are let go, unless the environment says that they are to stay."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NAMES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "DNNL_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
PROGRAM = """
import os
import torch
from tests.embedding.tiny import tiny_encoder
torch.set_num_threads(1)
tiny_encoder("bert", precision="bf16")
weights = torch.ones(64, 256, dtype=torch.bfloat16)
def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
torch.ones(1, 64, dtype=torch.bfloat16) @ weights
before = held()
for n in range(2, 1000):
    torch.ones(n, 64, dtype=torch.bfloat16) @ weights
print(held() - before)
"""


def held_after_many_shapes(capacity: str | None) -> float:
    """MiB that a process of its own came to hold, where the environment says so much of the caches."""
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    if capacity is not None:
        environment |= dict.fromkeys(NAMES, capacity)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=True, env=environment
    )
    return float(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what a process holds is read from /proc")
def test_kernels_of_shapes_that_are_gone_are_let_go_unless_the_environment_keeps_them() -> None:
    kept = held_after_many_shapes("1024")
    if kept < 50:
        pytest.skip("torch compiles no bf16 kernels by shape on this CPU")

    assert held_after_many_shapes(None) < kept / 2
