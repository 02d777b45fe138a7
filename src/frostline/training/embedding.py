"""What `frostline embed` does: find the frozen transformer of a config or a model, and embed whole corpora with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from frostline.console import say
from frostline.embedding.embed_step import embed
from frostline.embedding.transformer import Transformer
from frostline.errors import ConfigError, UsageError, did_you_mean
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.reading import docs_of
from frostline.pipeline.serialize import load
from frostline.pipeline.wiring import assemble
from frostline.tokens import Doc
from frostline.training.initialize import load_encoders


def embed_corpora(
    source: Path | dict[str, Any],
    corpora: Sequence[Path],
    output: Path,
    *,
    publisher: str | None = None,
    device: str = "",
    threads: int = 0,
) -> int:
    """Write the activations of corpora to the folder `output`, for the runs of configs that name it.

    Args:
        source: a model folder or a filled config.
        corpora: each cut as the config cuts that path, or else its dev corpus.
        publisher: the transformer to take, by its name in the pipeline; None for the only one.
        device: in torch's notation; "" for the config's own.
        threads: that torch computes with; 0 leaves what is set.
    Returns:
        How many different docs were stored.
    Raises:
        ConfigError: there is not just one transformer and none is named, or its windows depend on a component whose
            weights the config does not have. UsageError: there is none of that name, or
            `output` is one of the corpora.
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
    name, transformer = _transformer_of(pipeline, publisher)
    opened = [docs_of(pipeline.config, corpus) for corpus in corpora]  # all of them before the long work
    docs: Iterable[Doc] = chain.from_iterable(opened)
    if transformer.settings.getter is not None:
        if not isinstance(source, Path):
            _check_rules(pipeline, name)
        docs = _as_predicted(pipeline, name, docs)
    return embed(transformer, docs, output, say=say)


def _as_predicted(pipeline: Pipeline, name: str, docs: Iterable[Doc]) -> Iterator[Doc]:
    """The docs as a run's transformer meets them: a getter of windows may read what components before it predict."""
    for doc in docs:
        bare = doc.without_annotations()
        pipeline.predict([bare], before=name)
        yield bare


def _check_rules(pipeline: Pipeline, name: str) -> None:
    """Raise ConfigError where a component before the transformer has weights: a config alone has none for it."""
    for other in pipeline.order[: pipeline.order.index(name)]:
        if other in pipeline.components and pipeline.components[other].model.layers:
            raise ConfigError(
                f"The windows of '{name}' may depend on what '{other}' predicts; in a config, that is not trained.",
                where=f"components.{name}.model.windows",
                fix="Give a model folder in place of the config, or choose windows that need no getter.",
            )


def _transformer_of(pipeline: Pipeline, name: str | None) -> tuple[str, Transformer]:
    found = {key: one.embedder for key, one in pipeline.publishers.items() if isinstance(one.embedder, Transformer)}
    if name is not None and name not in found:
        raise UsageError(
            f"'{name}' is no transformer that components of the pipeline share.",
            where="--publisher",
            fix=did_you_mean(name, found),
        )
    if name is None and len(found) > 1:
        names = ", ".join(found)
        raise ConfigError(
            f"The pipeline has {len(found)} transformers: {names}.",
            where="pipeline.components",
            fix=f"Say which one to embed with: --publisher {next(iter(found))}",
        )
    if not found:
        publishers = ", ".join(pipeline.publishers) or "no publisher"
        raise ConfigError(
            f"There is no transformer that components share: the pipeline has {publishers}.",
            where="pipeline.components",
            fix="Name a config whose components read one, such as configs/frozen-listener.cfg.",
        )
    return next((key, one) for key, one in found.items() if name in (None, key))
