"""Notice, at the end of a run, that a step wrote into what another had made and had on record.

Nobody is stopped: the next plan finds the output changed anyway. But there it looks as if it had been edited.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from frostline.errors import StoreError
from frostline.runner.running.records import newest_records
from frostline.runner.session import Session

SLACK_S = 1.0  # starts are on record in whole seconds


def trespasses(session: Session, names: Iterable[str], began: float) -> list[str]:
    """A sentence for each recorded output that a step of this run changed though it is another's.

    Args:
        names: the steps whose outputs were in place when the run was over with them.
        began: when the run began, in seconds since 1970.
    """
    found = []
    windows = None
    for name in names:
        for path in _changed_since(session, name, began):
            if windows is None:
                windows = list(_windows(session, began))
            at = _written(session.root / path)
            others = sorted({other for other, start, end in windows if other != name and start <= at <= end})
            if others:
                who = " or ".join(f"'{other}'" for other in others[:3]) + (" or another step" if others[3:] else "")
                found.append(f"{who} changed '{path}', which '{name}' made: give each step outputs of its own")
    return found


def _changed_since(session: Session, name: str, began: float) -> Iterator[PurePosixPath]:
    """The outputs of a step that were written since a moment and are not as on record."""
    step = session.graph.steps[name]
    if name in session.graph.overlapping:
        return  # there several may write one path
    recent = [path for path in step.all_outputs if _may_be_written_since(session.root / path, began)]
    record = session.ledger.record(name) if recent else None
    made = {} if record is None else record.digests("outs")
    for path in recent:
        session.hasher.forget(str(path))
        try:
            digest = session.digest(path)
        except StoreError:  # what can't be hashed any more has been changed, too
            yield path
            continue
        if str(path) in made and digest is not None and digest.md5 != made[str(path)]:
            yield path


def _may_be_written_since(path: Path, began: float) -> bool:
    try:
        return path.is_dir() or path.stat().st_mtime >= began - SLACK_S
    except OSError:
        return False


def _written(path: Path) -> float:
    """When a file, or the newest in a folder, was written."""
    inner = (Path(folder) / name for folder, folders, files in os.walk(path) for name in (*folders, *files))
    return max((one.lstat().st_mtime for one in (path, *inner)), default=0.0)


def _windows(session: Session, began: float) -> Iterator[tuple[str, float, float]]:
    """(step, start, end) of what this run ran."""
    for record in newest_records(session.places.records):
        try:
            start = datetime.datetime.fromisoformat(str(record.get("started"))).timestamp()
        except ValueError:
            continue
        if start < began - SLACK_S:
            return
        if isinstance(record.get("seconds"), int | float) and record.get("profile") == session.project.profile:
            yield str(record.get("step")), start, start + record["seconds"] + SLACK_S
