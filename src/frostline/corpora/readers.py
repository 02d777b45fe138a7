"""What configs call: readers that give a corpus cut for training, and batchers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frostline.config import registry
from frostline.config.arguments import EMPTY_PATH, NAME_A_PATH
from frostline.corpora import batching
from frostline.corpora.cutting import Unit, check_cut, cut_points, piece_of
from frostline.corpora.store import Corpus, open_corpus
from frostline.errors import ConfigError
from frostline.tokens import Doc


class CorpusReader:
    """The docs of a corpus, cut; by index or in order, as often as wanted. Nothing is held but where the cuts are."""

    def __init__(
        self, corpus: Corpus, *, unit: Unit = "document", n_sentences: int = 1, max_words: int | None = None,
        limit: int | None = None,
    ) -> None:
        check_cut(unit, n_sentences, max_words)
        self.corpus = corpus
        self._unit, self._n_sentences, self._max_words, self._limit = unit, n_sentences, max_words, limit

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, index: int) -> Doc:
        if not -len(self) <= index < len(self):
            raise IndexError(f"doc {index} of {len(self)}")
        number, k, start, end = self._pieces[index].tolist()
        return piece_of(self.corpus[number], None if k < 0 else k, start, end)

    def __iter__(self) -> Iterator[Doc]:
        n_left = self._limit
        for doc in self.corpus:
            points = self._cut(doc)
            for k, (start, end) in enumerate(points):
                if n_left is not None and n_left <= 0:
                    return
                yield piece_of(doc, k if len(points) > 1 else None, start, end)
                n_left = None if n_left is None else n_left - 1

    def __repr__(self) -> str:
        return f"CorpusReader({self.corpus!r}, unit={self._unit!r})"

    @property
    def digest(self) -> str:
        """The corpus's digest; the cuts are no part of it."""
        return self.corpus.digest

    @cached_property
    def _pieces(self) -> npt.NDArray[np.int32]:
        """(n_pieces, 4) int32: the document, which piece of it (-1: all of it), its first token, one past its last."""
        rows: list[tuple[int, int, int, int]] = []
        for number, doc in enumerate(self.corpus):
            points = self._cut(doc)
            rows += [(number, k if len(points) > 1 else -1, start, end) for k, (start, end) in enumerate(points)]
            if self._limit is not None and len(rows) >= self._limit:
                break
        return np.array(rows[:self._limit], dtype=np.int32).reshape(-1, 4)

    def _cut(self, doc: Doc) -> list[tuple[int, int]]:
        return cut_points(doc, unit=self._unit, n_sentences=self._n_sentences, max_words=self._max_words)


@registry.readers("frostline.Corpus.v1")
def read_corpus(
    path: str, *, unit: Unit = "document", n_sentences: int = 1, max_words: int | None = None,
    limit: int | None = None,
) -> CorpusReader:
    """The docs of the corpus folder `path`, as `frostline convert` writes it.

    unit: "document", or "sentences" for runs of `n_sentences`. max_words: no doc is longer, but for that a sentence
    may be cut. limit: the first so many docs only; None or 0 for all.

    Raises:
        CorpusError: there is no corpus, or it is broken. ConfigError: the path is empty, a setting is below 1
        (limit: below 0).
    """
    check_cut(unit, n_sentences, max_words)  # before the corpus is looked for: both may be wrong
    if not path:
        raise ConfigError(EMPTY_PATH, where="path", fix=NAME_A_PATH)
    if limit is not None and limit < 0:
        message = "A corpus can't be limited to fewer than no docs."
        raise ConfigError(message, where="limit", fix="Set limit to 0 or null for all.")
    return CorpusReader(open_corpus(Path(path)), unit=unit, n_sentences=n_sentences, max_words=max_words,
                        limit=limit or None)


Batcher = Callable[[Iterable[Doc]], Iterator[list[Doc]]]


@registry.batchers("frostline.batch_by_words.v1")
def make_batch_by_words(n_words: int) -> Batcher:
    """Batches of consecutive docs of at most `n_words` words together; a longer doc is a batch by itself."""
    if n_words < 1:
        raise ConfigError("A batch has at least one word.", where="n_words", fix="Set n_words to 1 or more.")
    return lambda docs: batching.batch_by_words(docs, n_words)


@registry.batchers("frostline.batch_by_docs.v1")
def make_batch_by_docs(n_docs: int) -> Batcher:
    """Batches of `n_docs` consecutive docs."""
    if n_docs < 1:
        raise ConfigError("A batch has at least one doc.", where="n_docs", fix="Set n_docs to 1 or more.")
    return lambda docs: batching.batch_by_docs(docs, n_docs)
