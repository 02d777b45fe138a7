"""Functions of your own that write to docs what they make of a publisher's output.

    [components.transformer.annotation_setters.norms]
    @annotation_setters = "norms.v1"

A registered function gives a *setter*: it takes the docs of a batch and the batch's raw output, and may write whatever
a doc can hold: categories, spans, entries of `doc.activations`.

    @registry.annotation_setters("norms.v1")
    def build_norms(limit: float = 1.0) -> AnnotationSetter:
        def norms(docs: Sequence[Doc], output: Activations) -> None:
            for doc, share in zip(docs, output.shares(), strict=True):
                doc.cats["norm"] = float(share.tokens().norm()) / limit
        return norms

Setters run in prediction, and in training where the publisher stands in `training.annotating_components`; there they
see the numbers of the step, dropout and all. One that wants those of a prediction says so by `in_evaluation_mode`, and
pays a second forward pass. No gradient flows through a setter, and what it writes into the output stays with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import torch

from frostline.embedding.activations import Activations
from frostline.tokens import Doc

AnnotationSetter: TypeAlias = Callable[[Sequence[Doc], Activations], None]

_MARK = "frostline_in_evaluation_mode"


def in_evaluation_mode(setter: AnnotationSetter) -> AnnotationSetter:
    """Have a setter see, during training too, what a prediction would give: without dropout."""
    setattr(setter, _MARK, True)
    return setter


def set_annotations(
    setters: Mapping[str, AnnotationSetter],
    docs: Sequence[Doc],
    output: Activations,
    *,
    is_train: bool,
    predict: Callable[[Sequence[Doc]], Activations],
) -> None:
    """Run the setters on a batch, in the order of the config.

    Args:
        output: of the batch; each setter gets a copy of its own, cut off from the graph.
        is_train: whether `output` is that of a training step.
        predict: what a prediction gives for the docs; called at most once, and only where a setter asks for it.
    """
    predicted = None if is_train else output
    with torch.no_grad():
        for setter in setters.values():
            seen = output
            if getattr(setter, _MARK, False):
                seen = predicted = predict(docs) if predicted is None else predicted
            setter(docs, _copy_of(seen))


def _copy_of(output: Activations) -> Activations:
    """The same numbers elsewhere in memory, without a graph: whatever a setter writes there, nobody else reads."""
    return Activations(
        docs=output.docs,
        pieces=output.pieces.detach().clone(),
        n_pieces_of_token=output.n_pieces_of_token.clone(),
        layers=output.layers,
        n_all_layers=output.n_all_layers,
        ids=None if output.ids is None else output.ids.copy(),
    )
