"""Vectors on disk: a folder of safetensors, Arrow and JSON, memory-mapped when it is opened, no pickle.

    vectors.json           format, counts, digest
    vectors.safetensors    table (n_rows, width) float32; keys and numbers, the sorted hashes of the words; rows;
                           buckets (n_buckets, width) float32, where there are subwords
    words.arrow            the words, in their order

Written whole or not at all, equal bytes for equal vectors. The digest covers the two data files and how they are read:
a pipeline knows its vectors by it. A folder that is opened twice is one object, so components share its memory.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from safetensors.numpy import save_file

from frostline import files
from frostline.digest import canonical_json, sha256_file, sha256_json
from frostline.errors import ModelFileError
from frostline.vectors.subwords import Subwords
from frostline.vectors.table import Vectors

FORMAT_VERSION = 1
META, TENSORS, WORDS = "vectors.json", "vectors.safetensors", "words.arrow"
FILES = (META, TENSORS, WORDS)
_TYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8"), "U64": np.dtype("<u8")}
_AGAIN = "Make it again with `frostline init vectors`, or copy it again."
CLOCK_NS = 20_000_000  # a file changed so shortly before it is read may change again at the same time of its clock
_proved: set[tuple[Any, ...]] = set()  # what vectors.json said, and what the files were, when every byte was read
_open: WeakValueDictionary[tuple[str, str], Vectors] = WeakValueDictionary()


def write_vectors(vectors: Vectors, path: Path) -> str:
    """Write a folder; what stood there is replaced, if it was one of vectors too.

    Returns:
        The digest.
    Raises:
        UsageError: something else stands at `path`.
    """
    files.refuse_to_lose(path, FILES, "a folder of vectors")
    hashes, numbers = vectors.keys
    tensors: dict[str, npt.NDArray[Any]] = {
        "table": np.ascontiguousarray(vectors.table, dtype=np.float32),
        "keys": np.ascontiguousarray(hashes), "numbers": np.ascontiguousarray(numbers),
        "rows": np.ascontiguousarray(vectors.rows, dtype=np.int64),
    }  # fmt: skip
    meta: dict[str, Any] = {
        "format_version": FORMAT_VERSION, "n_words": len(vectors), "n_rows": len(vectors.table),
        "width": vectors.width, "subwords": None,
    }  # fmt: skip
    if vectors.subwords is not None:
        tensors["buckets"] = np.ascontiguousarray(vectors.subwords.buckets, dtype=np.float32)
        meta["subwords"] = {"shortest": vectors.subwords.shortest, "longest": vectors.subwords.longest}
    with files.new_directory(path) as folder:
        with files.set_apart(folder / TENSORS) as file:
            save_file(tensors, file)
        _write_words(vectors.words, folder / WORDS)
        meta["digest"] = _digest(folder, meta)
        files.write_json_atomic(folder / META, meta)
    return str(meta["digest"])


def open_vectors(path: Path | str) -> Vectors:
    """Map a folder into memory; a folder that is open already is the same object.

    Raises:
        ModelFileError: it is not there, is broken, or of another format.
    """
    folder = Path(path)
    meta = read_meta(folder)
    key = (str(folder.resolve()), str(meta["digest"]))
    found = _open.get(key)
    if found is None:
        try:
            found = _map(folder, meta)
        except (OSError, ValueError, KeyError, pa.ArrowInvalid) as error:
            raise ModelFileError(f"The vectors can't be read: {error}", where=str(folder), fix=_AGAIN) from error
        found.folder = folder
        _open[key] = found
    return found


def read_meta(folder: Path) -> dict[str, Any]:
    """What vectors.json says. Raises ModelFileError as `open_vectors` does."""
    file = folder / META
    try:
        meta = json.loads(file.read_text(encoding="utf8"))
    except OSError:
        what = f"is no folder of vectors (it has no {META})" if folder.exists() else "does not exist"
        raise ModelFileError(f"'{folder}' {what}.", where=str(folder),
                             fix="Make one with `frostline init vectors SOURCE DEST`.") from None  # fmt: skip
    except ValueError as error:
        raise ModelFileError(f"The file is no JSON: {error}", where=str(file), fix=_AGAIN) from None
    if not isinstance(meta, dict) or meta.get("format_version") != FORMAT_VERSION or "digest" not in meta:
        version = meta.get("format_version") if isinstance(meta, dict) else None
        raise ModelFileError(f"The vectors have format {version}, this frostline reads format {FORMAT_VERSION}.",
                             where=str(file), fix=_AGAIN)  # fmt: skip
    return meta


def check_bytes(folder: Path) -> None:
    """Read every byte and compare with the digest; ModelFileError where they differ.

    What was read once is not read again by this process, as long as the files are the same ones and untouched.
    """
    meta = read_meta(folder)
    try:
        states = [(folder / name).stat() for name in (TENSORS, WORDS)]
        seen = (canonical_json(meta), *map(_signature, states))
        if seen in _proved:
            return
        latest = max(max(state.st_mtime_ns, state.st_ctime_ns) for state in states)
        is_settled = time.time_ns() - latest > CLOCK_NS
        found = _digest(folder, meta)
    except OSError as error:
        raise ModelFileError(f"The vectors can't be read: {error}", where=str(folder), fix=_AGAIN) from error
    if found != meta["digest"]:
        message = f"The vectors were changed: their digest is {found[:16]}…, not {meta['digest'][:16]}…."
        raise ModelFileError(message, where=str(folder), fix=_AGAIN)
    if is_settled:
        _proved.add(seen)


def _signature(state: os.stat_result) -> tuple[int, ...]:
    """Changes with every write; no program can set the time of an inode's last change."""
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def keep_vectors(vectors: Vectors, dest: Path) -> None:
    """Put vectors in a new folder; where they lie on the same file system, their bytes are shared, not copied."""
    source = vectors.folder
    if source is None or not _is_still(source, vectors.digest):
        write_vectors(vectors, dest)
        return
    dest.mkdir(parents=True)
    for name in FILES:
        try:
            os.link((source / name).resolve(), dest / name)
        except OSError:  # another file system, or one that knows no links
            shutil.copyfile(source / name, dest / name)


def _is_still(folder: Path, digest: str) -> bool:
    """Whether a folder holds the vectors that were opened from it."""
    try:
        return bool(read_meta(folder)["digest"] == digest)
    except ModelFileError:
        return False


def _digest(folder: Path, meta: dict[str, Any]) -> str:
    read_as = {key: value for key, value in meta.items() if key != "digest"}
    return sha256_json([read_as, sha256_file(folder / TENSORS), sha256_file(folder / WORDS)])


def _map(folder: Path, meta: dict[str, Any]) -> Vectors:
    tensors = _map_tensors(folder / TENSORS)
    subwords = None
    if meta["subwords"] is not None:
        subwords = Subwords(buckets=tensors["buckets"], **meta["subwords"])
    vectors = Vectors(
        _Words(folder / WORDS), tensors["table"], rows=tensors["rows"], subwords=subwords, digest=str(meta["digest"]),
        keys=(tensors["keys"], tensors["numbers"]),
    )  # fmt: skip
    if (len(vectors), *vectors.table.shape) != (meta["n_words"], meta["n_rows"], meta["width"]):
        raise ValueError(f"{META} does not fit the data")
    return vectors


def _map_tensors(file: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a safetensors file, as views of the mapped file."""
    with file.open("rb") as stream:
        n_header = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(n_header))
    n_bytes = file.stat().st_size
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = (8 + n_header + offset for offset in entry["data_offsets"])
        if end > n_bytes:
            raise ValueError(f"{file.name} is cut short")
        kind, shape = _TYPES[entry["dtype"]], tuple(entry["shape"])
        empty = start == end  # nothing can be mapped then
        arrays[name] = np.zeros(shape, kind) if empty else np.memmap(file, kind, "r", offset=start, shape=shape)
    return arrays


class _Words(Sequence[str]):
    """The words of a mapped Arrow file, read when they are asked for."""

    def __init__(self, file: Path) -> None:
        with pa.memory_map(str(file)) as source:
            self._column = pa.ipc.open_file(source).read_all().column("word")

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, place: Any) -> Any:
        found = self._column[place]
        return found.to_pylist() if isinstance(place, slice) else found.as_py()

    def __iter__(self) -> Iterator[str]:
        for chunk in self._column.chunks:
            yield from chunk.to_pylist()


def _write_words(words: Sequence[str], file: Path) -> None:
    table = pa.table({"word": pa.array(list(words), type=pa.large_string())})
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
