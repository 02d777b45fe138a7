"""The three ways in which a component reads an embedding, as Thinc layers: docs in, (n_tokens, width) out.

- `frostline.Listener.v1` is handed the activations of the step by the publisher.
- `frostline.Annotations.v1` reads them from `doc.activations`, where the annotating publisher wrote them.
- `frostline.Independent.v1` owns a transformer that nobody shares.

With equal settings the three compute the same numbers and the same gradients; the first two in the same order too,
so that whole trainings end in the same bytes. `attached = false` cuts the way back: the component learns, the
transformer hears nothing of it. That is the control which shows what the cut costs, never a default.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from thinc.api import Model
from torch import Tensor

from frostline.config import registry
from frostline.embedding.activations import Activations, Published, Share, gather
from frostline.embedding.embedders import Embedder, embedder_of
from frostline.embedding.layer_choice import MIX, Layer
from frostline.embedding.pooling import Pooling, check_pooling
from frostline.embedding.publisher import Publisher
from frostline.embedding.tok2vec import publishing
from frostline.errors import ConfigError, TrainingError
from frostline.layers.scalar_mix import ScalarMix
from frostline.layers.scheduling import Rate, Schedule
from frostline.layers.torch_bridge import Backprop, apply_module
from frostline.tokens import Doc

COPY_OF = "copy_of"  # the attr of a private embedder's layer that names the publisher it is a frozen copy of
AddGradient = Callable[[Tensor, float], None]
Readout = tuple[Tensor, AddGradient]  # (n_tokens, width) float32, and where its gradient goes


@dataclass(slots=True, kw_only=True)
class Reading:
    """How a layer reads a publisher; wired to it when the pipeline is put together."""

    publisher_name: str
    pooling: str | Pooling
    layer: Layer
    grad_factor: float  # of the step in progress
    schedule: Schedule | None = None  # that drives it
    attached: bool = True
    from_docs: bool = False
    is_taught: bool = True  # False for the reader of a frozen component, which sends nothing back
    publisher: Publisher | None = None

    @property
    def wants_gradient(self) -> bool:
        """Whether this reader sends a gradient back in the step in progress."""
        return self.attached and self.is_taught and self.grad_factor != 0.0

    @property
    def may_want_gradient(self) -> bool:
        """Whether this reader ever sends a gradient back."""
        return self.attached and self.is_taught and (self.schedule is not None or self.grad_factor != 0.0)

    def bind_schedule(self, *, total_steps: int | None) -> None:
        """Tell the schedule of the factor, if there is one, how long the run is."""
        if self.schedule is not None:
            self.schedule = self.schedule.bind(total_steps=total_steps)

    def begin_step(self, *, step: int, last_score: float | None) -> None:
        """Set the factor of a step.

        Raises:
            TrainingError: the schedule gives no finite number.
        """
        if self.schedule is None:
            return
        factor = float(self.schedule(step, last_score))
        if not math.isfinite(factor):
            raise TrainingError(
                f"The grad_factor of a reader of '{self.publisher_name}' is {factor} at step {step}.",
                where=f"step {step}",
                fix="Use a schedule whose values are finite numbers.",
            )
        self.grad_factor = factor

    @property
    def source(self) -> Publisher:
        """The publisher; RuntimeError before wiring."""
        if self.publisher is None:
            raise RuntimeError(f"The reader of '{self.publisher_name}' is not wired to a publisher.")
        return self.publisher


@registry.architectures("frostline.Listener.v1")
def build_listener(
    *, publisher: str = "*", pooling: str | Pooling = "mean", layer: Layer = -1, grad_factor: Rate = 1.0
) -> Model[list[Doc], Tensor]:
    """Read the activations that the publisher computed for this very batch.

    publisher: name of the component, or "*" for the nearest one before.
    pooling: how a token's pieces become one vector: mean, max, sum, first, last, the name of a registered pooling, or
        a block that makes one.
    layer: hidden state to read, 0 (embeddings) to the last, or -1 (last) and down; "mix" for a learned mix of all.
    grad_factor: what this component's gradient is multiplied by on its way to the publisher: a number, or a schedule;
        0 sends none.
    """
    reading = _reading(publisher, pooling, layer, grad_factor)
    return Model("listener", _read, layers=_mix_for(layer), attrs={"reading": reading})


@registry.architectures("frostline.Annotations.v1")
def build_annotations(
    *,
    publisher: str = "*",
    pooling: str | Pooling = "mean",
    layer: Layer = -1,
    grad_factor: Rate = 1.0,
    attached: bool = True,
) -> Model[list[Doc], Tensor]:
    """Read the activations that an annotating publisher wrote to the docs.

    attached: False cuts the way back to the publisher; the other settings are those of `frostline.Listener.v1`.
    """
    reading = _reading(publisher, pooling, layer, grad_factor)
    reading.attached, reading.from_docs = attached, True
    return Model("annotations", _read, layers=_mix_for(layer), attrs={"reading": reading})


@registry.architectures("frostline.Independent.v1")
def build_independent(
    *,
    transformer: Model[list[Doc], Activations],
    pooling: str | Pooling = "mean",
    layer: Layer = -1,
    copy_of: str = "",
) -> Model[list[Doc], Tensor]:
    """A transformer or tok2vec of the component's own.

    transformer: what a publisher has as its model, such as `frostline.Transformer.v1` or `frostline.Tok2Vec.v1`;
        pooling and layer as for `frostline.Listener.v1`.
    copy_of: a publisher with the same model, whose weights it starts with and, being frozen, keeps; "" for none.
        `training.replace_listeners` writes it.
    """
    check_pooling(pooling)
    transformer = publishing(transformer)
    embedder_of(transformer).layers = None if layer == MIX else (layer,)
    transformer.attrs[COPY_OF] = copy_of
    attrs = {"pooling": pooling, "layer": layer}
    return Model("independent", _own, layers=[transformer, *_mix_for(layer)], attrs=attrs)


def _mix_for(layer: Layer) -> list[Model]:
    """The layer with the mix's numbers, of one name whoever reads; it gets its module from `build_mix`."""
    return [Model("mix", _mix, attrs={"torch_module": None})] if layer == MIX else []


def _mix(model: Model, layers: tuple[Tensor, ...], is_train: bool) -> tuple[Tensor, Backprop]:
    return apply_module(model.attrs["torch_module"], layers, is_train=is_train)


def _reading(publisher: str, pooling: str | Pooling, layer: Layer, grad_factor: Rate) -> Reading:
    check_pooling(pooling)
    schedule = grad_factor if isinstance(grad_factor, Schedule) else None
    factor = grad_factor(0) if isinstance(grad_factor, Schedule) else grad_factor
    if not math.isfinite(factor):
        message = f"grad_factor is {factor}, which is no finite number."
        raise ConfigError(message, where="grad_factor", fix="Give 1.0, or 0 for none.")
    return Reading(publisher_name=publisher, pooling=pooling, layer=layer, grad_factor=factor, schedule=schedule)


def reading_of(model: Model) -> Reading | None:
    """How a layer reads a publisher; None for any other layer."""
    reading = model.attrs.get("reading")
    assert reading is None or isinstance(reading, Reading)
    return reading


def publishers_read_by(model: Model) -> list[Publisher]:
    """The publishers that the layers of a wired model read, each once, in walk order."""
    found: dict[str, Publisher] = {}
    for node in model.walk():
        reading = reading_of(node)
        if reading is not None:
            found.setdefault(reading.source.name, reading.source)
    return list(found.values())


def layer_asked_by(model: Model) -> tuple[Embedder, int] | None:
    """The embedder that a wired layer reads and the one hidden state that it asks for; None for any other layer."""
    source = _source_of(model)
    if source is None or source[1] == MIX:
        return None
    embedder, layer = source
    assert isinstance(layer, int)
    return embedder, layer


def build_mix(model: Model) -> None:
    """Give a layer that reads a mix its numbers, once its encoder is loaded; nothing for any other layer."""
    source = _source_of(model)
    if source is not None and source[1] == MIX and model.layers[-1].attrs["torch_module"] is None:
        model.layers[-1].attrs["torch_module"] = ScalarMix(source[0].n_hidden_states)


def _source_of(model: Model) -> tuple[Embedder, Layer] | None:
    reading = reading_of(model)
    if reading is not None:
        return reading.source.embedder, reading.layer
    if model.name == "independent":
        return embedder_of(model.layers[0]), model.attrs["layer"]
    return None


def _read(model: Model, docs: Sequence[Doc], is_train: bool) -> tuple[Tensor, Callable[[Tensor | None], None]]:
    reading = model.attrs["reading"]
    read = _from_docs(reading, docs, is_train) if reading.from_docs else _from_step(reading, docs, is_train)
    if reading.layer != MIX:
        values, add_gradient = read(reading.layer)
        if not reading.wants_gradient:
            return values.detach(), lambda gradient: None
    else:
        numbers = range(reading.source.embedder.n_hidden_states)
        values, add_gradient = _mixed(model, [read(number) for number in numbers], is_train, reading.wants_gradient)

    def backprop(gradient: Tensor | None) -> None:
        if gradient is not None:
            add_gradient(gradient, reading.grad_factor)

    return values, backprop


def _mixed(model: Model, readouts: Sequence[Readout], is_train: bool, wants_gradient: bool) -> Readout:
    """The learned mix of all layers; its gradient goes to the mix, and times the factor to every layer."""
    layers = tuple(values if wants_gradient else values.detach() for values, _ in readouts)
    mixed, backprop = model.layers[-1](layers, is_train=is_train)

    def add_gradient(gradient: Tensor, factor: float) -> None:
        for (_, add), of_layer in zip(readouts, backprop(gradient), strict=True):
            if of_layer is not None:
                add(of_layer, factor)

    return mixed, add_gradient


def _from_step(reading: Reading, docs: Sequence[Doc], is_train: bool) -> Callable[[int], Readout]:
    publisher = reading.source
    found = publisher.find(docs, is_train=is_train)
    if found is None:
        if is_train:
            raise TrainingError(
                f"A listener was given docs that '{publisher.name}' did not publish in this step.",
                fix="Hand it the batch of the step itself, in its own order.",
            )
        found = publisher.embedder.compute(docs, is_train=False)
    return _views_of(found, reading.pooling)


def _views_of(activations: Activations, pooling: str | Pooling) -> Callable[[int], Readout]:
    def read(layer: int) -> Readout:
        view = activations.view(layer, pooling)
        return view.values, lambda gradient, factor: view.add_gradient(gradient, factor=factor)

    return read


def _from_docs(reading: Reading, docs: Sequence[Doc], is_train: bool) -> Callable[[int], Readout]:
    name = reading.source.name
    shares = [_share(doc, name, is_train) for doc in docs]
    return lambda layer: gather(shares, layer, reading.pooling)


def _share(doc: Doc, name: str, is_train: bool) -> Share:
    published = doc.activations.get(name)
    share = None
    if isinstance(published, Published):
        share = published.in_step if is_train else published.latest
    if share is None:
        raise ConfigError(
            f"A component reads the activations of '{name}' from the docs, but '{name}' does not write them there.",
            where="training.annotating_components",
            fix=f'Add "{name}" to training.annotating_components, or read it with frostline.Listener.v1.',
        )
    return share


def _own(model: Model, docs: Sequence[Doc], is_train: bool) -> tuple[Tensor, Callable[[Tensor | None], Any]]:
    activations, backward = model.layers[0](docs, is_train)
    read, layer = _views_of(activations, model.attrs["pooling"]), model.attrs["layer"]
    if layer == MIX:
        numbers = range(activations.n_all_layers)
        values, add_gradient = _mixed(model, [read(number) for number in numbers], is_train, activations.has_way_back)
    else:
        values, add_gradient = read(layer)

    def backprop(gradient: Tensor | None) -> None:
        if gradient is not None:
            add_gradient(gradient, 1.0)
            backward(None)

    return values, backprop
