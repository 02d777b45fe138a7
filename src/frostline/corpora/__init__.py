"""Corpora: docs on disk, cut and batched for training, and converters from the formats that treebanks come in."""

from __future__ import annotations

from frostline.corpora.batching import batch_by_docs, batch_by_words, epoch_order
from frostline.corpora.cutting import cut
from frostline.corpora.store import Corpus, open_corpus, write_corpus

__all__ = ["Corpus", "batch_by_docs", "batch_by_words", "cut", "epoch_order", "open_corpus", "write_corpus"]
