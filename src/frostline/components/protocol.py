"""What the pipeline asks of a component.

A component turns docs into annotations through a Thinc model, learns from examples, and knows what it learnt from:
`count_targets` says how many decisions of a batch are annotated, so that a step's gradient is a mean over the whole
step however the step is cut into batches, and so that a corpus without this component's annotation teaches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from thinc.api import Model
from torch import Tensor

from frostline.layers.resizing import Changes
from frostline.tokens import Doc, Example


@runtime_checkable
class Growing(Protocol):
    """A component whose labels may grow after training, and that says how sure it is."""

    labels: dict[str, tuple[str, ...]]  # by column

    def add_labels(self, labels: Mapping[str, Sequence[str]]) -> Changes:
        """Learn about new labels, per column; what it knows stays, bit for bit.

        Returns:
            How the parameters changed, for `ParameterStore.refresh`.
        Raises:
            UsageError: an unknown column, or a label that is no text, that CoNLL-U can't hold or that it has already;
                nothing has changed then.
        """

    def probabilities(self, docs: Sequence[Doc]) -> dict[str, Tensor]:
        """Per column how likely each label is, (n_tokens, n_labels) float32."""


@runtime_checkable
class Component(Protocol):
    """One trainable part of a pipeline, apart from the publishers."""

    name: str
    model: Model

    def initialize(self, references: Iterable[Doc], *, width: int, seed: int) -> None:
        """Learn the labels from annotated docs and build the model's weights.

        Args:
            width: of the embedding that the model reads.
            seed: the weights are a function of it.
        Raises:
            ConfigError: the docs have nothing to learn from.
        """

    def count_targets(self, examples: Sequence[Example]) -> dict[str, int]:
        """How many annotated decisions of each kind the examples hold: what a step's loss is averaged over."""

    def update(self, examples: Sequence[Example], *, n_targets: Mapping[str, int], dropout: float) -> float:
        """Forward and backward; gradients are added, nothing moves.

        Args:
            n_targets: `count_targets` of the whole step; loss and gradients are sums divided by it.
            dropout: rate of the component's own layers.
        Returns:
            This batch's part of the step's mean loss, in nats per target.
        """

    def predict(self, docs: Sequence[Doc]) -> Any:
        """The model's scores for a batch, in the form that `set_annotations` takes."""

    def set_annotations(self, docs: Sequence[Doc], scores: Any) -> None:
        """Write what the scores say to the docs."""

    def state(self) -> dict[str, Any]:
        """What `restore` needs beside the weights, as JSON values."""

    def restore(self, state: dict[str, Any], *, width: int) -> None:
        """Build the model for a saved state; its weights come from the model's file.

        Raises:
            ModelFileError: the state is not one of this component's.
        """
