"""Which scores reference docs can give, known before any model has predicted anything. Pure.

A doc is scored against itself, so what counts as an annotation here is what counts in an evaluation.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from frostline.evaluation.inputs import ScoredDoc
from frostline.evaluation.scorer import NEEDS, score_docs

ANNOTATIONS = frozenset(name for names in NEEDS.values() for name in names)


def metrics_of(reference: ScoredDoc, predicted: Collection[str] = ANNOTATIONS) -> frozenset[str]:
    """The metrics, and metrics/labels, that a doc gives to a pipeline that keeps its tokens.

    Args:
        predicted: names of the annotations that the pipeline writes.
    """
    prediction = cast(ScoredDoc, _Only(reference, predicted))
    return frozenset(score_docs([reference], [prediction]).metrics)


def annotations_of(doc: ScoredDoc) -> frozenset[str]:
    """Names of the scored annotations that a doc has."""
    return frozenset(name for name in ANNOTATIONS if getattr(doc, name) is not None)


class _Only:
    """A doc without the annotations that are not named."""

    def __init__(self, doc: ScoredDoc, names: Collection[str]) -> None:
        self._doc, self._names = doc, names

    def __getattr__(self, name: str) -> Any:
        return None if name in ANNOTATIONS and name not in self._names else getattr(self._doc, name)

    def __len__(self) -> int:
        return len(self._doc)
