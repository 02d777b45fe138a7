"""Pretraining: an encoder from raw text, by the training loop."""

from __future__ import annotations

from frostline.pretraining.run import pretrain

__all__ = ["pretrain"]
