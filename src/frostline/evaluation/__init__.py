"""Scores of predicted docs against reference docs, and the counts per document that they are made of.

Pure: nothing here knows a model. Scoring reads two docs at a time, so an evaluation set of any size streams through
`Scorer`. What is written follows one contract: metrics.json and documents.arrow hold only what is a function of the
docs, timing.json holds the rest.
"""

from __future__ import annotations

from frostline.evaluation.alignment import WordAlignment, align_words
from frostline.evaluation.counts import Counts
from frostline.evaluation.documents import DocumentCounts, DocumentTable
from frostline.evaluation.inputs import ScoredDoc
from frostline.evaluation.scorer import Scorer, Scores, score_docs
from frostline.evaluation.timing import Stopwatch, Timing, bytes_on_disk, peak_gpu_mib, peak_memory_mib
from frostline.evaluation.weights import HEADLINE_METRICS, weighted_score
from frostline.evaluation.writing import write_evaluation

__all__ = [
    "HEADLINE_METRICS",
    "Counts",
    "DocumentCounts",
    "DocumentTable",
    "ScoredDoc",
    "Scorer",
    "Scores",
    "Stopwatch",
    "Timing",
    "WordAlignment",
    "align_words",
    "bytes_on_disk",
    "peak_gpu_mib",
    "peak_memory_mib",
    "score_docs",
    "weighted_score",
    "write_evaluation",
]
