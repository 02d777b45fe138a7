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
from frostline.embedding.pooling import check_mode
from frostline.embedding.publisher import Publisher
from frostline.embedding.tok2vec import publishing
from frostline.errors import ConfigError, TrainingError
from frostline.tokens import Doc

AddGradient = Callable[[Tensor, float], None]


@dataclass(slots=True, kw_only=True)
class Reading:
    """How a layer reads a publisher; wired to it when the pipeline is put together."""

    publisher_name: str
    pooling: str
    layer: int
    grad_factor: float
    attached: bool = True
    from_docs: bool = False
    publisher: Publisher | None = None

    @property
    def wants_gradient(self) -> bool:
        """Whether this reader sends a gradient back."""
        return self.attached and self.grad_factor != 0.0

    @property
    def source(self) -> Publisher:
        """The publisher; RuntimeError before wiring."""
        if self.publisher is None:
            raise RuntimeError(f"The reader of '{self.publisher_name}' is not wired to a publisher.")
        return self.publisher


@registry.architectures("frostline.Listener.v1")
def build_listener(
    *, publisher: str = "*", pooling: str = "mean", layer: int = -1, grad_factor: float = 1.0
) -> Model[list[Doc], Tensor]:
    """Read the activations that the publisher computed for this very batch.

    publisher: name of the component, or "*" for the nearest one before.
    pooling: how a token's pieces become one vector: mean, max, sum, first or last.
    layer: hidden state to read, 0 (embeddings) to the last, or -1 (last) and down.
    grad_factor: what this component's gradient is multiplied by on its way to the publisher; 0 sends none.
    """
    _check(pooling, grad_factor)
    reading = Reading(publisher_name=publisher, pooling=pooling, layer=layer, grad_factor=grad_factor)
    return Model("listener", _read, attrs={"reading": reading})


@registry.architectures("frostline.Annotations.v1")
def build_annotations(
    *, publisher: str = "*", pooling: str = "mean", layer: int = -1, grad_factor: float = 1.0, attached: bool = True
) -> Model[list[Doc], Tensor]:
    """Read the activations that an annotating publisher wrote to the docs.

    attached: False cuts the way back to the publisher; the other settings are those of `frostline.Listener.v1`.
    """
    _check(pooling, grad_factor)
    reading = Reading(
        publisher_name=publisher,
        pooling=pooling,
        layer=layer,
        grad_factor=grad_factor,
        attached=attached,
        from_docs=True,
    )
    return Model("annotations", _read, attrs={"reading": reading})


@registry.architectures("frostline.Independent.v1")
def build_independent(
    *, transformer: Model[list[Doc], Activations], pooling: str = "mean", layer: int = -1
) -> Model[list[Doc], Tensor]:
    """A transformer or tok2vec of the component's own.

    transformer: what a publisher has as its model, such as `frostline.Transformer.v1` or `frostline.Tok2Vec.v1`;
        pooling and layer as for `frostline.Listener.v1`.
    """
    _check(pooling)
    transformer = publishing(transformer)
    embedder_of(transformer).layers = (layer,)
    return Model("independent", _own, layers=[transformer], attrs={"pooling": pooling, "layer": layer})


def _check(pooling: str, grad_factor: float = 1.0) -> None:
    check_mode(pooling)
    if not math.isfinite(grad_factor):
        message = f"grad_factor is {grad_factor}, which is no finite number."
        raise ConfigError(message, where="grad_factor", fix="Give 1.0, or 0 for none.")


def reading_of(model: Model) -> Reading | None:
    """How a layer reads a publisher; None for any other layer."""
    reading = model.attrs.get("reading")
    assert reading is None or isinstance(reading, Reading)
    return reading


def layer_asked_by(model: Model) -> tuple[Embedder, int] | None:
    """The embedder that a wired layer reads and the hidden state that it asks for; None for any other layer."""
    reading = reading_of(model)
    if reading is not None:
        return reading.source.embedder, reading.layer
    if model.name == "independent":
        return embedder_of(model.layers[0]), model.attrs["layer"]
    return None


def _read(model: Model, docs: Sequence[Doc], is_train: bool) -> tuple[Tensor, Callable[[Tensor | None], None]]:
    reading = model.attrs["reading"]
    values, add_gradient = (
        _from_docs(reading, docs, is_train) if reading.from_docs else _from_step(reading, docs, is_train)
    )
    if not reading.wants_gradient:
        return values.detach(), lambda gradient: None

    def backprop(gradient: Tensor | None) -> None:
        if gradient is not None:
            add_gradient(gradient, reading.grad_factor)

    return values, backprop


def _from_step(reading: Reading, docs: Sequence[Doc], is_train: bool) -> tuple[Tensor, AddGradient]:
    publisher = reading.source
    activations = publisher.find(docs, is_train=is_train)
    if activations is None:
        if is_train:
            raise TrainingError(
                f"A listener was given docs that '{publisher.name}' did not publish in this step.",
                fix="Hand it the batch of the step itself, in its own order.",
            )
        activations = publisher.embedder.compute(docs, is_train=False)
    view = activations.view(reading.layer, reading.pooling)
    return view.values, lambda gradient, factor: view.add_gradient(gradient, factor=factor)


def _from_docs(reading: Reading, docs: Sequence[Doc], is_train: bool) -> tuple[Tensor, AddGradient]:
    name = reading.source.name
    shares = [_share(doc, name, is_train) for doc in docs]
    return gather(shares, reading.layer, reading.pooling)


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
    view = activations.view(model.attrs["layer"], model.attrs["pooling"])

    def backprop(gradient: Tensor | None) -> None:
        if gradient is not None:
            view.add_gradient(gradient)
            backward(None)

    return view.values, backprop
