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
pays a second forward pass. No gradient flows through a setter.
"""

from __future__ import annotations

import dataclasses
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
        output: of the batch; setters get it cut off from the graph.
        is_train: whether `output` is that of a training step.
        predict: what a prediction gives for the docs; called at most once, and only where a setter asks for it.
    """
    if not setters:
        return
    with torch.no_grad():
        plain = _without_graph(output)
        predicted: Activations | None = None if is_train else plain
        for setter in setters.values():
            if getattr(setter, _MARK, False):
                if predicted is None:
                    predicted = _without_graph(predict(docs))
                setter(docs, predicted)
            else:
                setter(docs, plain)


def _without_graph(output: Activations) -> Activations:
    """The same numbers in an object of their own, so that a setter's views never meet those of the step."""
    if not output.has_way_back:
        return output
    return dataclasses.replace(output, pieces=output.pieces.detach(), views={})
