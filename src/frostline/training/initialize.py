"""Bring a new pipeline to life: encoders from where the config names them, labels from the training corpus.

Every weight made here is a function of (seed, component), so adding a component changes no other's start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from thinc.api import Model

from frostline.embedding import embedders
from frostline.embedding.listener import COPY_OF
from frostline.embedding.transformer import Transformer
from frostline.errors import ModelFileError
from frostline.layers.randomness import Clock, seed_for
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.reading import reader_of
from frostline.pipeline.vectors import attach_named
from frostline.pipeline.wiring import assemble, embedding_width, faults_of_layers, finish, models_of, path_of
from frostline.tokens import Doc


def initialize(pipeline: Pipeline, references: Callable[[], Iterable[Doc]], *, seed: int) -> None:
    """Load the encoders, give the components labels and weights, set the modes.

    Args:
        references: opens the annotated training docs; called once per component.
        seed: 0 or above.
    Raises:
        ModelFileError: an encoder's source is missing or broken.
        ConfigError: a component has nothing to learn from, or a mode matches nothing.
    """
    load_encoders(pipeline, seed=seed)
    for name, component in pipeline.components.items():
        width = embedding_width(component.model)
        component.initialize(references(), width=width, seed=seed_for(Clock(seed=seed), f"initialize/{name}"))
    finish(pipeline)


def begin(config: dict[str, Any]) -> Pipeline:
    """The pipeline of a filled config as it is before the first step, with labels from corpora.train.

    Raises:
        FrostlineError: what would stop a training with this config at its start.
    """
    system, training = config["system"], config["training"]
    pipeline = assemble(config, device=system["device"])
    docs = reader_of(config, "train")
    initialize(pipeline, lambda: docs, seed=system["seed"] if training["seed"] is None else training["seed"])
    return pipeline


def load_encoders(pipeline: Pipeline, *, seed: int = 0) -> None:
    """Bring the weights of every transformer and tok2vec: from the source that its config names, or from the seed.

    Raises:
        ModelFileError: a source is missing or broken.
        ConfigError: an encoder knows no such setting, or lacks a layer that is asked for.
    """
    attach_named(pipeline)
    for name, model in models_of(pipeline):
        for number, node in enumerate(embedders.embedder_nodes(model)):
            check_source(name, node)
            use = f"initialize/{name}/embedding" + (f"-{number}" if number else "")
            if node.attrs.get(COPY_OF):
                use = f"initialize/{node.attrs[COPY_OF]}/embedding"
            embedders.prepare(node, seed=seed_for(Clock(seed=seed), use))
    for fault in faults_of_layers(pipeline):
        raise fault


def check_source(component: str, node: Model) -> None:
    """Raise ModelFileError where the folder that a transformer should come from is not there."""
    embedder = embedders.embedder_of(node)
    if not isinstance(embedder, Transformer):
        return
    source = Path(embedder.settings.source)
    if not source.is_dir():
        raise ModelFileError(
            f"The transformer of '{component}' should come from the folder '{source}', which does not exist.",
            where=f"{path_of(node, component)}.source",
            fix="Fetch it first (`project run fetch`), or name another folder with config.json, tokenizer.json "
            "and model.safetensors.",
        )
