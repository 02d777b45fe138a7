"""The corpus on disk: a folder of Arrow files and `corpus.json`, memory-mapped, read in any order.

Equal docs and meta give equal bytes. `corpus.json` names the shards with their sizes and digests; a shard is checked
against it when it is first opened. A corpus holds whole documents: cutting them for training is cutting.py's business,
and nothing here knows the file formats that corpora are converted from.
"""

from __future__ import annotations

import bisect
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa

from frostline.corpora.shard import Shard, write_shard
from frostline.corpora.writing import as_utf8
from frostline.digest import sha256_file, sha256_json
from frostline.errors import CorpusError
from frostline.files import foreign_in, new_directory, write_json_atomic
from frostline.tokens import Doc

FORMAT = "frostline.corpus"
VERSION = 1
INDEX = "corpus.json"
WORDS_PER_SHARD = 500_000
OPEN_SHARDS = 16        # mapped at a time by one corpus

_CONVERT = "Make it with 'frostline convert SOURCE… DEST'."
_AGAIN = "Its bytes have changed since it was written: make it again with 'frostline convert', or restore it."


def write_corpus(
    docs: Iterable[Doc], path: Path, *, meta: Mapping[str, Any] | None = None, n_words_per_shard: int = WORDS_PER_SHARD
) -> None:
    """Write docs, in order, as the corpus at `path`; it appears when all is written. Holds one shard in memory.

    meta: JSON values that say where the docs come from; no times and no absolute paths, or equal docs no longer
    give equal bytes. A corpus that stands at `path` is replaced.

    Raises:
        CorpusError: something other than a corpus stands at `path`, or a doc holds half a character.
    """
    path = Path(path)
    _refuse_to_replace(path)
    shards: list[dict[str, Any]] = []
    with new_directory(path) as folder:
        for number, part in enumerate(_parts(docs, n_words_per_shard)):
            file = folder / f"shard-{number:05d}.arrow"
            with as_utf8(part):
                write_shard(part, file)
            shards.append({
                "file": file.name, "n_docs": len(part), "n_words": sum(map(len, part)),
                "n_bytes": file.stat().st_size, "sha256": sha256_file(file),
            })
        write_json_atomic(folder / INDEX, {
            "format": FORMAT, "version": VERSION, "shards": shards, "meta": dict(meta or {}),
            "n_docs": sum(shard["n_docs"] for shard in shards), "n_words": sum(shard["n_words"] for shard in shards),
            "digest": _digest(shards),
        })


def open_corpus(path: Path) -> Corpus:
    """Open the corpus at `path`; reads its index only.

    Raises:
        CorpusError: nothing is there, or it is no corpus, or one of another version, or a shard is gone or cut.
    """
    path = Path(path)
    index = _read_index(path)
    for shard in index["shards"]:
        file = path / shard["file"]
        if not file.is_file():
            raise CorpusError(f"The corpus lacks its shard {file.name}.", where=str(path), fix=_AGAIN)
        if file.stat().st_size != shard["n_bytes"]:
            raise CorpusError(f"A shard has {file.stat().st_size} bytes where its index says {shard['n_bytes']}.",
                              where=str(file), fix=_AGAIN)
    return Corpus(path, index)


class Corpus:
    """Docs on disk, by index or in order. Can be pickled and used after a fork: only the path travels."""

    def __init__(self, path: Path, index: Mapping[str, Any]) -> None:
        self.path = path
        self._index = index
        self._ends = list(accumulate(shard["n_docs"] for shard in index["shards"]))
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._checked: set[int] = set()

    def __len__(self) -> int:
        return int(self._index["n_docs"])

    def __getitem__(self, i: int) -> Doc:
        if not -len(self) <= i < len(self):
            raise IndexError(f"doc {i} of a corpus of {len(self)}")
        i %= len(self)
        number = bisect.bisect_right(self._ends, i)
        first = self._ends[number - 1] if number else 0
        return self._doc(number, i - first)

    def __iter__(self) -> Iterator[Doc]:
        for number, shard in enumerate(self._index["shards"]):
            for row in range(shard["n_docs"]):
                yield self._doc(number, row)

    def __repr__(self) -> str:
        return f"Corpus({str(self.path)!r}, {len(self)} docs, {self.n_words} words)"

    def __reduce__(self) -> tuple[Any, ...]:
        return open_corpus, (self.path,)

    @property
    def n_words(self) -> int:
        return int(self._index["n_words"])

    @property
    def digest(self) -> str:
        """Hex SHA-256 over the shards: the same for the same docs, whatever the meta."""
        return str(self._index["digest"])

    @property
    def meta(self) -> dict[str, Any]:
        return dict(self._index["meta"])

    def distinct(self, name: str) -> list[str]:
        """The strings that occur in a column ("words", "xpos", …) anywhere in the corpus, sorted; no doc is made."""
        return sorted({string for number in range(len(self._ends)) for string in self._shard(number).table(name)})

    def check(self) -> None:
        """Read every byte and compare its digest. Raises CorpusError at the first shard that is not as written."""
        for number in range(len(self._ends)):
            self._checked.discard(number)
            self._open.pop(number, None)
            self._shard(number)

    def _doc(self, number: int, row: int) -> Doc:
        try:
            return self._shard(number).doc(row)
        except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise CorpusError(f"Doc {row} of the shard can't be read: {error}", where=self._file(number),
                              fix=_AGAIN) from error

    def _shard(self, number: int) -> Shard:
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        file = Path(self._file(number))
        try:
            if number not in self._checked and sha256_file(file) != self._index["shards"][number]["sha256"]:
                raise CorpusError("The shard's digest is not the one in the index.", where=str(file), fix=_AGAIN)
            shard = Shard(file)
        except (pa.ArrowException, OSError, KeyError, AttributeError) as error:
            raise CorpusError(f"The shard can't be read: {error}", where=str(file), fix=_AGAIN) from error
        self._checked.add(number)
        self._open[number] = shard
        if len(self._open) > OPEN_SHARDS:
            self._open.popitem(last=False)
        return shard

    def _file(self, number: int) -> str:
        return str(self.path / self._index["shards"][number]["file"])


def _parts(docs: Iterable[Doc], n_words: int) -> Iterator[list[Doc]]:
    """Consecutive docs of at least `n_words` together; the last part may have fewer, and there is always one part."""
    part: list[Doc] = []
    size, n_parts = 0, 0
    for doc in docs:
        part.append(doc)
        size += len(doc)
        if size >= n_words:
            yield part
            part, size, n_parts = [], 0, n_parts + 1
    if part or n_parts == 0:
        yield part


def _digest(shards: list[dict[str, Any]]) -> str:
    return sha256_json({"version": VERSION, "shards": [shard["sha256"] for shard in shards]})


def _refuse_to_replace(path: Path) -> None:
    if path.is_file():
        raise CorpusError("A file stands where the corpus should go.", where=str(path),
                          fix="Choose another destination: a corpus is a folder.")
    lost = foreign_in(path, (INDEX, "shard-*.arrow"))
    if lost is None and (path / INDEX).is_file() and not _is_index(path / INDEX):
        lost = INDEX
    if lost is not None:
        raise CorpusError(f"The folder is there already and holds something other than a corpus: '{lost}'.",
                          where=str(path), fix="Choose another destination, or move that away first.")


def _is_index(file: Path) -> bool:
    """Whether a file is an index of ours, of whatever version."""
    try:
        index = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(index, dict) and index.get("format") == FORMAT


def _read_index(path: Path) -> dict[str, Any]:
    file = path / INDEX
    if not path.exists():
        raise CorpusError("There is no corpus here.", where=str(path), fix=_CONVERT)
    if not file.is_file():
        raise CorpusError(f"This is no corpus: it has no {INDEX}.", where=str(path), fix=_CONVERT)
    try:
        index = json.loads(file.read_bytes())
        known = index["format"] == FORMAT
        version = index["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorpusError("The corpus's index can't be read.", where=str(file), fix=_AGAIN) from error
    if not known:
        raise CorpusError(f"This is no corpus of frostline, but '{index['format']}'.", where=str(file), fix=_CONVERT)
    if version != VERSION:
        raise CorpusError(f"The corpus has format version {version}; this frostline reads {VERSION}.",
                          where=str(file), fix="Convert it again from its sources.")
    if not isinstance(index.get("shards"), list) or index.get("digest") != _digest(index["shards"]):
        raise CorpusError("The corpus's index does not agree with itself.", where=str(file), fix=_AGAIN)
    return dict(index)
