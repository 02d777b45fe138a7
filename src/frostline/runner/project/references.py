"""Fill in `${vars.x}`, `${matrix.x}`, `${profile}`; leave `${env.X}` standing, under the variable's own name.

Pure. `$$` writes a literal `$`; in a shell line, where `$$` is the shell's own, only `$${` does. What a reference
names is looked up in a Scope, which also notes what was used, so that a step depends on the variables it mentions and
on no others.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from frostline.runner.project.faults import Faults
from frostline.runner.project.spec import Place

REFERENCE = re.compile(r"\$\{([^{}\n]*)\}")
UNCLOSED = r"(\$\{\s*(?:vars|env|matrix|profile)\b[^{}\n]*)"  # where REFERENCE does not match
SPECIAL = re.compile(rf"(\$\$)|{REFERENCE.pattern}|{UNCLOSED}")
SPECIAL_IN_SHELL = re.compile(rf"(\$\$(?=\{{))|{REFERENCE.pattern}|{UNCLOSED}")
ENV_REFERENCE = re.compile(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}")
_MARKED = re.compile("\0([A-Za-z_][A-Za-z0-9_]*)\1")  # a bare reference, for the time of a split
PLAIN_LINE = re.compile(r"[A-Za-z0-9_@%+=:,./ -]*")  # the characters that shlex.quote leaves alone, and blanks
KINDS = ("vars", "env", "matrix", "profile")
MAX_DEPTH = 20


class Scope:
    """What references may name: variables, environment names, one cell of a matrix, the profile.

    Args:
        faults: where unknown references go.
        variables: the values of `vars`, profile and overrides already merged in.
        env: name in `${env.NAME}` -> environment variable.
        profile: the selected profile's name.
        cell: axis -> value, of the matrix cell that is filled in.
        included: the keys that entries of the matrix's `include` give to cells, this one or others.
        seen: takes the name of every variable that is looked up.
    """

    def __init__(
        self,
        faults: Faults,
        *,
        variables: Mapping[str, Any],
        env: Mapping[str, str],
        profile: str,
        cell: dict[str, Any] | None = None,
        included: Iterable[str] = (),
        seen: set[str] | None = None,
    ) -> None:
        self.faults = faults
        self.variables = variables
        self.env = env
        self.profile = profile
        self.cell = cell
        self.included = included
        self.seen = set() if seen is None else seen
        self.used: dict[str, str] = {}  # variable -> its value as text
        self.uses_profile = False

    def text(self, text: str, place: Place, *, shell: bool = False) -> str:
        """`text` with its references filled in. In a shell line, `${HOME}` is the shell's own affair."""
        return self._fill(text, place, shell=shell, depth=0)

    def value(self, value: Any, place: Place) -> Any:
        """Like `text`, but a text that is nothing but one reference keeps the type of what it names."""
        if not isinstance(value, str):
            return value
        match = REFERENCE.fullmatch(value)
        if match is None or match[1].startswith("env."):
            return self.text(value, place)
        found = self._lookup(match[1].strip(), place, depth=0, raw=True)
        return value if found is None else found

    def _fill(self, text: str, place: Place, *, shell: bool, depth: int) -> str:
        if "$" not in text:
            return str(text)

        def replacement(match: re.Match[str]) -> str:
            if match[1]:
                return "$"
            if match[3]:
                self.faults.add(place, f"The reference '{match[3].strip()}' is not closed.", "Write a } at its end.")
                return match[0]
            name = match[2].strip()
            if shell and re.split(r"[.:]", name)[0] not in KINDS:
                return match[0]
            found = self._lookup(name, place, depth=depth)
            return match[0] if found is None else str(found)

        return (SPECIAL_IN_SHELL if shell else SPECIAL).sub(replacement, text)

    def _lookup(self, name: str, place: Place, *, depth: int, raw: bool = False) -> Any:
        """What a reference names, as text unless `raw`; None when it is a fault, which is noted."""
        kind, _, rest = name.replace(":", ".", 1).partition(".")
        if depth > MAX_DEPTH:
            self.faults.add(place, f"'${{{name}}}' refers to itself.")
        elif name == "profile":
            self.uses_profile = True
            return self.profile
        elif kind == "vars":
            return self._variable(rest, place, depth=depth, raw=raw)
        elif kind == "matrix":
            return self._axis(rest, place, depth=depth, raw=raw)
        elif kind == "env":
            return self._env(rest, place)
        else:
            known = [*(f"vars.{name}" for name in self.variables), *(f"env.{name}" for name in self.env)]
            known += ["profile", *(f"matrix.{axis}" for axis in self.cell or ())]
            self.faults.unknown(place, "reference", name, known)
        return None

    def _variable(self, path: str, place: Place, *, depth: int, raw: bool) -> Any:
        value: Any = self.variables
        if not path.strip(". "):
            self.faults.add(place, "'${vars}' names no variable.", "Write ${vars.NAME}.")
            return None
        self.seen.add(path)
        for part in path.split("."):
            if not isinstance(value, Mapping) or part not in value:
                known = self.variables if value is self.variables else (value if isinstance(value, Mapping) else ())
                self.faults.unknown(place, "variable", path, known)
                return None
            value = value[part]
        value = self._deep(value, place, depth + 1)
        self.used[path] = as_text(value)
        return value if raw else as_text(value)

    def _axis(self, axis: str, place: Place, *, depth: int, raw: bool) -> Any:
        if self.cell is None:
            self.faults.add(place, f"'${{matrix.{axis}}}' stands in a command without a matrix.")
        elif axis not in self.cell and axis in self.included:
            shown = ", ".join(f"{key}: {as_text(value)}" for key, value in self.cell.items())
            self.faults.add(
                place,
                f"The cell {shown} has no '{axis}'.",
                "'include' gives it to other cells only: is a value misspelt, or an entry missing?",
            )
        elif axis not in self.cell:
            self.faults.unknown(place, "axis of the matrix", axis, self.cell)
        else:
            value = self._deep(self.cell[axis], place, depth + 1)
            return value if raw else as_text(value)
        return None

    def _deep(self, value: Any, place: Place, depth: int) -> Any:
        """A value with the references in its texts filled in, however deep they lie."""
        if isinstance(value, str):
            return self._fill(value, place, shell=False, depth=depth)
        if isinstance(value, list):
            return [self._deep(item, place, depth) for item in value]
        if isinstance(value, dict):
            return {str(key): self._deep(item, place, depth) for key, item in value.items()}
        return value

    def _env(self, name: str, place: Place) -> str | None:
        if name not in self.env:
            self.faults.unknown(place, "environment variable", name, self.env)
            return None
        return f"${{env.{self.env[name]}}}"


def as_text(value: Any) -> str:
    """A variable's value inside a text: strings as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def env_names(text: str) -> tuple[str, ...]:
    """The environment variables that a filled-in text still refers to."""
    return tuple(dict.fromkeys(ENV_REFERENCE.findall(text)))


def with_env(text: str, environ: Mapping[str, str]) -> str:
    """`text` with the values of environment variables put in; unset ones are empty."""
    return ENV_REFERENCE.sub(lambda match: environ.get(match[1], ""), text)


def words(line: str, environ: Mapping[str, str], *, as_weasel: bool = False) -> list[str]:
    """Split a command line without a shell, then put in environment values.

    A reference that stands alone is split at blanks and vanishes when empty, as an unquoted shell variable does; inside
    a word or quotes its value stays whole. As weasel does it, values are put in first: blanks and quotes in them count
    like those of the line. Raises ValueError when a quote is not closed.
    """
    if as_weasel:
        return shlex.split(ENV_REFERENCE.sub(lambda match: _weasels_value(environ.get(match[1], "")), line))
    parts: list[str] = []
    for word in shlex.split(_mark_bare(line)):
        name = _MARKED.fullmatch(word)
        if name is not None:
            parts += environ.get(name[1], "").split()
        else:
            parts.append(_MARKED.sub(lambda match: environ.get(match[1], ""), with_env(word, environ)))
    return parts


def _weasels_value(value: str) -> str:
    """A value as weasel puts it into a line, JSON's quotes taken off.

    A backslash stays what it is, and 007 too: weasel makes an escape of the one and 7 of the other.
    """
    if len(value) > 1 and value[0] == value[-1] == '"':
        with contextlib.suppress(ValueError):
            value = str(json.loads(value))
    return value.replace("\\", "\\\\")


def is_plain(line: str) -> bool:
    """Whether a line holds blanks and words that no shell reads in a way of its own: nothing quoted, no reference."""
    return PLAIN_LINE.fullmatch(line) is not None


def shell_line(line: str, *, shell: bool, as_weasel: bool = False) -> str:
    """The same command for a shell, environment references as `$X`: what dvc.yaml gets."""
    if shell:
        return ENV_REFERENCE.sub(lambda match: f"${{{match[1]}}}", line)
    if is_plain(line):
        return " ".join(line.split())
    return " ".join(_for_shell(word, as_weasel=as_weasel) for word in shlex.split(_mark_bare(line)))


def _for_shell(word: str, *, as_weasel: bool) -> str:
    """One word of a line whose bare references are marked: those that a value may fall apart in stay without quotes."""
    alone = _MARKED.fullmatch(word)
    if alone is not None:
        return f"${alone[1]}"
    if not as_weasel:
        return shell_word(_MARKED.sub(r"${env.\1}", word))
    pieces = _MARKED.split(word)
    return "".join(f"${{{piece}}}" if index % 2 else piece and shell_word(piece) for index, piece in enumerate(pieces))


def shell_word(word: str) -> str:
    """One word, quoted for a shell, environment references as `"$X"`."""
    pieces = ENV_REFERENCE.split(word)
    quoted = [
        f'"${piece}"' if index % 2 else (shlex.quote(piece) if piece else "") for index, piece in enumerate(pieces)
    ]
    return "".join(quoted) or "''"


def _mark_bare(line: str) -> str:
    """A line with the environment references marked that stand outside of quotes."""
    parts: list[str] = []
    at, quote = 0, ""
    while at < len(line):
        letter, found = line[at], None if quote else ENV_REFERENCE.match(line, at)
        if found is not None:
            parts.append(f"\0{found[1]}\1")
            at = found.end()
            continue
        step = 2 if letter == "\\" and quote != "'" else 1
        if step == 1 and letter == quote:
            quote = ""
        elif step == 1 and letter in "'\"" and not quote:
            quote = letter
        parts.append(line[at : at + step])
        at += step
    return "".join(parts)
