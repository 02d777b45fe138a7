"""What the text files of a project say, read once for each content: imports of Python files, meanings of deps.

Everything is kept in local state under the MD5 of the bytes, so that an unchanged project costs only the look-up. The
file may vanish at any time.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from frostline.digest import md5_bytes
from frostline.errors import StoreError
from frostline.runner.digests.hashing import Hasher, keep, load_json
from frostline.runner.meaning.source_values import FORMAT, PYTHON_TAG, Import, Meaning, PythonSource

VERSION = [1, FORMAT, PYTHON_TAG]
MAX_PYTHON_BYTES = 1 << 21
MAX_OTHER_BYTES = 1 << 18
MAX_IDLE = 5000  # entries that nobody asked for this time are kept up to so many
_FLAGS = ("is_python", "uses_docstrings", "uses_lines")


class _ChangedSince(Exception):
    """A file is not as it was hashed: what it says belongs to no digest, and the next look will tell."""


class Sources:
    """The text files under a root.

    Args:
        root: the project's folder.
        hasher: says which bytes a path holds.
        state: the folder of the memory; None: remember nothing.
    """

    def __init__(self, root: Path, hasher: Hasher, state: Path | None) -> None:
        self.root = root
        self.hasher = hasher
        self.file = state / "sources.json" if state else None
        loaded = load_json(self.file) if self.file else {}
        self.known: dict[str, Any] = loaded["known"] if loaded.get("version") == VERSION else {}
        self.used: set[str] = set()
        self.changed = False

    def python(self, path: str) -> PythonSource | None:
        """A Python file, read; None when there is none, or it can't be understood. Raises nothing."""
        try:
            digest = self.hasher.digest(path)
        except StoreError:
            return None
        if digest is None or digest.is_folder or digest.n_bytes > MAX_PYTHON_BYTES:
            return None
        try:
            return _unpacked_source(self._entry(path, digest.md5, ".py"))
        except _ChangedSince:
            return None

    def meaning(self, path: str) -> Meaning | None:
        """What a dep means apart from comments and layout; None where its bytes count. Raises StoreError."""
        digest = self.hasher.digest(path)
        if digest is None:
            return None
        if not digest.is_folder:
            try:
                return self._meaning_of_file(path, digest.md5, digest.n_bytes)
            except _ChangedSince:
                return None
        key = digest.md5
        if key not in self.known:
            try:
                packed = self._folder(path)
            except _ChangedSince:
                return None
            if self.hasher.digest(path) != digest:
                return None
            self.known[key] = packed
            self.changed = True
        self.used.add(key)
        return _unpacked_meaning(self.known[key])

    def save(self) -> None:
        """Write the memory, if there is news."""
        if not self.changed or self.file is None:
            return
        if len(self.known) > len(self.used) + MAX_IDLE:
            self.known = {key: value for key, value in self.known.items() if key in self.used}
        value = {"version": VERSION, "known": self.known}
        keep(self.file, json.dumps(value, separators=(",", ":")).encode())
        self.changed = False

    def _meaning_of_file(self, path: str, md5: str, n_bytes: int) -> Meaning | None:
        from frostline.runner.meaning import equivalence

        suffix = equivalence.suffix_of(path)
        limit = MAX_PYTHON_BYTES if suffix == ".py" else MAX_OTHER_BYTES
        if suffix not in equivalence.SUFFIXES or n_bytes > limit:
            return None
        if suffix != ".py":
            return _unpacked_meaning(self._entry(path, md5, suffix))
        source = _unpacked_source(self._entry(path, md5, suffix))
        return equivalence.meaning_of_python(source) if source is not None else None

    def _folder(self, path: str) -> Any:
        """A folder's meaning, packed; None when nothing in it is understood."""
        from frostline.runner.meaning import equivalence

        files = self.hasher.files_of(path)
        names = equivalence.understood(files)
        meanings = {}
        for name in names:
            size = os.path.getsize(self.root / path / name)  # noqa: PTH202  (called for each file)
            meaning = self._meaning_of_file(f"{path}/{name}", files[name], size)
            if meaning is not None:
                meanings[name] = meaning
        return _packed_meaning(equivalence.meaning_of_folder(files, meanings)) if meanings else None

    def _entry(self, path: str, md5: str, suffix: str) -> Any:
        """What is known of a file's bytes, packed; None when they can't be understood. Raises _ChangedSince."""
        key = md5 + suffix
        if key not in self.known:
            try:
                data = (self.root / path).read_bytes()
            except OSError as error:
                raise _ChangedSince from error
            if md5_bytes(data) != md5:
                raise _ChangedSince
            self.known[key] = _read(suffix, data)
            self.changed = True
        self.used.add(key)
        return self.known[key]


def _read(suffix: str, data: bytes) -> Any:
    if suffix == ".py":
        from frostline.runner.meaning.python_source import read_python

        source = read_python(data)
        return _packed_source(source) if source is not None else None
    from frostline.runner.meaning.equivalence import meaning_of_text

    meaning = meaning_of_text(suffix, data)
    return _packed_meaning(meaning) if meaning is not None else None


def _packed_meaning(meaning: Meaning) -> list[Any]:
    return [meaning.plain, meaning.documented, [flag for flag in _FLAGS if getattr(meaning, flag)]]


def _unpacked_meaning(packed: Any) -> Meaning | None:
    if packed is None:
        return None
    return Meaning(plain=packed[0], documented=packed[1], **dict.fromkeys(packed[2], True))


def _packed_source(source: PythonSource) -> list[Any]:
    imports = [[one.module, one.level, *one.names] for one in source.imports]
    flags = [flag for flag in _FLAGS[1:] if getattr(source, flag)]
    return [imports, source.exported, source.search_hints, source.code, source.docstrings, flags]


def _unpacked_source(packed: Any) -> PythonSource | None:
    if packed is None:
        return None
    imports, exported, hints, code, docstrings, flags = packed
    return PythonSource(
        imports=tuple(Import(module, tuple(names), level) for module, level, *names in imports),
        exported=tuple(exported),
        search_hints=None if hints is None else tuple(hints),
        code=code,
        docstrings=docstrings,
        **dict.fromkeys(flags, True),
    )
