"""The component that computes the shared embedding, once per batch, for everybody who reads it.

In a training step the pipeline opens a batch with `publishing`; the readers find its activations by the identity of
the docs, and when they have sent their gradients back the pipeline, not the last reader, runs the one backward pass.
A prediction opens its own batch beside it. What is open is closed on the way out, exceptions included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from thinc.api import Model

from frostline.config import registry
from frostline.embedding.activations import Activations, annotate, release
from frostline.embedding.annotation_setters import AnnotationSetter, set_annotations
from frostline.embedding.embedders import Embedder, embedder_of
from frostline.embedding.layer_choice import Layer, layers_to_compute
from frostline.embedding.tok2vec import publishing
from frostline.errors import ConfigError
from frostline.layers.modes import stands_still
from frostline.tokens import Doc


class Reader(Protocol):
    """A layer that reads a publisher's activations."""

    layer: Layer

    @property
    def wants_gradient(self) -> bool:
        """Whether the reader sends a gradient back in the step in progress."""

    @property
    def may_want_gradient(self) -> bool:
        """Whether the reader ever sends a gradient back."""

    def bind_schedule(self, *, total_steps: int | None) -> None:
        """Tell the schedule of its gradient factor, if it has one, how long the run is."""

    def begin_step(self, *, step: int, last_score: float | None) -> None:
        """Set the gradient factor of a step."""


class Publisher:
    """One shared embedding of a pipeline.

    Args:
        name: of the component; `doc.activations[name]` is where annotating components find its output.
        model: made by `frostline.Transformer.v1` or `frostline.Tok2Vec.v1`, or a layer docs -> (n_tokens, width).
        setters: name -> function that writes to docs: see annotation_setters.py.
    """

    def __init__(
        self,
        name: str,
        model: Model[list[Doc], Activations],
        setters: Mapping[str, AnnotationSetter] | None = None,
    ) -> None:
        self.name = name
        self.model = publishing(model)
        self.setters = dict(setters or {})
        self.readers: list[Reader] = []
        self._open: dict[tuple[bool, tuple[int, ...]], Activations] = {}

    @property
    def embedder(self) -> Embedder:
        """What computes the activations."""
        return embedder_of(self.model)

    def wire(self, readers: Sequence[Reader]) -> None:
        """Make these the publisher's readers; it computes their layers and the last one."""
        self.readers = list(readers)
        self.embedder.layers = layers_to_compute(reader.layer for reader in readers)

    @contextmanager
    def publishing(
        self, docs: Sequence[Doc], *, is_train: bool, annotating: bool, keep: bool = False
    ) -> Iterator[Activations]:
        """Compute the activations of a batch and let the readers find them for the time of the block.

        Args:
            is_train: whether a backward pass may follow.
            annotating: write them to `doc.activations[self.name]` too.
            keep: leave them there after the block; a step's never stay.
        """
        wants_gradient = is_train and any(reader.wants_gradient for reader in self.readers)
        activations = self._of_step_when_still(docs) if not is_train else None
        if activations is None:
            activations = self.embedder.compute(docs, is_train=is_train, wants_gradient=wants_gradient)
        key = (is_train, _identity(docs))
        outer = self._open.get(key)
        self._open[key] = activations
        if annotating:
            annotate(docs, self.name, activations, in_step=is_train)
        try:
            is_within_step = not is_train and self.find(docs, is_train=True) is not None
            if annotating if is_train else not is_within_step:
                set_annotations(self.setters, docs, activations, is_train=is_train, predict=self._predict)
            yield activations
        finally:
            if outer is None:
                del self._open[key]
            else:
                self._open[key] = outer
            if annotating and (is_train or not keep):
                release(docs, self.name, in_step=is_train)

    def find(self, docs: Sequence[Doc], *, is_train: bool) -> Activations | None:
        """The open activations of just this batch, in this order; None when it is not open."""
        return self._open.get((is_train, _identity(docs)))

    def _of_step_when_still(self, docs: Sequence[Doc]) -> Activations | None:
        """What a frozen publisher computed for the step in progress: a prediction would give the same again."""
        return self.find(docs, is_train=True) if stands_still(self.embedder.module) else None

    def _predict(self, docs: Sequence[Doc]) -> Activations:
        return self._of_step_when_still(docs) or self.embedder.compute(docs, is_train=False)

    def state(self) -> dict[str, Any]:
        """Nothing but weights and settings makes a publisher."""
        return {}


@registry.components("publisher")
@registry.components("transformer")
@registry.components("tok2vec")
def build_publisher(
    *,
    name: str,
    model: Model[list[Doc], Activations],
    annotation_setters: dict[str, Any] = {},  # noqa: B006  (never written to; the config shows it as the default)
) -> Publisher:
    """Computes the shared embedding, under whichever of the three names reads best.

    model: `frostline.Transformer.v1`, `frostline.Tok2Vec.v1`, or a function of yours: it returns a layer from docs to
        (n_tokens, width), or one with an `Embedder` under `attrs["embedder"]`.
    annotation_setters: name -> block that calls one of the registered annotation_setters.
    """
    for key, setter in annotation_setters.items():
        if not callable(setter):
            raise ConfigError(
                f"The annotation setter '{key}' is no function, but {setter!r}.",
                where=f"annotation_setters.{key}",
                fix='Give a block such as {"@annotation_setters": "mine.v1"}.',
            )
    return Publisher(name, model, annotation_setters)


def _identity(docs: Sequence[Doc]) -> tuple[int, ...]:
    """Identity of a batch is identity of its docs; activations hold on to theirs, so no id is used twice."""
    return tuple(map(id, docs))
