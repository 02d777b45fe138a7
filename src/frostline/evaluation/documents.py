"""Counts per document, kept as columns: what bootstrap intervals and comparisons are drawn from.

One row per document and metric. A document is the source's own: pieces of one document that come one after another
are added up.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from frostline.evaluation.counts import Counts
from frostline.files import new_file

SCHEMA = pa.schema(
    [
        pa.field("document", pa.string(), nullable=False),
        pa.field("group", pa.string()),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("n_correct", pa.int64(), nullable=False),
        pa.field("n_gold", pa.int64(), nullable=False),
        pa.field("n_system", pa.int64(), nullable=False),
        pa.field("seed", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentCounts:
    """One row: a document's counts for one metric."""

    document: str
    group: str | None
    metric: str
    counts: Counts


class DocumentTable:
    """Rows of counts, packed: a row takes some 40 bytes, whatever the document's length."""

    def __init__(self) -> None:
        self._documents: list[tuple[str, str | None]] = []
        self._metrics: list[str] = []
        self._row_documents = array("q")
        self._row_metrics = array("q")
        self._counts = (array("q"), array("q"), array("q"))

    def append(self, document: str, group: str | None, counts: dict[str, Counts]) -> None:
        """Add a document's rows, one per metric, in the metrics' order of names."""
        self._documents.append((document, group))
        for metric in sorted(counts):
            if metric not in self._metrics:
                self._metrics.append(metric)
            self._row_documents.append(len(self._documents) - 1)
            self._row_metrics.append(self._metrics.index(metric))
            row = counts[metric]
            for column, value in zip(self._counts, (row.n_correct, row.n_gold, row.n_system), strict=True):
                column.append(value)

    def __len__(self) -> int:
        return len(self._row_documents)

    def __iter__(self) -> Iterator[DocumentCounts]:
        for i in range(len(self)):
            document, group = self._documents[self._row_documents[i]]
            correct, gold, system = (column[i] for column in self._counts)
            yield DocumentCounts(
                document=document,
                group=group,
                metric=self._metrics[self._row_metrics[i]],
                counts=Counts(n_correct=correct, n_gold=gold, n_system=system),
            )

    def without(self, metrics: set[str]) -> DocumentTable:
        """The same table without the rows of some metrics."""
        if not metrics:
            return self
        kept = DocumentTable()
        kept._documents = self._documents
        kept._metrics = self._metrics
        dropped = {number for number, name in enumerate(self._metrics) if name in metrics}
        for i in range(len(self)):
            if self._row_metrics[i] not in dropped:
                kept._row_documents.append(self._row_documents[i])
                kept._row_metrics.append(self._row_metrics[i])
                for mine, theirs in zip(kept._counts, self._counts, strict=True):
                    mine.append(theirs[i])
        return kept

    def to_arrow(self, *, seed: int | None) -> pa.Table:
        """The rows in the columns of documents.arrow. seed: of the run that was evaluated, None when unknown."""
        n_correct, n_gold, n_system = (pa.array(column, pa.int64()) for column in self._counts)
        columns = [
            pa.array([self._documents[i][0] for i in self._row_documents], pa.string()),
            pa.array([self._documents[i][1] for i in self._row_documents], pa.string()),
            pa.array([self._metrics[i] for i in self._row_metrics], pa.string()),
            n_correct,
            n_gold,
            n_system,
            pa.array([seed] * len(self), pa.int64()),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)


def write_documents(path: Path, table: DocumentTable, *, seed: int | None) -> None:
    """Write documents.arrow (Arrow IPC file, not compressed): equal counts give equal bytes."""
    with (
        new_file(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, SCHEMA) as writer,
    ):
        writer.write_table(table.to_arrow(seed=seed))
