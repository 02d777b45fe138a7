"""Registered functions that the config tests call, so that they need no other package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from frostline.config import registry


@registry.schedules("test.Line.v1")
def line(*, start: float, n_steps: int = 10) -> Callable[[int], float]:
    """From start to 0.

    start: the first value. n_steps: how many.
    """
    return lambda step: start * (1 - step / n_steps)


@registry.optimizers("test.Descent.v1")
def descent(
    *,
    learn_rate: float | Callable[[int], float],
    betas: tuple[float, float] = (0.9, 0.99),
    kind: Literal["a", "b"] = "a",
) -> dict[str, Any]:
    """Down the hill."""
    return {"learn_rate": learn_rate, "betas": betas, "kind": kind}


@registry.batchers("test.Batches.v1")
def batches(*, n_words: int) -> int:
    if n_words < 1:
        raise ValueError("A batch has at least one word.")
    return n_words


@registry.tokenizers("test.Tokens.v1")
def tokens(*, lang: str = "en") -> str:
    return lang


@registry.readers("test.Reader.v1")
def reader(*, path: Path, limit: int | None = None) -> tuple[Path, int | None]:
    return path, limit


@registry.architectures("test.Model.v1")
def model(*, width: int, embedding: Any = None, settings: dict[str, Any] = {}) -> dict[str, Any]:  # noqa: B006
    return {"width": width, "embedding": embedding, "settings": settings}


@registry.components("test_part")
def part(*, name: str, model: Any, scale: float = 1.0) -> dict[str, Any]:
    return {"name": name, "model": model, "scale": scale}


TEXT = """\
[paths]
train = "corpus/train"

[system]
seed = 3

[pipeline]
components = ["one"]

[pipeline.tokenizer]
@tokenizers = "test.Tokens.v1"

[components.one]
factory = "test_part"

[components.one.model]
@architectures = "test.Model.v1"
width = 8

[corpora.train]
@readers = "test.Reader.v1"
path = ${paths.train}

[training]
max_epochs = 2
seed = ${system.seed}

[training.batcher]
@batchers = "test.Batches.v1"
n_words = 100

[training.optimizer]
@optimizers = "test.Descent.v1"

[training.optimizer.learn_rate]
@schedules = "test.Line.v1"
start = 0.5
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A small, complete config."""
    file = tmp_path / "small.cfg"
    file.write_text(TEXT)
    return file
