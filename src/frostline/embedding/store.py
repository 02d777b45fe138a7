"""Activations of frozen encoders on disk: the output of an `embed` step, and a run's private cache.

Both find a doc's numbers by what the encoder's windows see of it (`activation_key`), under settings that name
everything else the numbers depend on. Stored as float32 they come back bit for bit. What is computed, and which
settings must agree, is transformer.py's business.

A store is a folder, written whole or not at all, equal bytes for equal content:

    settings.json    settings, format, storage, counts
    index.npy        per doc: key, first value, number of pieces; in the order of the docs
    data.bin         little-endian values, per doc (n_layers, n_pieces, width)
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frostline import files
from frostline.digest import canonical_json
from frostline.errors import StoreError, did_you_mean

if TYPE_CHECKING:
    from frostline.tokens import Doc

FORMAT_VERSION = 1
KEY_BYTES = 16
STORAGES = {"float32": torch.float32, "bf16": torch.bfloat16, "float16": torch.float16}

_SETTINGS, _INDEX, _DATA = "settings.json", "index.npy", "data.bin"
_INDEX_ENTRY = np.dtype([("key", f"V{KEY_BYTES}"), ("first", "<i8"), ("n_pieces", "<i8")])
_CACHE_MAGIC = b"frostline activation cache 1\n"
_RECORD = struct.Struct(f"<4s{KEY_BYTES}sIQII")  # mark, key, layers, pieces, width, crc32 of the values
_MARK = b"doc\n"


def activation_key(doc: Doc) -> bytes:
    """What an encoder's windows see of a doc, as 16 bytes: its words and where spaces stand between them."""
    words = [word or "" for word in doc.words.values()]
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    digest.update(np.fromiter(map(len, words), dtype="<u4", count=len(words)).tobytes())
    digest.update(np.asarray(doc.spaces, dtype=np.uint8)[:-1].tobytes())
    digest.update("".join(words).encode("utf-8", "surrogatepass"))
    return digest.digest()


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
    dtype = _dtype_of(storage)
    files.refuse_to_lose(path, (_SETTINGS, _INDEX, _DATA), "stored activations")
    index: dict[bytes, tuple[int, int]] = {}
    n_layers = width = first = 0
    with files.new_directory(path) as folder:
        with (folder / _DATA).open("wb") as stream:
            for key, values in entries:
                if key in index:
                    continue
                if index and (values.shape[0], values.shape[2]) != (n_layers, width):
                    raise StoreError("All activations of a store must have the same layers and width.", where=str(path))
                n_layers, n_pieces, width = map(int, values.shape)
                index[key] = (first, n_pieces)
                stream.write(_as_bytes(values, dtype))
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
            dtype, n_values = _dtype_of(self.storage), int(about["n_values"])
            if (path / _DATA).stat().st_size != n_values * dtype.itemsize or rows.dtype != _INDEX_ENTRY:
                raise StoreError("The activations are incomplete.", where=str(path), fix=_EMBED_AGAIN)
            self._values = _map(path / _DATA, dtype, n_values)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"'{path}' holds no activations: {error}", where=str(path), fix=_EMBED_AGAIN) from error
        keys = rows["key"].tobytes()
        places = zip(rows["first"].tolist(), rows["n_pieces"].tolist(), strict=True)
        self._index = {keys[i * KEY_BYTES : (i + 1) * KEY_BYTES]: place for i, place in enumerate(places)}

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: object) -> bool:
        return key in self._index

    def get(self, key: bytes) -> Tensor | None:
        """(n_layers, n_pieces, width) float32, None when there is none; don't write to it.

        Stored as float32 it is a view of the mapped file, without a copy.
        """
        place = self._index.get(key)
        if place is None:
            return None
        first, n_pieces = place
        shape = (self._n_layers, n_pieces, self._width)
        return self._values[first : first + self._n_layers * n_pieces * self._width].view(shape).float()


class ActivationCache:
    """A bounded cache in one append-only file, for one process.

    A record that a kill left unfinished is ignored, and overwritten by the next one. What was put under other
    settings is dropped. When the file is full, or the disk, nothing more is kept: a run meets its docs in rounds, and
    of those a fixed part that stays is worth more than the newest.

    Args:
        folder: made where it is missing.
        settings: plain JSON, as in `write_activations`.
        max_bytes: of the file.
        storage: as in `write_activations`; "float32" gives back what was put, bit for bit.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], *, max_bytes: int = 16 << 30, storage: str = "float32"
    ) -> None:
        self.settings = dict(settings)
        self.max_bytes = max_bytes
        self._dtype = _dtype_of(storage)
        self._index: dict[bytes, tuple[int, tuple[int, int, int]]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(folder / "activations.bin", os.O_RDWR | os.O_CREAT, 0o666)
        about = canonical_json({"settings": self.settings, "storage": storage})
        header = _CACHE_MAGIC + struct.pack("<I", len(about)) + about
        if os.pread(self._descriptor, len(header), 0) == header:
            self._end = self._scan(len(header))
        else:
            os.ftruncate(self._descriptor, 0)
            _write_all(self._descriptor, header, 0)
            self._end = len(header)
        self._is_full = False

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: object) -> bool:
        return key in self._index

    @property
    def n_bytes(self) -> int:
        """Bytes of the file that are in use."""
        return self._end

    def get(self, key: bytes) -> Tensor | None:
        """(n_layers, n_pieces, width) float32, None when there is none."""
        place = self._index.get(key)
        if place is None:
            return None
        offset, shape = place
        values = torch.empty(shape, dtype=self._dtype)
        _read_all(self._descriptor, _byte_view(values), offset)
        return values.float()

    def put(self, key: bytes, values: NDArray[np.float32] | Tensor) -> bool:
        """Keep (n_layers, n_pieces, width); False when there is no room, or the key is known already."""
        if key in self._index or self._is_full:
            return False
        data = _as_bytes(values, self._dtype)
        n_layers, n_pieces, width = map(int, values.shape)
        if self._end + _RECORD.size + len(data) > self.max_bytes:
            return False
        record = _RECORD.pack(_MARK, key, n_layers, n_pieces, width, zlib.crc32(data))
        try:
            _write_all(self._descriptor, record + data, self._end)
        except OSError:
            self._is_full = True
            return False
        self._index[key] = (self._end + _RECORD.size, (n_layers, n_pieces, width))
        self._end += _RECORD.size + len(data)
        return True

    def close(self) -> None:
        """Close the file; the cache can't be used afterwards."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._index.clear()

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            os.close(self._descriptor)

    def _scan(self, offset: int) -> int:
        """Index the whole records from `offset` on; returns where the first unfinished one begins."""
        while True:
            head = os.pread(self._descriptor, _RECORD.size, offset)
            if len(head) < _RECORD.size:
                return offset
            mark, key, n_layers, n_pieces, width, checksum = _RECORD.unpack(head)
            n_bytes = n_layers * n_pieces * width * self._dtype.itemsize
            start = offset + _RECORD.size
            if mark != _MARK or start + n_bytes > os.fstat(self._descriptor).st_size:
                return offset
            values = torch.empty((n_layers, n_pieces, width), dtype=self._dtype)
            _read_all(self._descriptor, _byte_view(values), start)
            if zlib.crc32(_byte_view(values)) != checksum:
                return offset
            self._index[key] = (start, (n_layers, n_pieces, width))
            offset = start + n_bytes


_EMBED_AGAIN = "Run `frostline embed` again; it writes the folder anew."


def _dtype_of(storage: str) -> torch.dtype:
    if storage not in STORAGES:
        raise StoreError(f"Activations can't be stored as '{storage}'.", fix=did_you_mean(storage, STORAGES))
    return STORAGES[storage]


def _as_bytes(values: NDArray[np.float32] | Tensor, dtype: torch.dtype) -> bytes:
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
    return bytes(_byte_view(tensor.detach().to("cpu", dtype).contiguous()))


def _byte_view(values: Tensor) -> memoryview:
    """The bytes of a contiguous tensor, without a copy; little-endian, as every platform that torch runs on is."""
    view: memoryview = values.reshape(-1).view(torch.uint8).numpy().data
    return view


def _map(file: Path, dtype: torch.dtype, n_values: int) -> Tensor:
    """A file as a flat tensor; pages are private, so a stray write never reaches the file."""
    if n_values == 0:
        return torch.empty(0, dtype=dtype)
    mapped = np.memmap(file, dtype=np.uint8, mode="c", shape=(n_values * dtype.itemsize,))
    return torch.from_numpy(mapped).view(dtype)


def _read_all(descriptor: int, buffer: memoryview, offset: int) -> None:
    while len(buffer):
        n_read = os.preadv(descriptor, [buffer], offset)
        if n_read == 0:
            raise StoreError("The cache of activations was cut short by someone else.")
        buffer, offset = buffer[n_read:], offset + n_read


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while len(view):
        n_written = os.pwrite(descriptor, view, offset)
        view, offset = view[n_written:], offset + n_written
