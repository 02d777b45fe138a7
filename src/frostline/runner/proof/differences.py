"""How two contents differ, for people: by file, in JSON by key, in text by line, else by the first byte. Only reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_SHOWN = 10
MOST_BYTES = 16 << 20  # above, only the first differing byte is looked for
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDifference:
    """One file that is not as it was."""

    path: str
    change: str  # "changed", "missing" or "new"
    details: tuple[str, ...] = ()


def folder_differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, str]]:
    """(file, change) by two listings of name -> digest, in the order of names."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            found.append((name, "missing"))
        elif name not in old:
            found.append((name, "new"))
        elif old[name] != new[name]:
            found.append((name, "changed"))
    return found


def details(old: Path, new: Path) -> tuple[str, ...]:
    """What is different between two files, at most some lines of it."""
    if max(old.stat().st_size, new.stat().st_size) > MOST_BYTES:
        return (_first_byte(old, new),)
    before, after = old.read_bytes(), new.read_bytes()
    found = _in_json(before, after) or _in_text(before, after)
    if not found:
        return (_first_byte(old, new),)
    return (*found[:MOST_SHOWN], f"and {len(found) - MOST_SHOWN} more") if len(found) > MOST_SHOWN else tuple(found)


def _in_json(old: bytes, new: bytes) -> list[str]:
    """key: old → new; empty where one is no JSON, or only its layout differs."""
    try:
        before, after = flat(json.loads(old)), flat(json.loads(new))
    except ValueError:
        return []
    absent = object()
    return [
        f"{key}: {_shown(before.get(key, absent), absent)} → {_shown(after.get(key, absent), absent)}"
        for key in dict.fromkeys([*before, *after])
        if not _same(before.get(key, absent), after.get(key, absent))
    ]


def _same(one: Any, other: Any) -> bool:
    """Equal in kind and value: 1, 1.0 and true are three things."""
    return type(one) is type(other) and (one == other or (one != one and other != other))


def _shown(value: Any, absent: object) -> str:
    if value is absent:
        return "(not there)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """dotted.key -> leaf, of nested mappings and lists; an empty one is a leaf."""
    items: list[tuple[str, Any]]
    if isinstance(value, dict) and value:
        items = [(str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list) and value:
        items = [(str(index), inner) for index, inner in enumerate(value)]
    else:
        return {prefix or "(whole)": value}
    found: dict[str, Any] = {}
    for key, inner in items:
        found |= flat(inner, f"{prefix}.{key}" if prefix else key)
    return found


def _in_text(old: bytes, new: bytes) -> list[str]:
    """Differing lines of two texts; empty where one is no text, or the lines agree."""
    try:
        before, after = old.decode("utf-8").splitlines(), new.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return []
    if "\0" in old.decode("utf-8"):
        return []
    found = [
        f"line {number}: {_line(one)} → {_line(other)}"
        for number, (one, other) in enumerate(zip(before, after, strict=False), 1)
        if one != other
    ]
    if len(before) != len(after):
        found.insert(0, f"{len(before)} lines → {len(after)} lines")
    return found


def _line(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")


def _first_byte(old: Path, new: Path) -> str:
    """Sizes, and where the first difference is."""
    place = 0
    with old.open("rb") as one, new.open("rb") as other:
        while True:
            before, after = one.read(CHUNK_BYTES), other.read(CHUNK_BYTES)
            if before != after:
                pairs = zip(before, after, strict=False)
                place += next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(before), len(after)))
                break
            if not before:
                break
            place += len(before)
    return f"from byte {place} on ({old.stat().st_size} bytes → {new.stat().st_size} bytes)"
