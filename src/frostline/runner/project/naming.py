"""Names of steps: which are none, and which two the ledger and the file system could not tell apart. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from frostline.runner.project.faults import Faults
from frostline.runner.project.spec import Place

Named = tuple[str, Place]  # a step's name, and where the command's stands


def plain_name(name: str) -> str:
    """A step's name as DVC and file systems take it: letters, digits, `_` and `-`. What the ledger knows it by."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def check_names(named: Iterable[Named], workflows: Iterable[str], faults: Faults) -> None:
    """Note names that are none, that two steps share, or that a workflow has."""
    first: dict[str, Named] = {}  # plain name -> the first step that has it
    taken = frozenset(workflows)
    for name, place in named:
        why, plain = _why_none(name), plain_name(name)
        if why is not None:
            faults.add(place, f"{name!r} is no name for a step: it {why}.", "Letters, digits, _ and - are safe.")
            continue
        if name in taken:
            faults.add(place, f"'{name}' is both a step and a workflow.", "Rename one of them.")
        if plain not in first:
            first[plain] = name, place
        elif first[plain][0] == name:
            faults.add(place, f"Two steps are named '{name}'.", "Name every axis of the matrix in it.")
        else:
            other, other_place = first[plain]
            both = f"The steps '{name}' and '{other}' ({faults.where(other_place)})"
            known = f"are both '{plain}' in the ledger, which knows letters, digits, _ and - only."
            faults.add(place, f"{both} {known}", "Rename one of them.")


def _why_none(name: str) -> str | None:
    """What keeps a word from being a step's name; None: it is one."""
    if name.startswith("-"):
        return "begins as an option does"
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        return "holds a control character"
    if name == "." or ".." in name.split("/"):
        return "is a path that leads elsewhere"
    return None
