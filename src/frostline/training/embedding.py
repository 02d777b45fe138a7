"""What `frostline embed` does: find the frozen transformer of a config or a model, and embed whole corpora with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from frostline.console import say
from frostline.embedding.embed_step import embed
from frostline.embedding.transformer import Transformer
from frostline.errors import ConfigError, UsageError
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.reading import docs_of
from frostline.pipeline.serialize import load
from frostline.pipeline.wiring import assemble
from frostline.tokens import Doc
from frostline.training.initialize import load_encoders


def embed_corpora(
    source: Path | dict[str, Any], corpora: Sequence[Path], output: Path, *, device: str = "", threads: int = 0
) -> int:
    """Write the activations of corpora to the folder `output`, for the runs of configs that name it.

    Args:
        source: a model folder or a filled config; its one publisher is taken.
        corpora: each cut as the config cuts that path, or else its dev corpus.
        device: in torch's notation; "" for the config's own.
        threads: that torch computes with; 0 leaves what is set.
    Returns:
        How many different docs were stored.
    Raises:
        ConfigError: there is not just one publisher. UsageError: `output` is one of the corpora.
        CorpusError, ModelFileError: a corpus or the encoder is missing or broken.
    """
    for corpus in corpora:
        if output.resolve() == corpus.resolve() or output.resolve() in corpus.resolve().parents:
            raise UsageError(f"The output '{output}' would replace the corpus '{corpus}'.", fix="Name another folder.")
    if isinstance(source, Path):
        pipeline = load(source, device=device)
    else:
        pipeline = assemble(source, device=device or source.get("system", {}).get("device", ""))
        load_encoders(pipeline)
    if threads:
        torch.set_num_threads(threads)
    opened = [docs_of(pipeline.config, corpus) for corpus in corpora]
    return embed(_publisher_of(pipeline), _chained(opened), output, say=say)


def _chained(corpora: Sequence[Any]) -> Iterator[Doc]:
    for docs in corpora:
        yield from docs


def _publisher_of(pipeline: Pipeline) -> Transformer:
    transformers = [one.embedder for one in pipeline.publishers.values() if isinstance(one.embedder, Transformer)]
    if len(transformers) != 1:
        found = ", ".join(pipeline.publishers) or "none"
        raise ConfigError(
            f"One shared transformer can be embedded with, the pipeline has {found}.",
            where="pipeline.components",
            fix="Name a config whose components read one publisher, such as configs/frozen-listener.cfg.",
        )
    return transformers[0]
