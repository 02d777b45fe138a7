"""Entry of the `frostline` command: puts the verbs together and turns faulty command lines into our errors.

Loads typer and nothing heavier: a verb imports what it calls when it is called, so `--help` is quick everywhere.
Overrides (`--section.key value`) are told apart by the dot in their name and taken out before typer sees the line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from frostline.cli import apply, convert, debug, embed, evaluate, init, pretrain, train
from frostline.cli.options import CommandLine
from frostline.console import EXIT_INTERRUPTED, run_command
from frostline.errors import FrostlineError, UsageError, did_you_mean

app = typer.Typer(
    name="frostline",
    help="Train, evaluate and use NLP pipelines that share one transformer.\n\n"
    "A pipeline is described by a config file (`frostline init config`), trained on corpora that `frostline convert` "
    "made, and saved as a folder that the other commands read. Every command has its own `--help`.",
    epilog="First steps: `frostline init config my.cfg`, then `frostline train my.cfg --output training/mine`.",
    rich_markup_mode="markdown",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (train, evaluate, embed, pretrain, convert, apply):
    verb.add_to(app)
app.add_typer(init.app, name="init")
app.add_typer(debug.app, name="debug")

TAKE_OVERRIDES = ("train", "pretrain", "embed", "config", "fill-config", "model", "encoders")  # init's and debug's too

# Typer brings its own copy of click or uses the installed one, by version; its own exceptions lead to the base class.
_FaultyCommandLine: type[Exception] = typer.BadParameter.__mro__[2]


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    run_command(lambda: run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> None:
    """Run one command line.

    Raises:
        FrostlineError: whatever was wrong, with the command line or with what it asked for.
    """
    words, overrides = split_overrides(arguments)
    _refuse_empty(words)
    line = CommandLine(overrides=tuple(overrides))
    command = typer.main.get_command(app)
    try:
        code = command.main(args=words or ["--help"], prog_name="frostline", standalone_mode=False, obj=line)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _FaultyCommandLine as error:
        raise _as_usage_error(error, words) from None
    except (FrostlineError, BrokenPipeError):
        raise
    except Exception as error:
        fault = _fault_of_code(error)
        if fault is None:
            raise
        raise fault from error
    if code == EXIT_INTERRUPTED:  # what newer versions of typer make of Ctrl-C
        raise KeyboardInterrupt


def split_overrides(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command line without its overrides, and the overrides with their values."""
    words: list[str] = []
    overrides: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        if word == "--":
            return [*words, word, *rest], overrides
        if not (name.startswith("--") and "." in name):
            words.append(word)
            continue
        overrides.append(word)
        if not equals and rest and not rest[0].startswith("--"):
            overrides.append(rest.pop(0))
    return words, overrides


def _refuse_empty(words: Sequence[str]) -> None:
    """Raise UsageError for an empty word: as a path it would be the folder that the command was started in."""
    for number, word in enumerate(words):
        option = words[number - 1] if not word and number else word.removesuffix("=")
        if word and not (word.startswith("--") and word.endswith("=") and word.count("=") == 1):
            continue
        what = f"The value of {option} is empty." if option.startswith("-") else "An argument is empty."
        raise UsageError(what, fix="Give one; an unset variable of the shell leaves nothing there.")


def _fault_of_code(error: Exception) -> FrostlineError | None:
    """What to tell of an exception that the user's own code (`--code`) raised; None where that had no part in it."""
    if "frostline.config.user_code" not in sys.modules:  # so no code was imported
        return None
    from frostline.config.user_code import fault_of_code

    return fault_of_code(error)


def _as_usage_error(error: Exception, words: Sequence[str]) -> UsageError:
    """Typer's complaint in our words: one sentence, the nearest right word, where to read more."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "frostline"
    formatted = error.format_message() if hasattr(error, "format_message") else str(error)
    lines = formatted.splitlines() or [f"`{path}` needs a command."]
    message = lines[0].partition(" Did you mean")[0].partition(" (Possible options")[0].strip()
    near = [option for option in getattr(error, "possibilities", None) or () if option]
    known = getattr(context.command, "commands", {}) if context is not None else {}
    command = re.fullmatch(r"No such command '(.*)'\.?", message)
    option = re.fullmatch(r"No such option: --(\S+?)\.?", message)
    hint = f"Did you mean {near[0]}?" if near else ""
    if command and known:
        hint = did_you_mean(command[1], known)
    elif option and context is not None and context.info_name in TAKE_OVERRIDES:
        hint = _override_like(option[1], words, hint)
    fix = f"{hint} See `{path} --help`." if hint else f"See `{path} --help`."
    return UsageError(message if message.endswith(".") else f"{message}.", fix=fix)


def _override_like(name: str, words: Sequence[str], option: str) -> str:
    """What an unknown option was meant to be: an override that it is a part of, else `option`, else a like override."""
    from frostline.config import load_config
    from frostline.config.suggesting import exact_override, near_override

    data: Mapping[str, Any] = {}
    for file in (Path(word) for word in words if word.endswith(".cfg")):
        with suppress(FrostlineError):  # what is wrong with the config is not what was asked
            data = load_config(file, interpolated=False)
            break
    return exact_override(name, data) or option or near_override(name, data) or ""


__all__ = ["app", "main", "run", "split_overrides"]
