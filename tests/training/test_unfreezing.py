"""A run whose layers thaw one by one ends in the same bytes, however often it is killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.pipeline.tiny import make_encoder

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "training" / "tiny_unfreezing.py"


def run(encoder: Path, output: Path, *words: str) -> int:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, str(PROGRAM), str(encoder), str(output), *words]
    return subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False).returncode


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_killed_while_layers_thaw_and_resumed_it_ends_in_the_same_bytes(tmp_path: Path) -> None:
    encoder = make_encoder(tmp_path / "encoder")

    assert run(encoder, tmp_path / "whole") == 0
    for step in ("5", "9"):  # between evaluations, once with one layer thawed, once with all
        assert run(encoder, tmp_path / "killed", step) == -signal.SIGKILL
    assert run(encoder, tmp_path / "killed") == 0

    for name in ("model-best", "model-last", "log.jsonl"):
        whole, killed = tmp_path / "whole" / name, tmp_path / "killed" / name
        if whole.is_dir():
            assert contents(whole) == contents(killed), name
        else:
            assert whole.read_bytes() == killed.read_bytes()
