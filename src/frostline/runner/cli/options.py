"""Options that verbs share: the project's folder, profile and overrides, and how they open a session."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from frostline.console import out, set_quiet
from frostline.errors import UsageError, nearest
from frostline.runner.project.yaml_places import YamlError, load_plain
from frostline.runner.session import Session

# The options that every verb has, and whether the next word is their value.
COMMON = {"-C": True, "--project": True, "--profile": True, "--set": True, "-q": False, "--quiet": False}
ABOUT_PROJECT = ("-h", "--help", "-V", "--version")  # options that stand in the place of a verb
OVERRIDES_VARIABLE = "WEASEL_CONFIG_OVERRIDES"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours: a message, a fix, exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of leaving the process."""
        raise UsageError(message[:1].upper() + message[1:] + ".", fix=f"See: {self.prog} --help")


def show_help(text: str) -> None:
    """Print a help text."""
    out(text)


def add_project_options(parser: argparse.ArgumentParser, *, overrides: bool = True) -> None:
    """--project, --profile, --set, --quiet."""
    group = parser.add_argument_group("project")
    group.add_argument(
        "-C", "--project", metavar="DIR", default=".", help="the project's folder (default: here, or above)"
    )
    group.add_argument("--profile", metavar="P", help="profile to take (default: the first of project.yml)")
    if overrides:
        group.add_argument(
            "--set", metavar="vars.X=V", action="append", default=[], dest="settings",
            help="give a variable another value for this call; may be repeated (weasel's --vars.X V works too)",
        )  # fmt: skip
    group.add_argument("-q", "--quiet", action="store_true", help="print results and errors only")


def add_strict(parser: argparse.ArgumentParser) -> None:
    """--strict."""
    parser.add_argument(
        "--strict", action="store_true", help="let edits of comments, docstrings and layout count as changes"
    )


def verb_first(words: Sequence[str]) -> list[str]:
    """`-C DIR run all` as `run -C DIR all`: options that every verb has may stand before it, as with git and make.

    Without a verb the options stay in front. Raises UsageError for an option that only a verb can have.
    """
    leading: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] not in ABOUT_PROJECT:
        word = rest.pop(0)
        leading.append(word)
        if _takes_next(word):
            if not rest:
                raise UsageError(f"'{word}' has no value.", fix=f"Write {word} VALUE.")
            leading.append(rest.pop(0))
    if rest and rest[0] in ABOUT_PROJECT:
        return rest
    return [*rest[:1], *leading, *rest[1:]]


def _takes_next(word: str) -> bool:
    """Whether the value of an option before the verb is the next word. Raises UsageError for one of a verb's own."""
    name, equals, _ = word.partition("=")
    if name in COMMON:
        return COMMON[name] and not equals
    if name.startswith(("--vars.", "--env.")):
        return not equals
    if name.startswith("-C"):
        return False
    near = nearest(name, [option for option in COMMON if option.startswith("--")]) if name.startswith("--") else None
    raise UsageError(
        f"'project' itself has no option '{name}'.",
        fix=f"Did you mean '{near}'?" if near else f"Options of a verb stand after it: project VERB {name}.",
    )


def take_overrides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(the other words, `--vars.x=v` and `--env.X=v`): argparse would take values that stand apart for names."""
    own: list[str] = []
    overrides: list[str] = []
    pending = list(words)
    while pending:
        word = pending.pop(0)
        if word.startswith(("--vars.", "--env.")):
            if "=" in word:
                overrides.append(word)
            elif pending and not pending[0].startswith("--"):
                overrides.append(f"{word}={pending.pop(0)}")
            else:  # a switch, as weasel takes it
                overrides.append(f"{word}=true")
        else:
            own.append(word)
    return own, overrides


def open_session(values: argparse.Namespace, rest: Sequence[str]) -> Session:
    """The session that the shared options ask for. Raises UsageError for what is left over."""
    set_quiet(values.quiet)
    overrides, environ = _overrides(getattr(values, "settings", []), rest, values)
    return Session(
        _folder(values.project),
        profile=values.profile,
        overrides=overrides,
        environ={**os.environ, **environ},
        strict=getattr(values, "strict", False),
    )


def _folder(name: str) -> Path:
    """The folder that -C names. One that is not there is not looked for further up."""
    folder = Path(name)
    if not folder.is_dir():
        raise UsageError(
            f"'{name}' is no folder." if folder.exists() else f"There is no folder '{name}'.",
            fix="-C takes the folder that has the project.yml, or one below it.",
        )
    return folder


def _overrides(
    settings: Sequence[str], rest: Sequence[str], values: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, str]]:
    """(variables, environment) from `--set vars.x=v`, `--vars.x=v` and `--env.X=v`, the later ones winning."""
    given = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"'--set {setting}' has no value.", fix="Write --set vars.NAME=VALUE.")
        given.append((name, value, _value(value)))
    for word in [*rest, *_weasels_words()]:
        if not word.startswith(("--vars.", "--env.")):
            raise _unknown(word, values)
        name, _, value = word[2:].partition("=")
        given.append((name, value, _json_value(value)))
    variables: dict[str, Any] = {}
    environ: dict[str, str] = {}
    for name, text, typed in given:
        kind, _, key = name.partition(".")
        if kind == "env" and key:
            environ[key] = text
        elif kind == "vars" and key:
            variables[key] = typed
        else:
            raise UsageError(f"'{name}' names no variable.", fix="Write --set vars.NAME=VALUE.")
    return variables, environ


def _weasels_words() -> list[str]:
    """The overrides in the variable that weasel reads them from; there they win over the command line."""
    text = os.environ.get(OVERRIDES_VARIABLE, "")
    if not text.strip():
        return []
    import shlex

    try:
        others, overrides = take_overrides(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{OVERRIDES_VARIABLE} can't be split into words: {error}.") from error
    if others:
        raise UsageError(f"{OVERRIDES_VARIABLE} holds '{others[0]}'.", fix="Write it as --vars.NAME VALUE.")
    return overrides


def _unknown(word: str, values: argparse.Namespace) -> UsageError:
    """The error for a word that no option of the verb takes."""
    if word.partition("=")[0] in COMMON:
        return UsageError(f"This verb takes no '{word}'.", fix="Leave it out, or see --help.")
    if not word.startswith("--"):
        return UsageError(f"Unknown argument '{word}'.", fix="See --help.")
    own = [name.replace("_", "-") for name in vars(values) if name != "settings"] + ["set", "help"]
    near = nearest(word.partition("=")[0].lstrip("-"), own)  # the dashes are alike in all of them
    return UsageError(f"Unknown argument '{word}'.", fix=f"Did you mean '--{near}'?" if near else "See --help.")


def _json_value(text: str) -> Any:
    """A value as weasel reads it: JSON; what is no JSON is text."""
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


def _value(text: str) -> Any:
    """A value as YAML reads it; what is no YAML is text."""
    try:
        value = load_plain(text)
    except YamlError:
        return text
    return text if value is None and text.strip() not in ("null", "~", "Null", "NULL") else value
