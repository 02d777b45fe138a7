"""frostline: experiments on shared-transformer NLP pipelines, declared in YAML and reproducible.

The public face of the library. Everything here loads on first use, so that `import frostline` costs next to
nothing and the command lines can answer `--help` without loading torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frostline.pipeline import Pipeline, load, prefer_gpu, require_gpu
    from frostline.tokens import Doc, Example, Span, Token

__version__ = "0.1.0"

_HOMES = {
    "Pipeline": "frostline.pipeline",
    "load": "frostline.pipeline",
    "prefer_gpu": "frostline.pipeline",
    "require_gpu": "frostline.pipeline",
    "Doc": "frostline.tokens",
    "Example": "frostline.tokens",
    "Span": "frostline.tokens",
    "Token": "frostline.tokens",
}

__all__ = ["Doc", "Example", "Pipeline", "Span", "Token", "__version__", "load", "prefer_gpu", "require_gpu"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'frostline' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
