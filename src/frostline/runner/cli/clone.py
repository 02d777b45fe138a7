"""Start from another project: a template that ships, a folder, or a git repository (or a folder in one).

Files alone are copied: no history, no environments, no store. Nothing that is there is overwritten.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from frostline.console import say, set_quiet
from frostline.errors import UsageError, did_you_mean
from frostline.files import new_directory, remove_tree
from frostline.runner.cli.init import add_place_options, refuse_rest, tell_next
from frostline.runner.cli.tables import count
from frostline.runner.furnishing.repositories import address_of, bring
from frostline.runner.furnishing.templates import TemplateFile, folder_files, shipped_files, shipped_names, write_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project clone`."""
    parser.add_argument(
        "template", metavar="TEMPLATE",
        help=f"{', '.join(shipped_names())}; a folder; an address that git knows, or OWNER/NAME on GitHub",
    )  # fmt: skip
    parser.add_argument("dest", nargs="?", metavar="DEST", help="the new folder (default: the template's name)")
    parser.add_argument("-b", "--branch", metavar="REF", help="branch, tag or commit of the repository")
    parser.add_argument("--path", metavar="PATH", default="", help="the project's folder in the repository")
    add_place_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Find the template, and copy it."""
    set_quiet(values.quiet)
    refuse_rest(rest, "clone")
    here = Path(values.project)
    name = values.dest or _name_of(values.path or values.template)
    dest = here / name
    if dest.is_file() or (dest.is_dir() and any(dest.iterdir())):
        raise UsageError(f"'{name}' is there already.", fix="Name another folder: project clone TEMPLATE FOLDER")
    word, folder = values.template, here / values.template
    is_repository = bool(values.branch or values.path) or "://" in word or word.endswith(".git")
    if not is_repository and word in shipped_names():
        n_files = _write(shipped_files(word), dest)
    elif not is_repository and folder.is_dir():
        n_files = _write(folder_files(folder), dest)
    else:
        n_files = _from_repository(_address(word, folder), dest, values)
    say(f"{count(n_files, 'file')} in {name}")
    tell_next(dest, name)


def _name_of(word: str) -> str:
    """The last part of an address or a path, as a folder's name."""
    name = word.rstrip("/").replace(":", "/").rsplit("/", 1)[-1].removesuffix(".git")
    if name in ("", ".", ".."):
        raise UsageError(f"'{word}' names no new folder.", fix="Name one: project clone TEMPLATE FOLDER")
    return name


def _address(word: str, folder: Path) -> str:
    if folder.is_dir():
        return str(folder.resolve())
    address = address_of(word)
    if address is None:
        raise UsageError(f"There is no template or folder '{word}'.", fix=did_you_mean(word, shipped_names()))
    return address


def _from_repository(address: str, dest: Path, values: argparse.Namespace) -> int:
    say(f"from {address}")
    work = dest.with_name(f".{dest.name}.{os.getpid()}.clone")
    try:
        found = bring(address, work, os.environ, ref=values.branch, path=values.path)
        return _write(folder_files(found, name=values.path or address), dest)
    finally:
        remove_tree(work)


def _write(files: list[TemplateFile], dest: Path) -> int:
    """The whole project appears at once, or nothing does."""
    with new_directory(dest) as folder:
        return len(write_files(files, folder))
