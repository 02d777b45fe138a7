"""What is known of a text file, as values. Only data: reading is python_source.py's and equivalence.py's business."""

from __future__ import annotations

import sys
from typing import NamedTuple

PYTHON_TAG = sys.implementation.cache_tag or "python"
FORMAT = "1"  # of a meaning on record; another one is unknown, so bytes count


class Import(NamedTuple):
    """One import: `import a.b` (no names), or `from ..a import b, c` (level 2)."""

    module: str  # "" in `from . import x`
    names: tuple[str, ...] = ()
    level: int = 0


class PythonSource(NamedTuple):
    """A Python file, read."""

    imports: tuple[Import, ...] = ()
    exported: tuple[str, ...] = ()  # names in `__all__`, which `from x import *` may look for as modules
    search_hints: tuple[str, ...] | None = None  # texts near `sys.path`, where it is changed; None: it is not
    code: str = ""  # digest; empty: not to be had, so every byte counts
    docstrings: str = ""  # digest of all docstrings
    uses_docstrings: bool = False
    uses_lines: bool = False


class Meaning(NamedTuple):
    """What one dep holds, comments and layout aside."""

    plain: str  # digest without docstrings
    documented: str  # digest with them
    is_python: bool = False  # so the digests belong to this version of Python
    uses_docstrings: bool = False
    uses_lines: bool = False
