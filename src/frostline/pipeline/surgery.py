"""Change a pipeline that has weights: what it knows stays, in the same numbers.

Private copies of a publisher are made by building the changed config anew and bringing every weight over.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import fields

import torch
from thinc.api import Model
from torch import Tensor

from frostline.embedding import embedders
from frostline.embedding.embedders import embedder_nodes, embedder_of
from frostline.embedding.static_vectors import static_vectors_in
from frostline.embedding.transformer import Transformer, adopt_encoder
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.private_copies import with_private_copies
from frostline.pipeline.wiring import assemble, embedding_width, finish, models_of, readings_in


def replace_listeners(pipeline: Pipeline, names: Sequence[str]) -> None:
    """See `Pipeline.replace_listeners`."""
    training = {**(pipeline.config.get("training") or {}), "replace_listeners": list(names)}
    wanted = copy.deepcopy(pipeline.config)
    wanted["training"] = training
    fresh = assemble(with_private_copies(wanted), device=pipeline.device)
    _share_vectors(pipeline, fresh)  # a layer has its module once it has its vectors
    sources = {name: [reading.source.name for reading in readings_in(model)] for name, model in models_of(pipeline)}
    for name, model in models_of(fresh):
        own = list(embedder_nodes(pipeline.part(name).model))
        read = [pipeline.publishers[publisher].model for publisher in sources[name]]
        shared = [node for model_read in read for node in embedder_nodes(model_read)]
        for node, source in zip(embedder_nodes(model), shared if name in names else own, strict=True):
            _take_over(node, source)
    for name, component in fresh.components.items():
        component.restore(pipeline.components[name].state(), width=embedding_width(component.model))
    finish(fresh)
    _copy_weights(pipeline, fresh)
    for one in fields(Pipeline):
        setattr(pipeline, one.name, getattr(fresh, one.name))


def _share_vectors(old: Pipeline, new: Pipeline) -> None:
    """Let layers that name the same static vectors read the very same ones."""
    there = {layer.path: layer.ready for _, model in models_of(old) for _, layer in static_vectors_in(model)}
    for _, model in models_of(new):
        for _, layer in static_vectors_in(model):
            layer.attach(there[layer.path])


def _take_over(node: Model, source: Model) -> None:
    """Give a layer with an embedder a copy of another one's weights."""
    embedder = embedder_of(source)
    if isinstance(embedder, Transformer):
        adopt_encoder(node, copy.deepcopy(embedder.ready))
        return
    embedders.prepare(node, seed=0)
    embedder_of(node).module.load_state_dict(embedder.module.state_dict())


def _copy_weights(old: Pipeline, new: Pipeline) -> None:
    """Bring over all weights but the encoders', which were copied whole.

    A layer's prefix says how many layers its component has, so names are compared from behind.
    """
    there = list(_own_weights(old))
    with torch.no_grad():
        for component, name, values in _own_weights(new):
            match = [
                tensor for owner, other, tensor in there
                if owner == component and (f".{name}".endswith(f".{other}") or f".{other}".endswith(f".{name}"))
            ]  # fmt: skip
            values.copy_(match[0])


def _own_weights(pipeline: Pipeline) -> Iterator[tuple[str, str, Tensor]]:
    of_encoders = {
        parameter.data_ptr()
        for _, model in models_of(pipeline)
        for node in embedder_nodes(model)
        for parameter in embedder_of(node).module.parameters()
    }
    for key, values in pipeline.parameters.named_values.items():
        component, _, name = key.partition("/")
        if values.data_ptr() not in of_encoders:
            yield component, name, values


