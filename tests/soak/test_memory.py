"""Memory stays flat: over thousands of batches of ever new words, and from evaluation to evaluation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what a process holds is read from /proc"),
]
ROOM_MIB = 12  # for an allocator that keeps a page here and there


def held(what: str, folder: Path) -> list[float]:
    """MiB that a process of its own held while it went on."""
    command = [sys.executable, "-m", "tests.soak.memory", what, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    return [float(mib) for mib in json.loads(done.stdout.splitlines()[-1])]


def test_two_thousand_batches_of_ever_new_words(tmp_path: Path) -> None:
    after = held("prediction", tmp_path)

    half = len(after) // 2  # by then the tables of words, which are bounded, are long full
    told = ", ".join(f"{after[place]:.0f}" for place in (0, half // 2 - 1, half - 1, -1))
    print(f"\nMiB after 20, 500, 1,000 and 2,000 batches: {told}")
    assert max(after[half:]) <= after[half - 1] + ROOM_MIB


def test_twenty_evaluations(tmp_path: Path) -> None:
    after = held("evaluations", tmp_path)

    told = ", ".join(f"{after[place]:.0f}" for place in (0, 4, 9, -1))
    print(f"\nMiB after evaluations 1, 5, 10 and 20: {told}")
    assert len(after) == 20
    assert max(after[4:]) <= after[4] + ROOM_MIB
