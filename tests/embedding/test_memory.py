"""Docs of any length: the memory that a forward pass takes beside its result does not grow with them."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import numpy as np, torch
from frostline.embedding.pieces import Pieces
from frostline.embedding.windows import plan_windows
from tests.embedding.tiny import tiny_encoder
torch.set_num_threads(1)
kind, n = sys.argv[1], int(sys.argv[2])
encoder = tiny_encoder("bert")
ones = np.ones(n, dtype=np.int32)
ids = np.arange(n, dtype=np.int64) % 80 + 5
pieces = Pieces(ids=ids, n_pieces_of_token=ones, n_tokens_of_doc=np.array([n]), n_pieces_of_doc=np.array([n]))
windows = plan_windows(np.array([n]), ones, window=60, stride=45)
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
def run(layers):
    with torch.no_grad():
        if kind == "frozen":
            return encoder.forward_frozen(pieces, windows, layers=layers)
        return encoder(pieces, windows, is_train=False, layers=layers)
before = peak()
vectors = run((-1,))
print(before, peak(), vectors.numel() * 4 / 2**20)
"""


def peak_of(kind: str, n: int) -> tuple[float, float]:
    """(MiB at the peak beside what was there before, MiB of the result) for a doc of n pieces."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind, str(n)], capture_output=True, text=True, timeout=300, check=True
    )
    before, after, result = map(float, done.stdout.split())
    return after - before, result


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
@pytest.mark.parametrize("kind", ["frozen", "predicted"])
def test_the_peak_grows_by_the_result_and_little_more(kind: str) -> None:
    short, result_of_short = peak_of(kind, 40_000)
    long, result_of_long = peak_of(kind, 240_000)

    growth = result_of_long - result_of_short
    assert growth > 20
    assert long - short <= 1.3 * growth
