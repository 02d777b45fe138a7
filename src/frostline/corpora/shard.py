"""One Arrow IPC file of a corpus: docs to bytes and back.

A row is a doc. String columns are lists of dictionary-encoded strings with one sorted dictionary per shard, so that
equal docs give equal bytes; numbers are lists of int32 and int8. A column that a doc lacks altogether is a null in its
row; a missing row within it is a null within the list. Which shards there are is store.py's business.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from frostline.digest import canonical_json
from frostline.tokens import MISSING, STRING_COLUMNS, Doc, Source, StringColumn
from frostline.tokens.source import NOTHING

LISTS_OF_STRINGS = ("words", *STRING_COLUMNS)
LISTS_OF_NUMBERS: dict[str, Any] = {"starts": np.int32, "ends": np.int32, "heads": np.int32, "sent_starts": np.int8}

Array = npt.NDArray[Any]


def write_shard(docs: Sequence[Doc], path: Path) -> None:
    """Write docs to a new Arrow file. Raises OSError."""
    arrays: dict[str, Any] = {
        "doc_id": pa.array([doc.doc_id for doc in docs], pa.string()),
        "group": pa.array([doc.group for doc in docs], pa.string()),
        "text": pa.array([doc.text for doc in docs], pa.large_string()),
    }
    for name in LISTS_OF_STRINGS:
        arrays[name] = _strings_array([doc.column(name) for doc in docs])
    for name, dtype in LISTS_OF_NUMBERS.items():
        arrays[name] = _numbers_array([getattr(doc, name) for doc in docs], dtype)
    arrays["cats"] = _json_array([doc.cats or None for doc in docs])
    arrays["spans"] = _json_array([doc.spans or None for doc in docs])
    arrays["source"] = _json_array([doc.source.to_json() if doc.source else None for doc in docs])
    batch = pa.record_batch(list(arrays.values()), names=list(arrays))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def _strings_array(columns: Sequence[StringColumn | None]) -> Any:
    used: set[str] = set()
    for column in columns:
        if column is not None:
            used.update(column.distinct())
    strings = sorted(used)
    index = {string: code for code, string in enumerate(strings)}
    codes = [column.encode(index) for column in columns if column is not None]
    flat = np.concatenate(codes) if codes else np.zeros(0, dtype=np.int32)
    indices = pa.array(flat, pa.int32(), mask=flat < 0)
    values = pa.DictionaryArray.from_arrays(indices, pa.array(strings, pa.string()))
    return _list_array([None if column is None else len(column) for column in columns], values)


def _numbers_array(arrays: Sequence[Array | None], dtype: Any) -> Any:
    parts = [array.astype(dtype, copy=False) for array in arrays if array is not None]
    flat = np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)
    return _list_array([None if array is None else len(array) for array in arrays], pa.array(flat))


def _list_array(sizes: Sequence[int | None], values: Any) -> Any:
    offsets = np.zeros(len(sizes) + 1, dtype=np.int32)
    offsets[1:] = np.cumsum([size or 0 for size in sizes])
    absent = pa.array([size is None for size in sizes], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=absent)


def _json_array(values: Sequence[Any]) -> Any:
    return pa.array([None if value is None else canonical_json(value).decode() for value in values], pa.string())


class Shard:
    """A mapped shard. Columns are views of the file; a string table is decoded once, when first asked for.

    Raises (on construction) pyarrow.ArrowInvalid, OSError or KeyError where the file is no shard.
    """

    def __init__(self, path: Path) -> None:
        reader = pa.ipc.open_file(pa.memory_map(str(path), "rb"))
        if reader.num_record_batches != 1:
            raise pa.ArrowInvalid(f"{reader.num_record_batches} record batches instead of 1")
        batch = reader.get_batch(0)
        batch.validate()
        self._batch = {name: batch.column(name) for name in (
            "doc_id", "group", "text", *LISTS_OF_STRINGS, *LISTS_OF_NUMBERS, "cats", "spans", "source")}
        self._numbers = {name: _Lists(self._batch[name], dtype) for name, dtype in LISTS_OF_NUMBERS.items()}
        self._strings = {name: _Lists(self._batch[name], np.int32) for name in LISTS_OF_STRINGS}
        self._tables: dict[str, tuple[str, ...]] = {}
        self.n_docs = len(batch)

    def table(self, name: str) -> tuple[str, ...]:
        """The distinct strings of a column, sorted."""
        if name not in self._tables:
            self._tables[name] = tuple(self._batch[name].values.dictionary.to_pylist())
        return self._tables[name]

    def doc(self, row: int) -> Doc:
        """Make the doc of a row."""
        columns = {name: self._column(name, row) for name in STRING_COLUMNS}
        words = self._column("words", row)
        starts, ends = self._numbers["starts"].row(row), self._numbers["ends"].row(row)
        if words is None or starts is None or ends is None:
            raise pa.ArrowInvalid(f"row {row} has no words")
        cats, spans, source = (self._json(name, row) for name in ("cats", "spans", "source"))
        return Doc(
            self._batch["text"][row].as_py(), words, starts, ends,
            heads=self._numbers["heads"].row(row), sent_starts=self._numbers["sent_starts"].row(row),
            cats=cats, spans=None if spans is None else {
                name: [(start, end, label) for start, end, label in items] for name, items in spans.items()},
            source=NOTHING if source is None else Source.from_json(source),
            doc_id=self._batch["doc_id"][row].as_py(), group=self._batch["group"][row].as_py(), check=False, **columns,
        )

    def _column(self, name: str, row: int) -> StringColumn | None:
        codes = self._strings[name].row(row)
        return None if codes is None else StringColumn(codes, self.table(name))

    def _json(self, name: str, row: int) -> Any:
        value = self._batch[name][row].as_py()
        return None if value is None else json.loads(value)


class _Lists:
    """A list array as offsets and flat NumPy values; nulls within a list of strings become -1."""

    def __init__(self, array: Any, dtype: Any) -> None:
        self._offsets: list[int] = array.offsets.to_pylist()
        self._absent: list[bool] = array.is_null().to_pylist()
        values = array.values
        if pa.types.is_dictionary(values.type):
            values = values.indices
        if values.type.to_pandas_dtype() is not dtype:
            raise pa.ArrowInvalid(f"values of type {values.type}")
        data = values.buffers()[1]
        self._flat: Array = np.zeros(0, dtype=dtype)
        if data is not None and len(values):
            self._flat = np.frombuffer(data, dtype=dtype)[values.offset:values.offset + len(values)]
        if values.null_count:
            missing = values.is_null().to_numpy(zero_copy_only=False)
            if (self._flat[missing] != MISSING).any():  # another writer left something under its nulls
                self._flat = np.where(missing, dtype(MISSING), self._flat)

    def row(self, row: int) -> Array | None:
        return None if self._absent[row] else self._flat[self._offsets[row]:self._offsets[row + 1]]
