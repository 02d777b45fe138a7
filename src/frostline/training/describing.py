"""What the transformers of a pipeline are, for people: `frostline debug encoders`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frostline.embedding.depths import why_not_cut
from frostline.embedding.transformer import Transformer
from frostline.pipeline.serialize import load
from frostline.pipeline.wiring import assemble, named_embedders
from frostline.training.initialize import load_encoders


def describe_transformers(source: Path | dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Name → facts of every transformer; a private one is named after its component.

    Args:
        source: a model folder or a filled config.
    Raises:
        ConfigError, ModelFileError: the pipeline can't be put together, or an encoder is missing or broken.
    """
    if isinstance(source, Path):
        pipeline = load(source)
    else:
        pipeline = assemble(source)
        load_encoders(pipeline)
    found: dict[str, dict[str, Any]] = {}
    for part in pipeline.order:
        for name, transformer in named_embedders(pipeline, part):
            if isinstance(transformer, Transformer):
                found[name] = _facts_of(transformer)
    return found


def _facts_of(transformer: Transformer) -> dict[str, Any]:
    facts: dict[str, Any] = dict(transformer.ready.facts())
    reason = why_not_cut(transformer.ready)
    return facts | {
        "rows_reason": facts["rows_reason"] or None,
        "keeps_still_layers": not reason,
        "keeps_still_layers_reason": reason or None,
        "window": transformer.window,
        "stride": transformer.stride,
        "windows": "by length" if transformer.settings.getter is None else "chosen by a getter",
        "batch_pieces": transformer.settings.max_batch_pieces,
        "gradient_checkpointing": transformer.settings.gradient_checkpointing,
        "storage": transformer.settings.storage,
    }
