"""Score predicted docs against reference docs, one pair at a time.

Keeps sums and one small row per document and metric, never the docs. Which metric is given follows the annotations:
what no reference doc has, or no predicted doc, has no key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from frostline.errors import UsageError
from frostline.evaluation.alignment import WordAlignment, align_words
from frostline.evaluation.counts import Counts
from frostline.evaluation.documents import DocumentTable
from frostline.evaluation.inputs import ScoredDoc
from frostline.evaluation.labels import LabelCounts, count_feats, count_labels, count_lemmas, count_tree
from frostline.evaluation.spans import count_entities, count_sentences, count_words
from frostline.evaluation.weights import weighted_score

SPAN_METRICS = ("words", "sents", "ents")  # given as _p, _r and _f
NEEDS: dict[str, tuple[str, ...]] = {  # metric -> annotations that it is made of
    "xpos_acc": ("xpos",),
    "upos_acc": ("upos",),
    "feats_acc": ("feats",),
    "lemma_acc": ("lemmas",),
    "uas": ("heads",),
    "las": ("heads", "deprels"),
    "las_full": ("heads", "deprels"),
    "sents": ("sent_starts",),
    "ents": ("ents",),
    "words": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What an evaluation found. Metrics are fractions, 0 to 1."""

    metrics: Mapping[str, float]
    documents: DocumentTable
    n_docs: int
    n_words: int  # of the references

    def weighted(self, weights: Mapping[str, float | None] | None = None) -> Scores:
        """The same with the key `score`, the weighted mean; see `weighted_score`."""
        return replace(self, metrics={**self.metrics, "score": weighted_score(self.metrics, weights)})


class Scorer:
    """Takes pairs of docs and gives their scores at the end."""

    def __init__(self) -> None:
        self._totals: dict[str, Counts] = {}
        self._labels: dict[str, dict[str, Counts]] = {}
        self._predicted: set[str] = set()
        self._tokens_differ = False
        self._n_docs = 0
        self._n_words = 0
        self._table = DocumentTable()
        self._open_document: tuple[str, str | None] | None = None
        self._open_counts: dict[str, Counts] = {}

    def add(self, reference: ScoredDoc, predicted: ScoredDoc) -> None:
        """Count one doc.

        Raises:
            CorpusError: the texts differ in more than white space.
        """
        words = align_words(reference, predicted)
        self._n_docs += 1
        self._n_words += words.n_gold
        self._tokens_differ |= not words.is_identity
        found = count_all(reference, predicted, words)
        self._predicted |= {
            metric for metric in found if all(getattr(predicted, name) is not None for name in NEEDS[metric])
        }
        for metric, counted in found.items():
            self._totals[metric] = self._totals.get(metric, Counts()) + counted.counts
            labels = self._labels.setdefault(metric, {})
            for label, counts in counted.by_label.items():
                labels[label] = labels.get(label, Counts()) + counts
        self._keep_document(reference, found)

    def finish(self) -> Scores:
        """The scores of everything added so far."""
        self._close_document()
        self._open_document = None
        dropped = {metric for metric in self._totals if not self._is_given(metric)}
        metrics: dict[str, float] = {}
        for metric, counts in self._totals.items():
            if metric not in dropped:
                metrics.update(_fractions(metric, counts))
                for label, label_counts in self._labels[metric].items():
                    metrics.update(_label_fractions(metric, label, label_counts))
        return Scores(
            metrics=dict(sorted(metrics.items())),
            documents=self._table.without(dropped),
            n_docs=self._n_docs,
            n_words=self._n_words,
        )

    def _is_given(self, metric: str) -> bool:
        if metric == "words":
            return self._tokens_differ
        return metric in self._predicted

    def _keep_document(self, reference: ScoredDoc, found: Mapping[str, LabelCounts]) -> None:
        document = (source_of(reference.doc_id), reference.group)
        if document != self._open_document:
            self._close_document()
            self._open_document = document
        for metric, counted in found.items():
            self._open_counts[metric] = self._open_counts.get(metric, Counts()) + counted.counts

    def _close_document(self) -> None:
        if self._open_document is not None and self._open_counts:
            self._table.append(*self._open_document, self._open_counts)
        self._open_counts = {}


def score_docs(references: Iterable[ScoredDoc], predictions: Iterable[ScoredDoc]) -> Scores:
    """Scores of predictions, in the order of their references.

    Raises:
        UsageError: there are not as many predictions as references.
        CorpusError: the texts of a pair differ in more than white space.
    """
    scorer = Scorer()
    pairs = zip(references, predictions, strict=True)
    while True:
        try:
            reference, predicted = next(pairs)
        except StopIteration:
            return scorer.finish()
        except ValueError as error:
            raise UsageError("There must be one predicted doc for each reference doc.") from error
        scorer.add(reference, predicted)


def count_all(reference: ScoredDoc, predicted: ScoredDoc, words: WordAlignment) -> dict[str, LabelCounts]:
    """Counts of every metric whose annotation the reference has."""
    found = {"words": LabelCounts(counts=count_words(words)), **count_tree(reference, predicted, words)}
    if reference.xpos is not None:
        found["xpos_acc"] = count_labels(reference.xpos, predicted.xpos, words)
    if reference.upos is not None:
        found["upos_acc"] = count_labels(reference.upos, predicted.upos, words)
    if reference.feats is not None:
        found["feats_acc"] = count_feats(reference.feats, predicted.feats, words)
    if reference.lemmas is not None:
        found["lemma_acc"] = count_lemmas(reference.lemmas, predicted.lemmas, words)
    sentences = count_sentences(reference, predicted, words)
    entities = count_entities(reference, predicted, words)
    if sentences is not None:
        found["sents"] = sentences
    if entities is not None:
        found["ents"] = entities
    return found


def source_of(doc_id: str) -> str:
    """The document that a piece was cut from: 'email-7' of 'email-7#3'."""
    source, mark, number = doc_id.rpartition("#")
    return source if mark and number.isdecimal() else doc_id


def _fractions(metric: str, counts: Counts) -> dict[str, float]:
    if metric in SPAN_METRICS:
        return {f"{metric}_p": counts.precision, f"{metric}_r": counts.recall, f"{metric}_f": counts.f}
    return {metric: counts.f} if counts.n_gold else {}


def _label_fractions(metric: str, label: str, counts: Counts) -> dict[str, float]:
    if metric in SPAN_METRICS:
        return {f"{key}/{label}": value for key, value in _fractions(metric, counts).items()}
    return {f"{metric}/{label}": counts.recall} if counts.n_gold else {}
