"""A run's private cache of frozen activations: bounded, memory-mapped, for one process at a time.

    data.bin     values, each doc's in one stretch; a stretch that is free again is used again
    index.bin    settings, then a journal: which doc's values were put where, which were dropped

When there is no room, the docs that were used longest ago go. The journal says that values are dropped before their
place is written to, and that they are there after they were written, so a kill at any moment leaves a journal whose
values are whole; a checksum, looked at when values of another process are first read, says so after a crash of the
machine too. What was put under other settings, or as another storage, is dropped at once.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frostline import files
from frostline.config.schemas import ACTIVATION_CACHE_MIB
from frostline.digest import canonical_json
from frostline.embedding.store import KEY_BYTES, as_bytes, dtype_of
from frostline.errors import StoreError
from frostline.layers.tensor_files import byte_view

DATA, INDEX = "data.bin", "index.bin"

_MAGIC = b"frostline activation cache 2\n"
_ENTRY = struct.Struct(f"<c{KEY_BYTES}sqIQII")  # put or drop, key, offset, layers, pieces, width, crc32 of the values
_CHECK = struct.Struct("<I")  # crc32 of the entry
_ENTRY_BYTES = _ENTRY.size + _CHECK.size
_PUT, _DROP = b"+", b"-"
_FIRST_BYTES = 16 << 20  # of data.bin, which then doubles
_IDLE_ENTRIES = 4096  # of the journal beside those that count, before it is written anew


@dataclass(frozen=True, slots=True)
class _Place:
    offset: int
    shape: tuple[int, int, int]
    n_bytes: int
    checksum: int


class ActivationCache:
    """See the module's docstring.

    Args:
        folder: made where it is missing.
        settings: plain JSON: all that the numbers depend on beside a doc's key.
        max_bytes: of the values.
        storage: of the values; what is put must have been rounded to it, then the same bits come back.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        max_bytes: int = ACTIVATION_CACHE_MIB << 20,
        storage: str = "float32",
    ) -> None:
        self.settings = dict(settings)
        self.max_bytes = max_bytes
        self._dtype = dtype_of(storage)
        self._places: dict[bytes, _Place] = {}  # least recently used first
        self._unproved: set[bytes] = set()  # put by another process, and not yet read by this one
        self._room = _Room(max_bytes)
        self._is_full = False  # the disk
        self._map: mmap.mmap | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._index_file, self._data_file = folder / INDEX, folder / DATA
        for file in (self._index_file, self._data_file):
            if file.is_dir():  # nothing in a cache is worth a run
                files.remove_tree(file)
        self._data = os.open(self._data_file, os.O_RDWR | os.O_CREAT, 0o666)
        about = canonical_json({"settings": self.settings, "storage": storage})
        self._header = _MAGIC + struct.pack("<I", len(about)) + about
        self._journal = -1
        self._n_entries = 0
        self._open_journal()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: object) -> bool:
        return key in self._places

    @property
    def n_bytes(self) -> int:
        """Bytes of values that are kept."""
        return sum(place.n_bytes for place in self._places.values())

    def get(self, key: bytes) -> Tensor | None:
        """(n_layers, n_pieces, width) float32, a copy; None when there is none."""
        place = self._places.pop(key, None)
        if place is None:
            return None
        values = torch.empty(place.shape, dtype=self._dtype)
        if place.n_bytes:
            byte_view(values)[:] = self._mapped(place)
        if key in self._unproved:
            self._unproved.discard(key)
            if zlib.crc32(byte_view(values)) != place.checksum:
                with suppress(OSError):  # the checksum will say it again
                    self._write(_DROP, key, place)
                self._room.free(place.offset, place.n_bytes)
                return None
        self._places[key] = place  # the most recently used one
        return values.float()

    def put(self, key: bytes, values: NDArray[np.float32] | Tensor) -> bool:
        """Keep (n_layers, n_pieces, width); False when that is more than fits, or the key is known already."""
        if key in self._places or self._is_full:
            return False
        data = as_bytes(values, self._dtype)
        if len(data) > self.max_bytes:
            return False
        n_layers, n_pieces, width = map(int, values.shape)
        try:
            offset = self._room.take(len(data))
            while offset is None:
                self._drop_oldest()
                offset = self._room.take(len(data))
            place = _Place(offset, (n_layers, n_pieces, width), len(data), zlib.crc32(data))
            self._reach(offset + len(data))
            _write_all(self._data, data, offset)
            self._write(_PUT, key, place)
        except OSError:  # the disk is full: what is there stays, nothing more is kept
            self._is_full = True
            return False
        self._places[key] = place
        return True

    def close(self) -> None:
        """Close the files; the cache can't be used afterwards."""
        self._places.clear()
        if self._map is not None:
            self._map.close()
            self._map = None
        for name in ("_data", "_journal"):
            if getattr(self, name, -1) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)

    def __del__(self) -> None:
        if hasattr(self, "_map"):
            self.close()

    def _drop_oldest(self) -> None:
        key, place = next(iter(self._places.items()))
        self._write(_DROP, key, place)  # before anything else can stand there
        del self._places[key]
        self._unproved.discard(key)
        self._room.free(place.offset, place.n_bytes)

    def _reach(self, n_bytes: int) -> None:
        """Make the data file that long; what was not written takes no room on the disk."""
        size = os.fstat(self._data).st_size
        if size < n_bytes:
            os.ftruncate(self._data, min(max(n_bytes, 2 * size, _FIRST_BYTES), self.max_bytes))

    def _mapped(self, place: _Place) -> memoryview:
        end = place.offset + place.n_bytes
        size = os.fstat(self._data).st_size
        if end > size:
            raise StoreError("The cache of activations was cut short by someone else.", where=str(self._index_file))
        if self._map is None or len(self._map) < end:
            self._map = mmap.mmap(self._data, size, access=mmap.ACCESS_READ)
        return memoryview(self._map)[place.offset : end]

    def _write(self, what: bytes, key: bytes, place: _Place) -> None:
        """Add to the journal."""
        entry = _ENTRY.pack(what, key, place.offset, *place.shape, place.checksum)
        if self._n_entries > 2 * len(self._places) + _IDLE_ENTRIES:
            self._rewrite_journal()
        position = len(self._header) + self._n_entries * _ENTRY_BYTES
        _write_all(self._journal, entry + _CHECK.pack(zlib.crc32(entry)), position)
        self._n_entries += 1

    def _open_journal(self) -> None:
        """Take over what the journal says, up to its first entry that is not whole."""
        try:
            content = self._index_file.read_bytes()
        except FileNotFoundError:
            content = b""
        size = os.fstat(self._data).st_size
        if content.startswith(self._header):
            for start in range(len(self._header), len(content) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
                entry = content[start : start + _ENTRY.size]
                if _CHECK.unpack_from(content, start + _ENTRY.size)[0] != zlib.crc32(entry):
                    break
                self._replay(entry)
            for key in [key for key, place in self._places.items() if place.offset + place.n_bytes > size]:
                del self._places[key]
            while self._places and max(p.offset + p.n_bytes for p in self._places.values()) > self.max_bytes:
                del self._places[max(self._places, key=lambda one: self._places[one].offset)]
        if not self._places and size:  # a new file: whoever still reads the old one may go on with it
            self._data_file.unlink()
            old, self._data = self._data, os.open(self._data_file, os.O_RDWR | os.O_CREAT, 0o666)
            os.close(old)
        self._unproved = set(self._places)
        self._room.occupy(sorted((place.offset, place.n_bytes) for place in self._places.values()))
        self._rewrite_journal()

    def _replay(self, entry: bytes) -> None:
        what, key, offset, n_layers, n_pieces, width, checksum = _ENTRY.unpack(entry)
        self._places.pop(key, None)
        if what == _PUT:
            n_bytes = n_layers * n_pieces * width * self._dtype.itemsize
            self._places[key] = _Place(offset, (n_layers, n_pieces, width), n_bytes, checksum)

    def _rewrite_journal(self) -> None:
        """Write a journal of what there is, whole or not at all, and go on in it."""
        if self._journal >= 0:
            os.close(self._journal)
            self._journal = -1
        with files.new_file(self._index_file) as temporary, temporary.open("wb") as stream:
            stream.write(self._header)
            for key, place in self._places.items():
                entry = _ENTRY.pack(_PUT, key, place.offset, *place.shape, place.checksum)
                stream.write(entry + _CHECK.pack(zlib.crc32(entry)))
        self._journal = os.open(self._index_file, os.O_RDWR)
        self._n_entries = len(self._places)


class _Room:
    """Which stretches of a file are free: holes between those in use, and what lies behind the last one."""

    def __init__(self, n_bytes: int) -> None:
        self._n_bytes = n_bytes
        self._end = 0
        self._holes: list[tuple[int, int]] = []  # (offset, length) in order, never side by side

    def occupy(self, used: list[tuple[int, int]]) -> None:
        """Begin with these stretches in use; they are in order and do not overlap."""
        for offset, length in used:
            if offset > self._end:
                self._holes.append((self._end, offset - self._end))
            self._end = max(self._end, offset + length)

    def take(self, length: int) -> int | None:
        """The offset of a stretch that is in use from now on: the first hole that is long enough; None for no room."""
        for place, (offset, free) in enumerate(self._holes):
            if free >= length:
                self._holes[place : place + 1] = [(offset + length, free - length)] if free > length else []
                return offset
        if self._end + length > self._n_bytes:
            return None
        self._end += length
        return self._end - length

    def free(self, offset: int, length: int) -> None:
        """Give a stretch back."""
        if not length:
            return
        place = bisect_left(self._holes, (offset, 0))
        if place < len(self._holes) and self._holes[place][0] == offset + length:
            length += self._holes.pop(place)[1]
        if place and sum(self._holes[place - 1]) == offset:
            place -= 1
            before, more = self._holes.pop(place)
            offset, length = before, length + more
        if offset + length == self._end:
            self._end = offset
        else:
            self._holes.insert(place, (offset, length))


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while len(view):
        n_written = os.pwrite(descriptor, view, offset)
        view, offset = view[n_written:], offset + n_written
