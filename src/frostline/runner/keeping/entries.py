"""Values by name, kept as JSON text and parsed only when asked for.

Ten thousand records as Python values take a hundred megabytes and most of a start-up; as text they take five, and a
plan that finds a step up to date looks at its record once. Knows nothing of what the values mean.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any


class Entries:
    """An ordered table of name -> JSON value."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: dict[str, bytes] = {}  # name -> the name as JSON, a tab, the value as JSON

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def get(self, name: str) -> Any:
        """The value of a name, parsed anew at each call; None when there is none."""
        line = self._lines.get(name)
        return None if line is None else json.loads(line.partition(b"\t")[2])

    def put(self, name: str, value: Any) -> None:
        """Set the value of a name; a new name comes last."""
        self._lines[name] = f"{json.dumps(name)}\t{json.dumps(value)}".encode()

    def drop(self, name: str) -> None:
        """Forget a name, if it is there."""
        self._lines.pop(name, None)

    def digest(self) -> str:
        """Hex SHA-256 of all values, without parsing any."""
        seen = hashlib.sha256()
        for line in self._lines.values():
            seen.update(line + b"\n")
        return seen.hexdigest()

    def to_bytes(self, head: Mapping[str, Any]) -> bytes:
        """A line for `head`, then one for each entry."""
        return b"\n".join([json.dumps(head).encode(), *self._lines.values()])


def from_bytes(data: bytes) -> tuple[dict[str, Any], Entries]:
    """What `to_bytes` was given. Raises ValueError for anything else."""
    first, *lines = data.split(b"\n")
    head = json.loads(first)
    if not isinstance(head, dict):
        raise ValueError("the first line is no object")
    entries = Entries()
    for line in lines:
        name, tab, _ = line.partition(b"\t")
        if not tab:
            raise ValueError("a line without an entry")
        entries._lines[str(json.loads(name))] = line
    return head, entries
