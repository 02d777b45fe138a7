"""The best variant is chosen on the development part alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "scripts" / "select_best.py"


def trained(folder: Path, variant: str, seed: int, *, dev: float, test: float = 0.0) -> None:
    cell = folder / f"{variant}-{seed}"
    for part, score in (("dev", dev), ("test", test)):
        (cell / part).mkdir(parents=True)
        (cell / part / "metrics.json").write_text(json.dumps({"score": score}))
    (cell / "model-best").mkdir()
    (cell / "model-best" / "name").write_text(f"{variant}-{seed}")


def run(folder: Path, variants: list[str], seeds: list[int]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(folder), "--variants", json.dumps(variants)]
    command += ["--seeds", json.dumps(seeds), "--output", str(folder / "best")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def chosen(folder: Path) -> tuple[str, str]:
    said = json.loads((folder / "best" / "selection.json").read_text())
    return said["variant"], (folder / "best" / "name").read_text()


def test_the_highest_mean_over_seeds_wins_with_its_best_seed(tmp_path: Path) -> None:
    for seed, steady, lucky in ((0, 0.80, 0.99), (1, 0.90, 0.50)):
        trained(tmp_path, "steady", seed, dev=steady)
        trained(tmp_path, "lucky", seed, dev=lucky)

    result = run(tmp_path, ["lucky", "steady"], [0, 1])

    assert result.returncode == 0, result.stderr
    assert chosen(tmp_path) == ("steady", "steady-1")
    assert "steady" in result.stderr


def test_the_earliest_name_wins_a_tie(tmp_path: Path) -> None:
    trained(tmp_path, "b", 0, dev=0.9)
    trained(tmp_path, "a", 0, dev=0.9)

    run(tmp_path, ["b", "a"], [0])

    assert chosen(tmp_path) == ("a", "a-0")


def test_the_test_part_has_no_say(tmp_path: Path) -> None:
    trained(tmp_path, "a", 0, dev=0.9, test=0.1)
    trained(tmp_path, "b", 0, dev=0.8, test=1.0)
    (tmp_path / "a-0" / "test" / "metrics.json").write_text("not even JSON")

    run(tmp_path, ["a", "b"], [0])

    assert chosen(tmp_path) == ("a", "a-0")


def test_an_old_choice_is_replaced(tmp_path: Path) -> None:
    trained(tmp_path, "a", 0, dev=0.9)
    trained(tmp_path, "b", 0, dev=0.8)
    run(tmp_path, ["b"], [0])

    run(tmp_path, ["a", "b"], [0])

    assert chosen(tmp_path) == ("a", "a-0")


@pytest.mark.parametrize("content", [None, "{", '{"xpos_acc": 1.0}', '{"score": "high"}'])
def test_a_missing_or_broken_score_is_named_and_nothing_is_written(tmp_path: Path, content: str | None) -> None:
    trained(tmp_path, "a", 0, dev=0.9)
    metrics = tmp_path / "a-0" / "dev" / "metrics.json"
    metrics.unlink()
    if content is not None:
        metrics.write_text(content)

    result = run(tmp_path, ["a"], [0])

    assert result.returncode == 2
    assert str(metrics) in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "best").exists()
