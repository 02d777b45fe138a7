"""The components of a pipeline: what reads an embedding and annotates docs."""

from __future__ import annotations
