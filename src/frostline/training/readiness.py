"""Whether a dev corpus can choose the best model: found before the first step rather than after the first epoch.

Reads dev docs up to the first one that gives a wanted score, which mostly is the first. Scores themselves are
evaluation's business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from frostline.errors import ConfigError
from frostline.evaluation.readiness import ANNOTATIONS, annotations_of, metrics_of
from frostline.evaluation.weights import HEADLINE_METRICS
from frostline.pipeline.pipeline import Pipeline
from frostline.tokens import Doc

Weights = Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """What was found on the way through a corpus to the first doc that gives a wanted score."""

    hit: Doc | None
    given: tuple[str, ...]  # headline metrics of the docs on the way
    has_words: bool


def check_dev(docs: Iterable[Doc], weights: Weights, *, name: str) -> None:
    """Raise ConfigError where no doc gives one of the scores that the weights ask for.

    Args:
        weights: training.score_weights; without any, the headline metrics count.
        name: of the corpus, such as its path.
    """
    found = _search(docs, weights, ANNOTATIONS)
    if not found.has_words:
        _raise_empty(name)
    if found.hit is not None:
        return
    if found.given:
        gives = f"it gives {', '.join(found.given)} only"
        fix = f"Name a dev corpus with these annotations, or set training.score_weights to {' or '.join(found.given)}."
    else:
        gives, fix = "it has no annotation that is scored", "Name a dev corpus with annotations."
    raise ConfigError(
        f"The dev corpus '{name}' gives none of the scores that choose the best model "
        f"({', '.join(wanted_scores(weights))}): {gives}.",
        where="corpora.dev",
        fix=fix,
    )


def check_words(docs: Iterable[Doc], *, name: str) -> None:
    """Raise ConfigError where a dev corpus has no words."""
    if not any(len(doc) for doc in docs):
        _raise_empty(name)


def check_predictions(pipeline: Pipeline, docs: Iterable[Doc], weights: Weights) -> None:
    """Raise ConfigError where the dev corpus could give the wanted scores, but no component predicts them.

    Args:
        pipeline: initialised. It predicts on one doc.
        docs: of dev, which `check_dev` found good.
    """
    hit = _search(docs, weights, ANNOTATIONS).hit
    if hit is None:
        return
    predicted = hit.without_annotations()
    pipeline.predict([predicted])
    written = annotations_of(predicted)
    found = _search(docs, weights, written)
    if found.hit is None:
        raise ConfigError(
            f"No component predicts what the scores that choose the best model are made of: "
            f"{', '.join(wanted_scores(weights))}.",
            where="training.score_weights",
            fix=f"Choose among what the pipeline predicts and dev has: {', '.join(found.given) or 'nothing'}; "
            "or add a component.",
        )


def wanted_scores(weights: Weights) -> list[str]:
    """Names of the metrics that make the score."""
    return [name for name, weight in weights.items() if weight] or list(HEADLINE_METRICS)


def _search(docs: Iterable[Doc], weights: Weights, predicted: Collection[str]) -> _Search:
    wanted = frozenset(wanted_scores(weights))
    given: set[str] = set()
    hit: Doc | None = None
    has_words = False
    for doc in docs:
        has_words |= len(doc) > 0
        metrics = metrics_of(doc, predicted)
        if metrics & wanted:
            hit = doc
            break
        given |= metrics
    shown = tuple(name for name in HEADLINE_METRICS if name in given)
    return _Search(hit=hit, given=shown, has_words=has_words)


def _raise_empty(name: str) -> None:
    raise ConfigError(
        f"The dev corpus '{name}' has no words to score a model on.",
        where="corpora.dev",
        fix="Name a corpus with docs in it, such as a tenth of the training docs that is kept apart.",
    )
