"""Give memory that is free inside the process back to the system.

Batches have many sizes, so that the C library's heap grows full of holes: over a training of EWT a process took up to
three times what it held. Trimming takes about 0.1 s and changes no number; the next batches ask for their pages anew.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

STEPS_BETWEEN = 100  # of training; evaluations trim too


def give_back() -> None:
    """Return what is free to the system, where the C library can (glibc); elsewhere nothing."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
