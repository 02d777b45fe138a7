"""The number formats that arithmetic and stored activations may have, by their names in a config."""

from __future__ import annotations

import torch

from frostline.errors import did_you_mean

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "float16": torch.float16}
_OTHER_NAMES = {
    "bfloat16": "bf16", "fp16": "float16", "f16": "float16", "half": "float16", "fp32": "float32", "f32": "float32",
    "single": "float32", "full": "float32",
}  # fmt: skip


def nearest_precision(name: str) -> str:
    """A sentence for `fix` where a name is none in PRECISIONS: the one that is meant, and all there are."""
    near = _OTHER_NAMES.get(name.lower().removeprefix("torch."))
    told = f"Did you mean '{near}'?" if near else did_you_mean(name, PRECISIONS)
    return told if told.startswith("Known") else f"{told} Known: {', '.join(PRECISIONS)}."
