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

    __slots__ = ("_texts",)

    def __init__(self) -> None:
        self._texts: dict[str, bytes] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def get(self, name: str) -> Any:
        """The value of a name, parsed anew at each call; None when there is none."""
        text = self._texts.get(name)
        return None if text is None else json.loads(text)

    def put(self, name: str, value: Any) -> None:
        """Set the value of a name; a new name comes last."""
        self._texts[name] = json.dumps(value).encode()

    def drop(self, name: str) -> None:
        """Forget a name, if it is there."""
        self._texts.pop(name, None)

    def digest(self) -> str:
        """Hex SHA-256 of all values, without parsing any."""
        seen = hashlib.sha256()
        for name, text in self._texts.items():
            seen.update(name.encode() + b"\0" + text + b"\n")
        return seen.hexdigest()

    def to_bytes(self, head: Mapping[str, Any]) -> bytes:
        """A line for `head`, then one for each entry."""
        lines = [json.dumps(head).encode()]
        lines += [json.dumps(name).encode() + b"\t" + text for name, text in self._texts.items()]
        return b"\n".join(lines)


def from_bytes(data: bytes) -> tuple[dict[str, Any], Entries]:
    """What `to_bytes` was given. Raises ValueError for anything else."""
    first, *lines = data.split(b"\n")
    head = json.loads(first)
    if not isinstance(head, dict):
        raise ValueError("the first line is no object")
    entries = Entries()
    for line in lines:
        name, tab, text = line.partition(b"\t")
        if not tab:
            raise ValueError("a line without an entry")
        entries._texts[str(json.loads(name))] = text
    return head, entries
