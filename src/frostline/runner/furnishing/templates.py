"""Projects to start from: those that ship with frostline, and what a new folder gets of one.

In a template that ships, a name with a leading underscore stands for one with a dot (`_gitignore`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from frostline.errors import FrostlineError, UsageError, did_you_mean
from frostline.files import write_text_atomic
from frostline.runner.keeping import gitfiles
from frostline.runner.project.expand import expand
from frostline.runner.project.parse import PROJECT_FILE, read_spec

SHIPPED = Path(__file__).with_name("shipped")
BLANK = "blank"
LINES = (".gitignore", ".dvcignore")  # files of lines: what is missing is added
LEFT_OUT = frozenset({".git", ".hg", ".dvc", ".venv", "__pycache__", "node_modules"})


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """One file of a template."""

    source: Path
    name: str  # posix, in the new project


def shipped_names() -> list[str]:
    """The templates that ship."""
    return sorted(folder.name for folder in SHIPPED.iterdir() if (folder / PROJECT_FILE).is_file())


def shipped_files(name: str) -> list[TemplateFile]:
    """The files of a template that ships. Raises UsageError when there is none of that name."""
    names = shipped_names()
    if name not in names:
        raise UsageError(f"There is no template '{name}'.", fix=did_you_mean(name, names))
    return [
        TemplateFile(file, "/".join(_dotted(part) for part in file.relative_to(SHIPPED / name).parts))
        for file in sorted((SHIPPED / name).rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    ]


def _dotted(part: str) -> str:
    return "." + part[1:] if part.startswith("_") and not part.startswith("__") else part


def folder_files(folder: Path, *, name: str | None = None) -> list[TemplateFile]:
    """The files of a project on this machine: those of git where it is in git, else all but what its steps make.

    Args:
        name: what the folder is called in messages.
    Raises:
        UsageError: it is no project.
    """
    if not (folder / PROJECT_FILE).is_file():
        inner = sorted(file.parent.relative_to(folder).as_posix() for file in folder.glob(f"*/**/{PROJECT_FILE}"))
        fix = f"Projects in it: {', '.join(inner[:10])}." if inner else "Name the folder of a project."
        raise UsageError(f"'{name or folder}' has no {PROJECT_FILE}.", fix=fix)
    tracked = gitfiles.own_files(folder)
    if tracked is not None and PROJECT_FILE in tracked:
        return [TemplateFile(folder / name, name) for name in tracked if (folder / name).is_file()]
    made = _made_in(folder)
    return [one for one in _walk(folder) if made.isdisjoint((path := PurePosixPath(one.name), *path.parents))]


def _made_in(folder: Path) -> set[PurePosixPath]:
    """What the steps of a project make: it is made anew."""
    try:
        spec = read_spec(folder / PROJECT_FILE)
        projects = [expand(spec, profile=name) for name in spec.profiles or [spec.default_profile]]
    except FrostlineError:
        return set()
    return {path for project in projects for step in project.steps for path in (*step.all_outputs, *step.checkpoint)}


def _walk(folder: Path) -> Iterator[TemplateFile]:
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders if name not in LEFT_OUT and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            yield TemplateFile(here / name, (here / name).relative_to(folder).as_posix())


def write_files(files: list[TemplateFile], dest: Path) -> list[str]:
    """Put a template's files into a folder; the names of those written.

    What is there is never overwritten: lines that an ignore file lacks are added. Raises UsageError, with nothing
    written, when any other file is in the way.
    """
    in_the_way = [one.name for one in files if one.name not in LINES and os.path.lexists(dest / one.name)]
    if in_the_way:
        shown = ", ".join(in_the_way[:5]) + (" …" if len(in_the_way) > 5 else "")
        raise UsageError(f"In '{dest}' there is already: {shown}.", fix="Take another folder.")
    written = []
    for one in files:
        target = dest / one.name
        if one.name in LINES and target.exists():
            if not _add_lines(one.source, target):
                continue
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(one.source, target)
            shutil.copymode(one.source, target)
        written.append(one.name)
    return written


def _add_lines(source: Path, target: Path) -> bool:
    """Add the lines that are missing; whether there were any."""
    old = target.read_text(encoding="utf-8")
    missing = [line for line in source.read_text(encoding="utf-8").splitlines() if line not in old.splitlines()]
    if not [line for line in missing if line and not line.startswith("#")]:
        return False
    write_text_atomic(target, old + ("" if not old or old.endswith("\n") else "\n") + "\n".join(missing) + "\n")
    return True
