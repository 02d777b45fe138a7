"""What a project says about its report: the `report` section of project.yml, handed over as a JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frostline.errors import ConfigError, did_you_mean
from frostline.report.reading import read_json

KEYS = ("title", "baseline", "axes", "metrics")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSpec:
    """Wishes for a report; empty ones are filled from what the runs have.

    baseline: a variant that the others are shown against. axes: what the dash-separated parts of a variant's name
    stand for. metrics: keys of metrics.json, in the order of the columns.
    """

    title: str | None = None
    baseline: str | None = None
    axes: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


def read_spec(path: Path) -> ReportSpec:
    """Read a spec from JSON.

    Raises:
        ResultsError: the file is missing or no JSON object.
        ConfigError: an unknown key or a value of the wrong type.
    """
    content = read_json(path)
    for key in content:
        if key not in KEYS:
            raise ConfigError(f"A report has no setting '{key}'.", where=str(path), fix=did_you_mean(key, KEYS))
    return ReportSpec(
        title=_text(content, "title", path),
        baseline=_text(content, "baseline", path),
        axes=_texts(content, "axes", path),
        metrics=_texts(content, "metrics", path),
    )


def _text(content: dict[str, Any], key: str, path: Path) -> str | None:
    value = content.get(key)
    if value is None or isinstance(value, str):
        return value or None
    raise ConfigError(f"'{key}' of a report must be a text.", where=str(path), fix=f'Write "{key}": "…".')


def _texts(content: dict[str, Any], key: str, path: Path) -> tuple[str, ...]:
    value = content.get(key) or []
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ConfigError(f"'{key}' of a report must be a list of texts.", where=str(path), fix=f'Write "{key}": ["…"].')
