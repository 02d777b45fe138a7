"""The logs of steps' runs: one file for each try, named by when it began; the newest are kept."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from frostline.runner.running.processes import start_of

KEPT = 30  # logs of one step; older ones go when it starts again


def newest_logs(folder: Path) -> list[Path]:
    """The logs in a step's folder, newest first."""
    return sorted(folder.glob("*.log"), reverse=True)


def forget_old_logs(folder: Path) -> None:
    """Remove all logs of a step but the newest."""
    for log in newest_logs(folder)[KEPT:]:
        with contextlib.suppress(OSError):
            log.unlink()


def is_growing(log: Path, notes: Path) -> bool:
    """Whether a living runner says that a job writes to this log.

    Args:
        notes: the folder of files that name the jobs at work.
    """
    for file in notes.glob("*.json") if notes.is_dir() else ():
        try:
            note = json.loads(file.read_bytes())
            if note["log"] == str(log) and start_of(int(note["runner"])) == note["runner_start"]:
                return True
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it has just ended
    return False
