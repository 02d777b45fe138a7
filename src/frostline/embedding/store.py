"""Activations of frozen encoders on disk: the output of an `embed` step. A run's private cache is cache.py's.

Both find a doc's numbers by what the encoder's windows see of it (`activation_key`), under settings that name
everything else the numbers depend on. Whatever they are stored as, what comes back is what a run without a store would
have used (`round_as_stored`). What is computed, and which settings must agree, is transformer.py's business.

A store is a folder, written whole or not at all, equal bytes for equal content:

    settings.json    settings, format, storage, counts
    index.npy        per doc: key, first value, number of pieces, crc32; in the order of the docs
    data.bin         little-endian values, per doc (n_layers, n_pieces, width)

The checksum of a doc is looked at when a process first reads it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frostline import files
from frostline.embedding.precisions import PRECISIONS
from frostline.errors import StoreError, did_you_mean
from frostline.layers.tensor_files import byte_view

if TYPE_CHECKING:
    from frostline.tokens import Doc

FORMAT_VERSION = 2
KEY_BYTES = 16
STORAGES = PRECISIONS

_SETTINGS, _INDEX, _DATA = "settings.json", "index.npy", "data.bin"
_INDEX_ENTRY = np.dtype([("key", f"V{KEY_BYTES}"), ("first", "<i8"), ("n_pieces", "<i8"), ("crc32", "<u4")])


def activation_key(doc: Doc, spans: NDArray[np.int64] | None = None) -> bytes:
    """What an encoder's windows see of a doc, as 16 bytes: its words, where spaces stand between them, the windows.

    Args:
        spans: (n_spans, 2) the tokens that a getter chose; None where windows depend on lengths alone.
    """
    words = doc.words.texts()
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    digest.update(np.array([len(words), -1 if spans is None else len(spans)], dtype="<i8").tobytes())
    if spans is not None:
        digest.update(spans.astype("<i8").tobytes())
    digest.update(np.fromiter(map(len, words), dtype="<u4", count=len(words)).tobytes())
    digest.update(np.asarray(doc.spaces, dtype=np.uint8)[:-1].tobytes())
    digest.update("".join(words).encode("utf-8", "surrogatepass"))
    return digest.digest()


def round_as_stored(values: Tensor, storage: str) -> Tensor:
    """The numbers that come back from a store, in place: float32 as they are, others rounded.

    What is beyond float16 (65504) becomes its largest number.
    """
    dtype = dtype_of(storage)
    if dtype == torch.float32:
        return values
    if dtype == torch.float16:
        values.clamp_(min=torch.finfo(dtype).min, max=torch.finfo(dtype).max)
    for layer in values:
        layer.copy_(layer.to(dtype))
    return values


def write_activations(
    path: Path,
    settings: Mapping[str, Any],
    entries: Iterable[tuple[bytes, NDArray[np.float32] | Tensor]],
    *,
    storage: str = "float32",
) -> None:
    """Write a store, one doc at a time; what stood at `path` is replaced when it is whole.

    Args:
        settings: plain JSON: all that the numbers depend on beside the docs' words.
        entries: (activation_key, values of shape (n_layers, n_pieces, width)); a key that comes again is skipped.
        storage: "float32", or "bf16" or "float16" for half the bytes (exact where the values were computed so).
    Raises:
        StoreError: an unknown storage, or entries with different layers or widths.
        UsageError: something other than stored activations stands at `path`.
    """
    dtype = dtype_of(storage)
    files.refuse_to_lose(path, (_SETTINGS, _INDEX, _DATA), "stored activations")
    index: dict[bytes, tuple[int, int, int]] = {}
    n_layers = width = first = 0
    with files.new_directory(path) as folder:
        with (folder / _DATA).open("wb") as stream:
            for key, values in entries:
                if key in index:
                    continue
                if index and (values.shape[0], values.shape[2]) != (n_layers, width):
                    raise StoreError("All activations of a store must have the same layers and width.", where=str(path))
                n_layers, n_pieces, width = map(int, values.shape)
                data = as_bytes(values, dtype)
                index[key] = (first, n_pieces, _checksum(key, (n_layers, n_pieces, width), data))
                stream.write(data)
                first += n_layers * n_pieces * width
        rows = np.array([(np.void(key), *place) for key, place in index.items()], dtype=_INDEX_ENTRY)
        np.save(folder / _INDEX, rows, allow_pickle=False)
        about = {"format_version": FORMAT_VERSION, "storage": storage, "settings": dict(settings),
                 "n_docs": len(index), "n_layers": n_layers, "n_values": first, "width": width}  # fmt: skip
        files.write_json_atomic(folder / _SETTINGS, about)


def open_activations(path: Path) -> ActivationStore:
    """Open what `write_activations` wrote.

    Raises:
        StoreError: the folder is missing, incomplete, or of another format.
    """
    return ActivationStore(Path(path))


class ActivationStore:
    """A folder of activations, memory-mapped: opening reads the index only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._proved: set[bytes] = set()  # whose values were whole when they were first read
        try:
            about = json.loads((path / _SETTINGS).read_text(encoding="utf-8"))
            if about["format_version"] != FORMAT_VERSION:
                raise StoreError(
                    f"The activations have format {about['format_version']}, this frostline reads {FORMAT_VERSION}.",
                    where=str(path), fix=_EMBED_AGAIN,
                )  # fmt: skip
            self.settings: dict[str, Any] = about["settings"]
            self.storage: str = about["storage"]
            self._n_layers, self._width = int(about["n_layers"]), int(about["width"])
            rows = np.load(path / _INDEX, allow_pickle=False)
            dtype, n_values = dtype_of(self.storage), int(about["n_values"])
            if (path / _DATA).stat().st_size != n_values * dtype.itemsize or rows.dtype != _INDEX_ENTRY:
                raise StoreError("The activations are incomplete.", where=str(path), fix=_EMBED_AGAIN)
            self._values = _map(path / _DATA, dtype, n_values)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"'{path}' holds no activations: {error}", where=str(path), fix=_EMBED_AGAIN) from error
        keys = rows["key"].tobytes()
        places = zip(rows["first"].tolist(), rows["n_pieces"].tolist(), rows["crc32"].tolist(), strict=True)
        self._index = {keys[i * KEY_BYTES : (i + 1) * KEY_BYTES]: place for i, place in enumerate(places)}

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: object) -> bool:
        return key in self._index

    def get(self, key: bytes) -> Tensor | None:
        """(n_layers, n_pieces, width) float32, None when there is none; don't write to it.

        Stored as float32 it is a view of the mapped file, without a copy.

        Raises:
            StoreError: the bytes are not those that were written.
        """
        place = self._index.get(key)
        if place is None:
            return None
        first, n_pieces, checksum = place
        shape = (self._n_layers, n_pieces, self._width)
        values = self._values[first : first + self._n_layers * n_pieces * self._width]
        if key not in self._proved:
            if _checksum(key, shape, byte_view(values)) != checksum:
                message = "The stored activations were changed: those of a doc don't fit their checksum."
                raise StoreError(message, where=str(self._path / _DATA), fix=_EMBED_AGAIN)
            self._proved.add(key)
        return values.view(shape).float()


_EMBED_AGAIN = "Run `frostline embed` again; it writes the folder anew."


def dtype_of(storage: str) -> torch.dtype:
    """A key of STORAGES as torch's type; StoreError names the nearest."""
    if storage not in STORAGES:
        raise StoreError(f"Activations can't be stored as '{storage}'.", fix=did_you_mean(storage, STORAGES))
    return STORAGES[storage]


def as_bytes(values: NDArray[np.float32] | Tensor, dtype: torch.dtype) -> bytes:
    """Values as they stand in a file."""
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
    return bytes(byte_view(tensor.detach().to("cpu", dtype).contiguous()))


def _checksum(key: bytes, shape: tuple[int, int, int], data: bytes | memoryview) -> int:
    """crc32 of a doc's values and of what they are read as."""
    return zlib.crc32(data, zlib.crc32(key + np.array(shape, dtype="<i8").tobytes()))


def _map(file: Path, dtype: torch.dtype, n_values: int) -> Tensor:
    """A file as a flat tensor; pages are private, so a stray write never reaches the file."""
    if n_values == 0:
        return torch.empty(0, dtype=dtype)
    mapped = np.memmap(file, dtype=np.uint8, mode="c", shape=(n_values * dtype.itemsize,))
    return torch.from_numpy(mapped).view(dtype)
