"""Read what runs left behind, as values. Absent files are None; broken ones are errors that say how to mend them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from frostline.digest import sha256_file
from frostline.errors import ResultsError

SPLITS = ("test", "dev")
_RUN_FOLDER = re.compile(r"(?P<variant>.+)-(?P<seed>\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPoint:
    """One evaluation during training."""

    step: int
    epoch: float
    score: float
    is_best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One trained cell: a variant with a seed, and its evaluations by split."""

    variant: str
    seed: int
    folder: Path
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # split -> metrics.json
    timing: Mapping[str, Any] = field(default_factory=dict)  # of the training; empty while it is not done
    split_timing: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    log: tuple[LogPoint, ...] = ()

    @property
    def missing(self) -> str | None:
        """What is not there yet, in words; None when the run is whole."""
        if not self.timing and not self.metrics:
            return "not trained to its end"
        absent = [split for split in SPLITS if split not in self.metrics]
        return f"not evaluated on {' and '.join(absent)}" if absent else None

    def model_digests(self) -> dict[str, str]:
        """SHA-256 of each weights file of the last model, by its path there; empty when there is no model."""
        return dict(_digests(self.folder / "model-last"))


@lru_cache(maxsize=1024)
def _digests(model: Path) -> tuple[tuple[str, str], ...]:
    files = sorted(model.rglob("*.safetensors"))
    return tuple((file.relative_to(model).as_posix(), sha256_file(file)) for file in files)


def read_runs(root: Path, profile: str) -> list[Run]:
    """All runs below training/<profile>/, by variant and seed.

    Raises:
        ResultsError: a file that is there can't be understood.
    """
    folder = root / "training" / profile
    if not folder.is_dir():
        return []
    found = []
    for place in folder.iterdir():
        name = _RUN_FOLDER.fullmatch(place.name)
        if name and place.is_dir():
            found.append(_read_run(place, name["variant"], int(name["seed"])))
    return sorted(found, key=lambda run: (run.variant, run.seed))


def _read_run(folder: Path, variant: str, seed: int) -> Run:
    metrics = {split: read_metrics(folder / split / "metrics.json") for split in SPLITS}
    return Run(
        variant=variant,
        seed=seed,
        folder=folder,
        metrics={split: values for split, values in metrics.items() if values is not None},
        timing=_read_timing(folder / "timing.json"),
        split_timing={split: _read_timing(folder / split / "timing.json") for split in SPLITS},
        log=_read_log(folder / "log.jsonl"),
    )


def read_metrics(path: Path) -> dict[str, float] | None:
    """metrics.json: names and finite numbers; None when the file is not there."""
    if not path.exists():
        return None
    content = read_json(path)
    for name, value in content.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ResultsError(f"'{name}' is {value!r}, not a finite number.", where=str(path), fix=_again(path))
    return {name: float(value) for name, value in content.items()}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ResultsError with line and column when it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError as error:
        raise ResultsError("The file does not exist.", where=str(path), fix="Check the path.") from error
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise ResultsError(f"This is no JSON: {error.msg}.", where=where, fix=_again(path)) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise ResultsError("This is no JSON text.", where=str(path), fix=_again(path)) from error
    if not isinstance(content, dict):
        raise ResultsError("There must be one JSON object in the file.", where=str(path), fix=_again(path))
    return content


def _read_timing(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _read_log(path: Path) -> tuple[LogPoint, ...]:
    if not path.exists():
        return ()
    points = []
    for number, line in enumerate(path.read_text(encoding="utf8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            point = LogPoint(
                step=int(row["step"]),
                epoch=float(row.get("epoch") or 0),
                score=float(row["score"]),
                is_best=bool(row.get("is_best")),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ResultsError(
                "This line is no evaluation record: it needs a step and a score.",
                where=f"{path}:{number}",
                fix=_again(path),
            ) from error
        if math.isfinite(point.score):
            points.append(point)
    return tuple(points)


def _again(path: Path) -> str:
    return f"Remove {path.name} and run the step that makes it again."
