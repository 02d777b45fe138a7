"""Start a project in a folder: a commented project.yml, and what git and DVC are to leave alone.

Nothing that is there is overwritten. `project clone` brings a whole example instead.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from frostline.console import out, say, set_quiet
from frostline.errors import UsageError
from frostline.runner.furnishing.templates import BLANK, shipped_files, shipped_names, write_files
from frostline.runner.keeping.git_place import in_repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project init`."""
    parser.add_argument("folder", nargs="?", default=".", metavar="DIR", help="the project's folder (default: here)")
    parser.add_argument(
        "--template", metavar="NAME", default=BLANK, help=f"what to start from: {', '.join(shipped_names())}"
    )
    add_place_options(parser)


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """-C and -q, where there is no project yet."""
    parser.add_argument("-C", "--project", metavar="DIR", default=".", help="the folder to count from (default: here)")
    parser.add_argument("-q", "--quiet", action="store_true", help="print results and errors only")


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Write the template's files."""
    set_quiet(values.quiet)
    refuse_rest(rest, "init")
    dest = Path(values.project) / values.folder
    if dest.exists() and not dest.is_dir():
        raise UsageError(f"'{dest}' is no folder.", fix="Name a folder, or a new one.")
    for name in write_files(shipped_files(values.template), dest):
        out(str(Path(values.folder) / name))
    tell_next(dest, values.folder)


def refuse_rest(rest: list[str], verb: str) -> None:
    """Raises UsageError for words that are left over."""
    if rest:
        raise UsageError(f"Unknown argument '{rest[0]}'.", fix=f"See: project {verb} --help")


def tell_next(dest: Path, name: str) -> None:
    """Say what to do with a new project."""
    go = "" if name == "." else f"cd {name}; "
    has_git = in_repository(dest.resolve())
    say(f"next: {go}{'' if has_git else 'git init; '}project run all")
    if not has_git:
        say("  git keeps earlier states of it")
