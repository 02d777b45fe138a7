"""The models a run leaves: model-best and model-last, always with the averaged weights when there are averages.

`Trainable.to_disk` replaces a folder only when the new one is whole, so a kill leaves the old model or the new one;
what such a kill can leave beside them is cleared away here, at the start of the next try.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from frostline.files import remove_tree
from frostline.training.loop import Trainable

MODEL_BEST = "model-best"
MODEL_LAST = "model-last"
CHECKPOINT = "checkpoint"
LOG = "log.jsonl"
TIMING = "timing.json"


def save_model(pipeline: Trainable, path: Path, *, values: Mapping[str, torch.Tensor]) -> None:
    """Save the pipeline with other weights (group → flat tensor) in the place of its own; none means its own."""
    with pipeline.parameters.use(values):
        pipeline.to_disk(path)


def clear_leftovers(output: Path) -> None:
    """Remove the half-written temporary folders and files that a killed run left in the output folder."""
    for name in (MODEL_BEST, MODEL_LAST, LOG, TIMING):
        for leftover in output.glob(f".{name}.*.tmp"):
            remove_tree(leftover)
