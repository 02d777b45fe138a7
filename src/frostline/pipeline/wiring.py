"""Put a pipeline together from its config: build the parts, connect readers to publishers, set modes, gather weights.

Three stages, because weights come from different places: `assemble` makes everything that needs no data;
then the encoders are loaded and the components get their labels, by training (`initialize`) or from a saved
model (serialize.py); `finish` declares the modes and moves all parameters into their buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from thinc.api import Model

from frostline.config import registry
from frostline.config.arguments import Fault, raise_faults
from frostline.config.registry import CONFIG_PATH
from frostline.embedding.annotation_features import feature_width_of
from frostline.embedding.embedders import Embedder, check_layer, embedders_in
from frostline.embedding.listener import Reading, build_mix, layer_asked_by, reading_of
from frostline.embedding.publisher import Publisher
from frostline.embedding.transformer import Transformer
from frostline.errors import ConfigError, did_you_mean
from frostline.layers.cuda import check_layers, thinc_on
from frostline.layers.module_tree import tree_of
from frostline.layers.parameters import ParameterStore
from frostline.pipeline.dependencies import faults_of_declared_drift, faults_of_drift, faults_of_features
from frostline.pipeline.devices import device_of
from frostline.pipeline.freezing import UNFREEZING, declare, plan_freezing
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.private_copies import with_private_copies


def assemble(config: dict[str, Any], *, device: str = "") -> Pipeline:
    """Build all parts of a filled config, without weights or labels.

    Args:
        device: in torch's notation; "" for what `require_gpu` chose, "auto" for a GPU where there is one.
    Raises:
        ConfigError: an unknown factory or name, or a reader without a publisher.
    """
    place = device_of(device)
    config = with_private_copies(config)
    with thinc_on(torch.device(place)):
        parts = {name: make_part(config, name) for name in config["pipeline"]["components"]}
    check_layers((part.model for part in parts.values()), torch.device(place))
    for part in parts.values():
        for embedder in embedders_in(part.model):
            embedder.device = place
    tokenizer = registry.resolve(config["pipeline"]["tokenizer"], path="pipeline.tokenizer")
    pipeline = put_together(config, parts, tokenizer, device=place)
    faults = connect(pipeline)
    if faults:
        raise_faults(faults, getattr(config, "locate", lambda path: None))
    return pipeline


def make_part(config: Mapping[str, Any], name: str) -> Any:
    """One publisher or component by its section; ConfigError says what is wrong with it."""
    return registry.resolve_component(name, _section(config, name))


def put_together(config: dict[str, Any], parts: Mapping[str, Any], tokenizer: Any, *, device: str) -> Pipeline:
    """A pipeline of parts that do not know each other yet; see `connect`."""
    training = config.get("training", {})
    return Pipeline(
        config=config,
        tokenizer=tokenizer,
        publishers={name: part for name, part in parts.items() if isinstance(part, Publisher)},
        components={name: part for name, part in parts.items() if not isinstance(part, Publisher)},
        order=tuple(parts),
        annotating=frozenset(training.get("annotating_components", ())),
        frozen=frozenset(training.get("frozen_components", ())),
        device=device,
    )


def finish(pipeline: Pipeline) -> None:
    """Declare the modes of the config and move all parameters into their buffers on the pipeline's device.

    Encoders learn up to which layer they stand still for good.
    """
    for _, model in models_of(pipeline):
        for node in model.walk():
            build_mix(node)
    trees = {name: tree_of(model) for name, model in models_of(pipeline)}
    pipeline.freezing = plan_freezing(pipeline, trees, _unfreezing(pipeline.config))
    declare(pipeline)
    pipeline.parameters = ParameterStore.gather(list(_owners(pipeline)), device=pipeline.device)
    faults = list(faults_of_drift(pipeline))
    if faults:
        raise_faults(faults)
    for embedder in embedders_of(pipeline):
        if isinstance(embedder, Transformer):
            embedder.find_depth()


def _owners(pipeline: Pipeline) -> Iterator[tuple[str, Any]]:
    """Who owns which parameters. A component's private encoder is an owner of its own: see `named_embedders`.

    An optimizer can then give encoders and heads their own rates, however the encoder is shared.
    """
    for name, model in models_of(pipeline):
        if name in pipeline.components:
            for owner, embedder in named_embedders(pipeline, name):
                yield owner, embedder.module
        yield name, model


def models_of(pipeline: Pipeline) -> Iterator[tuple[str, Model]]:
    """Names and models of publishers and components, in the pipeline's order."""
    for name in pipeline.order:
        yield name, pipeline.part(name).model


def embedders_of(pipeline: Pipeline) -> Iterator[Embedder]:
    """Every transformer and tok2vec of a pipeline, shared ones and private ones."""
    for _, model in models_of(pipeline):
        yield from embedders_in(model)


def named_embedders(pipeline: Pipeline, name: str) -> Iterator[tuple[str, Embedder]]:
    """The embedders of a publisher or component, as configs, optimizers and people call them.

    A publisher's has its name; a component's own are `<component>.transformer`, `<component>.tok2vec`. What repeats is
    numbered, as modules are (layers/module_tree.py): `transformer-1`.
    """
    n_called: dict[str, int] = {}
    for embedder in embedders_in(pipeline.part(name).model):
        own = name if name in pipeline.publishers else f"{name}.{embedder.kind}"
        number = n_called[own] = n_called.get(own, -1) + 1
        yield f"{own}-{number}" if number else own, embedder


def readings_in(model: Model) -> Iterator[Reading]:
    """How a model tree reads publishers."""
    for node in model.walk():
        reading = reading_of(node)
        if reading is not None:
            yield reading


def embedding_width(model: Model) -> int:
    """The width of the embedding that a component's model reads; its encoder must be loaded.

    0 for a single layer that reads none: that of rules, which learn nothing.
    """
    for reading in readings_in(model):
        return reading.source.embedder.width + feature_width_of(model)
    for embedder in embedders_in(model):
        return embedder.width + feature_width_of(model)
    if not model.layers:
        return 0
    raise ConfigError(
        "A component's model has no embedding.",
        fix="Give it a frostline.Listener.v1, frostline.Annotations.v1 or frostline.Independent.v1 as 'embedding'.",
    )


def faults_of_layers(
    pipeline: Pipeline, n_hidden_states: Callable[[Embedder], int | None] = lambda one: one.n_hidden_states
) -> Iterator[ConfigError]:
    """The readers that ask for a layer which their encoder lacks.

    Args:
        n_hidden_states: of an encoder; None where it is unknown, and nothing is said then.
    """
    for name, model in models_of(pipeline):
        for node in model.walk():
            asked = layer_asked_by(node)
            n_all = n_hidden_states(asked[0]) if asked else None
            if asked is None or n_all is None:
                continue
            try:
                check_layer(asked[1], n_all, where=f"{path_of(node, name)}.layer")
            except ConfigError as error:
                yield error


def path_of(node: Model, component: str) -> str:
    """The config path of the block that made a layer of a component's model."""
    return str(node.attrs.get(CONFIG_PATH, f"components.{component}.model"))


def _unfreezing(config: Mapping[str, Any]) -> dict[str, Any]:
    """The schedules of gradual unfreezing, made from their blocks."""
    freezing = (config.get("training") or {}).get("freezing") or {}
    made: dict[str, Any] = registry.resolve(freezing.get("unfreezing") or {}, path=UNFREEZING)
    return made


def _section(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    sections = config.get("components", {})
    if name not in sections:
        raise ConfigError(
            f"pipeline.components lists '{name}', but there is no section [components.{name}].",
            where="pipeline.components",
            fix=did_you_mean(name, sections),
        )
    section = sections[name]
    assert isinstance(section, dict)
    return section


def connect(pipeline: Pipeline) -> list[Fault]:
    """Give every reading its publisher, and every publisher its readings; what keeps them apart."""
    faults = list(_unknown_names(pipeline))
    readers: dict[str, list[Reading]] = {name: [] for name in pipeline.publishers}
    before: list[str] = []
    for name, model in models_of(pipeline):
        if name in pipeline.publishers:
            before.append(name)
            continue
        for node in model.walk():
            reading = reading_of(node)
            if reading is None:
                continue
            publisher = _chosen(reading.publisher_name, before)
            if publisher is None:
                faults.append(_without_publisher(reading.publisher_name, before, name, path_of(node, name)))
                continue
            reading.publisher = pipeline.publishers[publisher]
            reading.is_taught = name not in pipeline.frozen
            readers[publisher].append(reading)
            if reading.from_docs and publisher not in pipeline.annotating:
                faults.append(_without_annotations(publisher, name))
    for publisher, found in readers.items():
        pipeline.publishers[publisher].wire(found)
    return faults or [*faults_of_features(pipeline), *faults_of_declared_drift(pipeline)]


def _unknown_names(pipeline: Pipeline) -> Iterator[Fault]:
    for key, names in (("annotating_components", pipeline.annotating), ("frozen_components", pipeline.frozen)):
        for name in sorted(names):
            if name not in pipeline.order:
                message = f"'{name}' is no component of the pipeline."
                yield Fault(path=f"training.{key}", message=message, fix=did_you_mean(name, pipeline.order))


def _chosen(wanted: str, before: list[str]) -> str | None:
    if wanted == "*" and before:
        return before[-1]
    return wanted if wanted in before else None


def _without_publisher(wanted: str, before: list[str], reader: str, path: str) -> Fault:
    return Fault(
        path=f"{path}.publisher",
        message=f"'{reader}' reads the publisher '{wanted}', but no such publisher comes before it in the pipeline.",
        fix=did_you_mean(wanted, before) if before else "Put a publisher before it in pipeline.components.",
    )


def _without_annotations(publisher: str, reader: str) -> Fault:
    return Fault(
        path="training.annotating_components",
        message=f"'{reader}' reads the activations of '{publisher}' from the docs, but nobody writes them there.",
        fix=f'Add "{publisher}" to the list, or read it with frostline.Listener.v1.',
    )
