"""The number formats that arithmetic and stored activations may have, by their names in a config."""

from __future__ import annotations

import torch

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "float16": torch.float16}
