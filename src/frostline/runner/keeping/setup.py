"""Make a folder ready for a first run: `.dvc/` with DVC's defaults, `.dvcignore`, and the project's `directories`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from frostline.files import write_text_atomic
from frostline.runner.digests.ignores import IGNORE_FILE
from frostline.runner.keeping.gitfiles import in_repository

IGNORED = "# What Python leaves in a folder is no change of it.\n__pycache__/\n"


def prepare(root: Path, directories: Iterable[PurePosixPath]) -> bool:
    """Make what is missing; whether `.dvc/` was made."""
    for folder in directories:
        (root / folder).mkdir(parents=True, exist_ok=True)
    return prepare_dvc(root)


def prepare_dvc(root: Path) -> bool:
    """Make `.dvc/`, ignored by git where it is local; whether it was made. Ends what was begun and cut off."""
    dvc = root / ".dvc"
    config = dvc / "config"
    made = not config.is_file()
    if made:
        dvc.mkdir(exist_ok=True)
        write_text_atomic(dvc / ".gitignore", "/config.local\n/tmp\n/cache\n")
        if not (root / IGNORE_FILE).exists():
            write_text_atomic(root / IGNORE_FILE, IGNORED)
        write_text_atomic(config, "" if in_repository(root) else "[core]\n    no_scm = true\n")
    (dvc / "tmp" / "frostline").mkdir(parents=True, exist_ok=True)
    return made
