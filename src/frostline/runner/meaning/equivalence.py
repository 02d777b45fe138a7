"""What a text file means apart from comments and layout, so that an edit of those alone reruns nothing.

Python counts by the code it compiles to, .cfg and .ini by sections, keys and values, YAML and TOML by their values in
the file's order. A folder counts by the meaning of such files in it and the bytes of all others. A file that can't be
understood counts by its bytes. Pure but for reading the files it is asked about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from frostline.digest import sha256_bytes, sha256_json
from frostline.runner.meaning.source_values import FORMAT, PYTHON_TAG, Meaning, PythonSource

MAX_FILES = 2000  # of a folder that are looked into; beyond that its bytes count
DIGITS = 16  # of each digest on record
# Bare words that are no text in YAML 1.2, or to some reader of 1.1; PyYAML knows the others of 1.1.
_NO_TEXT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)(e[-+]?\d+)?|0o[0-7]+|0x[\da-f]+|[-+]?\.inf|\.nan|[yn]|", re.IGNORECASE)
SUFFIXES = frozenset((".py", ".cfg", ".ini", ".yaml", ".yml", ".toml"))


def suffix_of(path: PurePosixPath | str) -> str:
    """The ending that says how a file is read."""
    return PurePosixPath(path).suffix.lower()


def meaning_of_text(suffix: str, data: bytes) -> Meaning | None:
    """What a .cfg, .ini, YAML or TOML file means; None when that can't be said."""
    readers: dict[str, Callable[[str], Any]] = {".cfg": _ini, ".ini": _ini, ".toml": _toml}
    try:
        digest = sha256_json([suffix, readers.get(suffix, _yaml)(data.decode("utf-8"))])
    except (ValueError, RecursionError):
        return None
    return Meaning(plain=digest, documented=digest)


def meaning_of_python(source: PythonSource) -> Meaning:
    """What a Python file means."""
    return Meaning(
        plain=source.code,
        documented=sha256_json([source.code, source.docstrings]),
        is_python=True,
        uses_docstrings=source.uses_docstrings,
        uses_lines=source.uses_lines,
    )


def meaning_of_folder(files: Mapping[str, str], meanings: Mapping[str, Meaning]) -> Meaning:
    """What a folder means.

    Args:
        files: relative path -> MD5, of every file.
        meanings: relative path -> meaning, of those that are understood.
    """
    found = list(meanings.values())

    def digest(kind: str) -> str:
        rows = [[name, getattr(meanings[name], kind) if name in meanings else md5] for name, md5 in files.items()]
        return sha256_bytes(json.dumps(sorted(rows)).encode())

    return Meaning(
        plain=digest("plain"),
        documented=digest("documented"),
        is_python=any(one.is_python for one in found),
        uses_docstrings=any(one.uses_docstrings for one in found),
        uses_lines=any(one.uses_lines for one in found),
    )


def on_record(meanings: Mapping[str, Meaning], md5s: Mapping[str, str]) -> dict[str, str]:
    """What to put on record of a step's deps: path -> `MD5 format digest`, each cut short.

    Where one Python file of a step reads docstrings, or lines, those of all its files count: who calls whom is not
    known.
    """
    python = [meaning for meaning in meanings.values() if meaning.is_python]
    uses_lines = any(meaning.uses_lines for meaning in python)
    uses_docstrings = any(meaning.uses_docstrings for meaning in python)
    recorded = {}
    for path, meaning in meanings.items():
        tag = f"{FORMAT}.{PYTHON_TAG}" if meaning.is_python else FORMAT
        if meaning.is_python and uses_lines:
            digest = "bytes"
        else:
            digest = (meaning.documented if uses_docstrings else meaning.plain)[:DIGITS]
        recorded[path] = f"{_short(md5s[path])} {tag} {digest}"
    return recorded


def belongs_to(recorded: str | None, md5: str) -> bool:
    """Whether what is on record was said of these bytes."""
    return recorded is not None and recorded.startswith(_short(md5) + " ")


def is_same(recorded: str, today: str) -> bool:
    """Whether two entries of `on_record` mean the same; bytes that count are known to differ."""
    before, now = recorded.split(" "), today.split(" ")
    return before[1:] == now[1:] and before[-1] != "bytes"


def said(recorded: str) -> str | None:
    """What an entry of `on_record` says, whatever the bytes were; None where those count."""
    words = recorded.split(" ")
    return None if words[-1] == "bytes" else " ".join(words[1:])


def understood(names: Iterable[str]) -> list[str]:
    """Those of a folder's files that may be understood; none where there are too many."""
    found = [name for name in names if suffix_of(name) in SUFFIXES]
    return found if len(found) <= MAX_FILES else []


def _short(md5: str) -> str:
    return md5[:DIGITS]


def _ini(text: str) -> Any:
    """Sections, keys and values in their order. A value that is a JSON list or object may be laid out at will."""
    import configparser

    parser = configparser.ConfigParser(interpolation=None, default_section="\0", allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(str(error)) from error
    return [
        [section, [[key, _ini_value(value)] for key, value in parser.items(section)]] for section in parser.sections()
    ]


def _ini_value(value: str | None) -> Any:
    if value is None or value[:1] not in ("[", "{"):
        return value
    try:
        return ["json", json.dumps(json.loads(value))]
    except ValueError:
        return value


def _toml(text: str) -> Any:
    import tomllib

    return json.dumps(tomllib.loads(text), default=lambda value: [type(value).__name__, str(value)])


def _yaml(text: str) -> Any:
    """What the parser meets, styles and the names of anchors aside.

    Which bare words are numbers, truth values or dates differs between YAML 1.1 and 1.2, and readers of both exist: a
    word that is anything but text to one of them is not the same as the word in quotes.
    """
    import yaml

    events: list[list[Any]] = []
    anchors: dict[str, int] = {}
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            row: list[Any] = [type(event).__name__, getattr(event, "tag", None), getattr(event, "version", None)]
            anchor = getattr(event, "anchor", None)
            if isinstance(event, yaml.AliasEvent):
                row.append(anchors.get(str(anchor)))
            elif anchor is not None:
                anchors[anchor] = len(events)
                row.append("&")
            if isinstance(event, yaml.ScalarEvent):
                row += ["bare" if not event.style and _may_be_no_text(event.value) else "text", event.value]
            events.append(row)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    return events


def _may_be_no_text(word: str) -> bool:
    """Whether a bare word is a number, a truth value, a date or nothing to some reader of YAML."""
    import yaml

    resolvers = yaml.SafeLoader.yaml_implicit_resolvers
    patterns = [pattern for _, pattern in (*resolvers.get(word[:1], ()), *resolvers.get(None, ()))]
    return bool(_NO_TEXT.fullmatch(word)) or any(pattern.match(word) for pattern in patterns)
