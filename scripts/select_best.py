"""Take the best variant: highest mean score on the development part over all seeds, the earliest name on a tie.

    python scripts/select_best.py training/ewt --variants '["a", "b"]' --seeds '[0, 1]' --output training/ewt/best

Reads `<variant>-<seed>/dev/metrics.json` and nothing of the test part. Copies the model of the winner's best seed to
`<output>` and writes there why it won, as selection.json; what was at `<output>` is replaced when the new one is whole.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from frostline.console import run_command, say
from frostline.errors import CorpusError, UsageError
from frostline.files import new_directory, write_json_atomic

Scores = Mapping[str, Mapping[int, float]]  # variant -> seed -> score on dev


def read_scores(folder: Path, variants: Sequence[str], seeds: Sequence[int]) -> dict[str, dict[int, float]]:
    """The weighted `score` of every cell on the development part. Raises CorpusError where one is missing."""
    return {
        variant: {seed: _read_score(folder / f"{variant}-{seed}" / "dev" / "metrics.json") for seed in seeds}
        for variant in variants
    }


def _read_score(path: Path) -> float:
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["score"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(
            f"No 'score' can be read there ({type(error).__name__}).",
            where=str(path),
            fix="Run the evaluate step of this cell again.",
        ) from error


def choose(scores: Scores) -> tuple[str, int]:
    """The winning variant and its best seed; on ties the earliest name and the lowest seed."""
    variant = min(scores, key=lambda name: (-fmean(scores[name].values()), name))
    seed = min(scores[variant], key=lambda number: (-scores[variant][number], number))
    return variant, seed


def selection(scores: Scores, variant: str, seed: int) -> dict[str, Any]:
    """What selection.json says."""
    return {
        "variant": variant,
        "seed": seed,
        "by": "mean of 'score' on dev over seeds",
        "mean_scores": {name: fmean(by_seed.values()) for name, by_seed in scores.items()},
        "scores": {name: {str(number): score for number, score in by_seed.items()} for name, by_seed in scores.items()},
    }


def select(folder: Path, variants: Sequence[str], seeds: Sequence[int], output: Path) -> str:
    """Choose, copy and write; returns the winner's name."""
    if not variants or not seeds:
        raise UsageError(
            "There is nothing to choose from: no variants or no seeds.", fix="Name them in project.yml under vars."
        )
    scores = read_scores(folder, variants, seeds)
    variant, seed = choose(scores)
    with new_directory(output) as temporary:
        shutil.copytree(folder / f"{variant}-{seed}" / "model-best", temporary, dirs_exist_ok=True)
        write_json_atomic(temporary / "selection.json", selection(scores, variant, seed))
    mean = fmean(scores[variant].values())
    over = f"over {len(seeds)} seeds" if len(seeds) > 1 else "with one seed"
    say(f"best on dev: {variant} (mean score {mean:.4f} {over}) → {output}")
    return variant


def main() -> None:
    """Parse the command line and select."""
    parser = argparse.ArgumentParser(description="Take the variant that is best on the development part.")
    parser.add_argument("folder", type=Path, help="where the folders <variant>-<seed> are")
    parser.add_argument("--variants", type=json.loads, required=True, help="names, as a JSON list")
    parser.add_argument("--seeds", type=json.loads, required=True, help="whole numbers, as a JSON list")
    parser.add_argument("--output", type=Path, required=True, help="where the winner's model goes")
    options = parser.parse_args()
    run_command(lambda: select(options.folder, options.variants, options.seeds, options.output))


if __name__ == "__main__":
    main()
