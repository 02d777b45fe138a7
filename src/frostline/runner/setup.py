"""Make a folder ready for a first run: `.dvc/` with DVC's defaults, and the project's own `directories`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from frostline.files import write_text_atomic
from frostline.runner.gitfiles import in_repository


def prepare(root: Path, directories: Iterable[PurePosixPath]) -> bool:
    """Make what is missing; whether `.dvc/` was made."""
    for folder in directories:
        (root / folder).mkdir(parents=True, exist_ok=True)
    return prepare_dvc(root)


def prepare_dvc(root: Path) -> bool:
    """Make `.dvc/`, ignored by git where it is local; whether it was made."""
    dvc = root / ".dvc"
    made = not dvc.is_dir()
    if made:
        dvc.mkdir(exist_ok=True)
        write_text_atomic(dvc / ".gitignore", "/config.local\n/tmp\n/cache\n")
        write_text_atomic(dvc / "config", "" if in_repository(root) else "[core]\n    no_scm = true\n")
    (dvc / "tmp" / "frostline").mkdir(parents=True, exist_ok=True)
    return made
