"""Change parsed YAML in its text, so that comments, quotes and layout of what is not ours stay.

The layout is the one that most of the text has: a file that mixes several ways to indent comes out in one.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Any

_KEY = re.compile(r"( *)(?:- +)?[^\s#-][^#]*:\s*(?:#.*)?")
_BELOW = re.compile(r"( *)(- |\S)")


def edited(text: str, new: dict[str, Any]) -> str:
    """Change the parsed text where it differs, comments and layout kept (ruamel, loaded only here)."""
    import io

    from ruamel.yaml import YAML

    editor = YAML()
    editor.width = 10**9
    editor.preserve_quotes = True
    mapping, offset = layout_of(text)
    editor.indent(mapping=mapping, sequence=offset + 2, offset=offset)
    document = editor.load(text)
    _apply(document, new)
    stream = io.StringIO()
    editor.dump(document, stream)
    return stream.getvalue()


def _apply(target: Any, new: dict[str, Any]) -> None:
    for key in [key for key in target if key not in new]:
        del target[key]
    for key, value in new.items():
        if key in target and isinstance(target[key], dict) and isinstance(value, dict):
            _apply(target[key], value)
        elif key not in target or target[key] != value:
            target[key] = value


def layout_of(text: str) -> tuple[int, int]:
    """(columns that a mapping is indented by, columns before the dash of a list below its key), as most of a text has.

    DVC's own way, (2, 0), where it has neither.
    """
    mappings: Counter[int] = Counter()
    offsets: Counter[int] = Counter()
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line, following in itertools.pairwise(lines):
        key, below = _KEY.fullmatch(line), _BELOW.match(following)
        if key is None or below is None or "- " in line[: len(line) - len(line.lstrip()) + 2]:
            continue
        deeper = len(below[1]) - len(key[1])
        if below[2] == "- " and deeper >= 0:
            offsets[deeper] += 1
        elif deeper > 0:
            mappings[deeper] += 1
    return (mappings.most_common(1) or [(2, 0)])[0][0], (offsets.most_common(1) or [(0, 0)])[0][0]
