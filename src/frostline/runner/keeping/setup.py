"""Make a folder ready for a first run: `.dvc/` with DVC's defaults, `.dvcignore`, and the project's `directories`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from frostline.files import write_text_atomic
from frostline.runner.digests.ignores import IGNORE_FILE
from frostline.runner.keeping.git_place import in_repository

IGNORED = "# What Python leaves in a folder is no change of it.\n__pycache__/\n"
NO_SCM = "[core]\n    no_scm = true\n"


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
        write_text_atomic(config, "" if in_repository(root) else NO_SCM)
    (dvc / "tmp" / "frostline").mkdir(parents=True, exist_ok=True)
    return made


def drop_no_scm(root: Path) -> bool:
    """Let DVC use the git that came after `.dvc/` was made; whether that was new to it.

    A `.dvc/` that DVC made without git has no .gitignore: what its configuration says is its maker's wish, and stays.
    """
    config = root / ".dvc" / "config"
    if not in_repository(root) or not (root / ".dvc" / ".gitignore").is_file() or not config.is_file():
        return False
    old = config.read_text(encoding="utf-8")
    new = re.sub(r"^[ \t]*no_scm[ \t]*=[ \t]*true[ \t]*(\n|\Z)", "", old, flags=re.MULTILINE | re.IGNORECASE)
    if new == old:
        return False
    write_text_atomic(config, re.sub(r"^\[core\][ \t]*\n(?=\[|\Z)", "", new, flags=re.MULTILINE))
    return True
