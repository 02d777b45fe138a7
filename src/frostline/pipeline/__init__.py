"""A pipeline: tokenizer, publishers and components that work on one doc after another."""

from __future__ import annotations

from frostline.pipeline.devices import prefer_gpu, require_gpu
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.serialize import load

__all__ = ["Pipeline", "load", "prefer_gpu", "require_gpu"]
