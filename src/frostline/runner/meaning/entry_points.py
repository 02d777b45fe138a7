"""Find the Python files that a step's command lines start: `python scripts/x.py`, `python -m package.module`.

Pure: words in, entry points out; whether there is such a file is closure.py's business. Launchers in front of Python
(`time`, `uv run`, `env X=1`) are passed over; `torchrun x.py` and the like start a script of their own.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from frostline.runner.project.spec import Step

PYTHON = re.compile(r"(?:.*/)?(?:python|pypy)(?:\d[\d.]*)?(?:\.exe)?")
LAUNCHERS = frozenset((
    "torchrun", "torch.distributed.run", "torch.distributed.launch", "accelerate", "accelerate.commands.launch",
    "deepspeed", "coverage", "cProfile", "profile", "pdb", "trace", "debugpy", "kernprof", "streamlit", "ipython",
))  # fmt: skip
WITH_VALUE = frozenset("WX")  # options of Python that take one
ISOLATED = frozenset("IP")  # options that keep the script's folder off the search path
MAYBE = re.compile(r"python|pypy|\.py\b")
_SETTING = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_BETWEEN = frozenset("();<>|&")
_PLAIN = re.compile(r"[^\\'\"]*")


class EntryPoint(NamedTuple):
    """What Python is told to start. Paths are posix, relative to the project's folder ("" is that folder)."""

    kind: str  # "script", "module" or "code"
    target: str  # a path, a dotted name, or a program
    folders: tuple[str, ...]  # where modules are looked for, in this order


def entry_points(step: Step) -> Iterator[EntryPoint]:
    """The entry points of all lines of a step."""
    settings = dict(step.env_values)
    for line in step.script:
        if MAYBE.search(line):
            for words, folder in _commands(line, shell=step.shell):
                yield from _of_command(words, folder, settings)


def _commands(line: str, *, shell: bool) -> Iterator[tuple[list[str], str]]:
    """(words, working folder) of each command of a line; a shell's line may hold several."""
    if not shell:
        yield (line.split() if _PLAIN.fullmatch(line) else shlex.split(line)), ""
        return
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    folder = ""
    words: list[str] = []
    try:
        parts = list(lexer)
    except ValueError:
        return
    for part in [*parts, ";"]:
        if not _BETWEEN.issuperset(part):
            words.append(part)
            continue
        if words[:1] == ["cd"] and len(words) == 2:
            folder = _joined(folder, words[1])
        elif words:
            yield words, folder
        words = []


def _of_command(words: list[str], folder: str, settings: Mapping[str, str]) -> Iterator[EntryPoint]:
    """What one command starts."""
    found = dict(settings)
    for index, word in enumerate(words):
        if (setting := _SETTING.fullmatch(word)) is not None:
            found[setting[1]] = setting[2]
        elif PYTHON.fullmatch(word):
            yield from _of_python(words[index + 1 :], folder, _search_path(found, folder))
            return
        elif posixpath.basename(word) in LAUNCHERS or (index == 0 and word.endswith(".py")):
            yield from _script_among(words[index:], folder, _search_path(found, folder))
            return
    yield from _code_files(words, folder, _search_path(found, folder))


def _of_python(words: list[str], folder: str, search: tuple[str, ...]) -> Iterator[EntryPoint]:
    """What the words behind `python` start."""
    isolated = False
    pending = list(words)
    while pending:
        word = pending.pop(0)
        if not word.startswith("-") or word == "-":
            own = () if isolated else (posixpath.dirname(_joined(folder, word)),)
            yield EntryPoint("script", _joined(folder, word), own + search)
            return
        if word.startswith("--"):
            continue
        for index, letter in enumerate(word[1:], start=2):
            isolated |= letter in ISOLATED
            if letter in "mc":
                value = word[index:] or (pending.pop(0) if pending else "")
                own = () if isolated else (folder,)
                yield EntryPoint("module" if letter == "m" else "code", value, own + search)
                if letter == "m":
                    yield from _behind_module(value, pending, folder, own + search)
                return
            if letter in WITH_VALUE:
                if not word[index:] and pending:
                    pending.pop(0)
                break


def _behind_module(module: str, words: list[str], folder: str, search: tuple[str, ...]) -> Iterator[EntryPoint]:
    """`python -m torch.distributed.run train.py`, `python -m spacy train --code functions.py`."""
    if module in LAUNCHERS:
        yield from _script_among(words, folder, search)
    else:
        yield from _code_files(words, folder, search)


def _script_among(words: list[str], folder: str, search: tuple[str, ...]) -> Iterator[EntryPoint]:
    for word in words:
        if word.endswith(".py"):
            path = _joined(folder, word)
            yield EntryPoint("script", path, (posixpath.dirname(path), *search))
            return


def _code_files(words: list[str], folder: str, search: tuple[str, ...]) -> Iterator[EntryPoint]:
    """`--code FILE`: a file that a command line tool imports."""
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == "--code":
            value = value if equals else "".join(words[index + 1 : index + 2])
            for path in value.split(","):
                if path.endswith(".py"):
                    yield EntryPoint("script", _joined(folder, path), search)


def _search_path(settings: Mapping[str, str], folder: str) -> tuple[str, ...]:
    """The folders of PYTHONPATH, where the step sets it. The caller's own is not the project's."""
    value = settings.get("PYTHONPATH", "")
    return tuple(_joined(folder, part) for part in value.split(os.pathsep) if part)


def _joined(folder: str, path: str) -> str:
    joined = posixpath.normpath(posixpath.join(folder, path))
    return "" if joined == "." else joined
