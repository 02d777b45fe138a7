"""Half a character: a surrogate without its other half, which Python's strings can hold and UTF-8 can't.

It comes from broken escapes ("\\ud83d" in JSON), from texts cut in the middle of a pair, and from file names that are
not UTF-8. Word piece tokenizers, Arrow and files refuse it with errors of their own, each in another way.
"""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def half_character(text: str) -> int | None:
    """Index of the first surrogate in a text, None where there is none."""
    found = None if text.isascii() else _SURROGATE.search(text)
    return None if found is None else found.start()
