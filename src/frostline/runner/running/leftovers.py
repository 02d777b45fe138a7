"""Remove the temporary files of local state that a killed process has left; those in the store are for `project gc`."""

from __future__ import annotations

import contextlib
import os
import re

from frostline.runner.keeping.places import Places
from frostline.runner.running.processes import start_of

_TEMPORARY = re.compile(r"\.?.+\.(\d+)\.tmp")  # as replace_quickly names them: its process is in it


def remove_leftovers(places: Places) -> None:
    """Remove what no living process writes."""
    for folder in (places.tmp, places.local, places.running, places.begun, places.local / "trees"):
        try:
            names = os.listdir(folder)  # noqa: PTH208  (many names, few of them temporary)
        except OSError:
            continue
        for name in names:
            match = _TEMPORARY.fullmatch(name)
            if match and start_of(int(match[1])) is None:
                with contextlib.suppress(OSError):
                    (folder / name).unlink()
