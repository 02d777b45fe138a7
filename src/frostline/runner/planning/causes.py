"""Why a step runs: each cause as data, from which its sentence is made. Pure.

`project why`, `status`, `run --dry` and the records all show these, so they say the same in words and in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from frostline.runner.planning.word_diff import SHORT, first_difference, shortened

DIGITS = 8  # of a digest
Command = str | list[str]


class Kind(Enum):
    """What kind of cause it is."""

    FORCED = "forced"
    ALWAYS = "always"  # nothing that could be recorded makes the step up to date
    NEVER_RAN = "never ran"
    VARIABLE = "variable"
    COMMAND = "command"
    DEP = "dep"
    LINKS = "links"  # links to folders in a dep, which its digest says nothing of
    UPSTREAM = "upstream"  # a dep that a step before makes anew
    OUTPUT = "output"
    ENVIRONMENT = "environment"
    PACKAGE = "package"
    DECLARED = "declared"  # what the project file tells the step beside its command
    NEEDED = "needed"  # what it made is absent, and a step that runs reads it
    EQUIVALENT = "equivalent"  # no cause: a dep that changed in comments or layout only


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One difference between what is on record and today."""

    kind: Kind
    name: str = ""  # the path, variable or package that it is about
    old: Command | None = None  # a value, version, digest or command; None: there was none
    new: Command | None = None  # None: there is none
    steps: tuple[str, ...] = ()  # UPSTREAM: those that make the dep anew; NEEDED: the one that reads the output
    note: str = ""  # what else belongs into the sentence

    @property
    def is_certain(self) -> bool:
        """Whether it holds whatever the steps before make: a dep that is made anew may come out the same."""
        return self.kind not in (Kind.UPSTREAM, Kind.EQUIVALENT)

    def __str__(self) -> str:
        """The sentence, without a full stop."""
        return _SENTENCES[self.kind](self)

    def as_json(self) -> dict[str, Any]:
        """`kind`, `name`, `old`, `new`, `steps`; what says nothing is left out."""
        values: dict[str, Any] = {"kind": self.kind.value, "name": self.name, "steps": list(self.steps)}
        values = {key: value for key, value in values.items() if value}
        if self.kind in _WITH_VALUES:
            values |= {"old": self.old, "new": self.new}
        return values


_WITH_VALUES = (Kind.VARIABLE, Kind.COMMAND, Kind.DEP, Kind.LINKS, Kind.OUTPUT, Kind.PACKAGE, Kind.EQUIVALENT)


def _variable(cause: Cause) -> str:
    return f"vars.{cause.name} changed: {_short(cause.old)} → {_short(cause.new)}"


def _command(cause: Cause) -> str:
    difference = first_difference(lines_of(cause.old), lines_of(cause.new))
    return f"command changed: {difference}" if difference else "command changed"


def _dep(cause: Cause) -> str:
    if cause.new is None:
        return f"dep '{cause.name}' is missing"
    if cause.old is None:
        return f"dep '{cause.name}' is new"
    return f"dep '{cause.name}' changed: {_digest(cause.old)} → {_digest(cause.new)}"


def _links(cause: Cause) -> str:
    old, new = ({} if value is None else _targets(str(value)) for value in (cause.old, cause.new))
    if old is None or new is None:
        return f"links to folders in dep '{cause.name}' changed"
    name = next(name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name))
    return f"link '{cause.name}/{name}' changed: {old.get(name, 'not there')} → {new.get(name, 'not there')}"


def _targets(text: str) -> dict[str, str] | None:
    """Name -> target; None where only their digest is on record."""
    found: dict[str, str] | None = json.loads(text) if text.startswith("{") else None
    return found


def _upstream(cause: Cause) -> str:
    first, *others = cause.steps
    more = f" (and {len(others)} more steps make it)" if len(others) > 1 else f" (and '{others[0]}')" if others else ""
    return f"dep '{cause.name}' comes from '{first}', which {cause.note}{more}"


def _output(cause: Cause) -> str:
    if cause.old is None:
        return f"output '{cause.name}' is new"
    if cause.note:
        return f"output '{cause.name}' is not as the step left it: {cause.note.rstrip('.')}"
    if cause.new is None:
        return f"output '{cause.name}' is missing"
    return f"output '{cause.name}' is not as the step left it: {_digest(cause.old)} → {_digest(cause.new)}"


def _package(cause: Cause) -> str:
    return f"package {cause.name} changed: {cause.old or 'not on record'} → {cause.new or 'not installed'}"


_SENTENCES: dict[Kind, Callable[[Cause], str]] = {
    Kind.FORCED: lambda cause: "asked for by --force",
    Kind.ALWAYS: lambda cause: f"always runs: {cause.note}",
    Kind.NEVER_RAN: lambda cause: "never ran here",
    Kind.VARIABLE: _variable,
    Kind.COMMAND: _command,
    Kind.DEP: _dep,
    Kind.LINKS: _links,
    Kind.UPSTREAM: _upstream,
    Kind.OUTPUT: _output,
    Kind.ENVIRONMENT: lambda cause: f"environment variable {cause.name} changed",
    Kind.PACKAGE: _package,
    Kind.DECLARED: lambda cause: "what it is told in the project file changed",
    Kind.NEEDED: lambda cause: f"'{cause.steps[0]}' needs '{cause.name}', which is not here",
    Kind.EQUIVALENT: lambda cause: f"dep '{cause.name}' changed in comments or layout only",
}


def lines_of(command: Command | None) -> list[str]:
    """A command as DVC has it, line by line."""
    if command is None:
        return []
    return command.splitlines() if isinstance(command, str) else [line for one in command for line in one.splitlines()]


def is_shortened(cause: Cause) -> bool:
    """Whether the sentence does not show the values whole."""
    if cause.kind is not Kind.VARIABLE:
        return False
    return any(len(str(value)) > SHORT for value in (cause.old, cause.new))


def _short(value: Command | None) -> str:
    return shortened("nothing" if value is None else str(value))


def _digest(value: Command) -> str:
    return str(value)[:DIGITS]
