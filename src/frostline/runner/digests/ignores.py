"""Which files of a folder don't count: `.dvcignore`, in gitignore's syntax, as DVC reads it.

Pure but for reading those files. `.git`, `.hg` and `.dvc` never count; `.gitignore` is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

IGNORE_FILE = ".dvcignore"
ALWAYS = frozenset({".git", ".hg", ".dvc"})


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of an ignore file."""

    regex: re.Pattern[str]  # matches a path, or one inside a folder that it names; a folder ends in "/"
    negated: bool
    name: str | None = None  # regular expression for a bare name, of a pattern that holds at every depth
    folders_only: bool = False


@dataclass(frozen=True, slots=True)
class Ignores:
    """Patterns of a folder and of the folders above it; the last match decides."""

    levels: tuple[tuple[str, tuple[Pattern, ...]], ...] = ()  # (folder relative to the root, its patterns)

    def hides(self, path: str, *, is_directory: bool) -> bool:
        """Whether `path` (posix, relative to the root) doesn't count."""
        if path.rsplit("/", 1)[-1] in ALWAYS:
            return True
        hidden = False
        for folder, patterns in self.levels:
            inner = path[len(folder) + 1 :] if folder else path
            for pattern in patterns:
                if pattern.regex.match(inner + "/" if is_directory else inner):
                    hidden = not pattern.negated
        return hidden

    def matcher(self, folder: str) -> Callable[[str, bool], bool]:
        """(name, is_directory) -> whether that entry of `folder` ("" for the root) doesn't count.

        For a walk from the top, whose folders were asked about before. It costs one match a name where no pattern
        says `!`, since then a name is all that most patterns look at.
        """
        prefix = f"{folder}/" if folder else ""
        if not self.levels:
            return lambda name, is_directory: name in ALWAYS
        patterns = [pattern for _, level in self.levels for pattern in level]
        if any(pattern.negated for pattern in patterns):
            return lambda name, is_directory: self.hides(prefix + name, is_directory=is_directory)
        above = Ignores(tuple(level for level in self.levels if level[0] != folder))
        if folder and above.hides(folder, is_directory=True):
            return lambda name, is_directory: True
        files = _any_name(pattern for pattern in patterns if not pattern.folders_only)
        folders = _any_name(patterns)
        anchored = Ignores(
            tuple((where, kept) for where, level in self.levels if (kept := tuple(p for p in level if p.name is None)))
        )

        def hides(name: str, is_directory: bool) -> bool:
            if (folders if is_directory else files).fullmatch(name) or name in ALWAYS:
                return True
            return bool(anchored.levels) and anchored.hides(prefix + name, is_directory=is_directory)

        return hides

    def entering(self, root: Path, folder: str) -> Ignores:
        """With the patterns of one more folder, where it has any."""
        patterns = _patterns_of(root / folder / IGNORE_FILE)
        return Ignores((*self.levels, ("" if folder == "." else folder, patterns))) if patterns else self


def _any_name(patterns: Iterable[Pattern]) -> re.Pattern[str]:
    names = tuple(dict.fromkeys(pattern.name for pattern in patterns if pattern.name is not None))
    return _compile_names(names)


@lru_cache(maxsize=1024)
def _compile_names(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{name})" for name in names) if names else r"(?!)", re.DOTALL)


def is_hidden(root: Path, path: str) -> bool:
    """Whether a file of the project (posix, relative to the root), or a folder above it, doesn't count."""
    parts = path.split("/")
    ignores = Ignores().entering(root, ".")
    for index in range(1, len(parts)):
        folder = "/".join(parts[:index])
        if ignores.hides(folder, is_directory=True):
            return True
        ignores = ignores.entering(root, folder)
    return ignores.hides(path, is_directory=False)


def ignores_above(root: Path, path: str) -> Ignores:
    """The patterns that hold for what lies in `path`, its own file left out."""
    ignores = Ignores().entering(root, ".")
    parts = path.split("/")
    for index in range(1, len(parts)):
        ignores = ignores.entering(root, "/".join(parts[:index]))
    return ignores


def _patterns_of(file: Path) -> tuple[Pattern, ...]:
    try:
        stat = file.stat()
    except OSError:
        return ()
    return _read(file, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1024)
def _read(file: Path, mtime_ns: int, n_bytes: int) -> tuple[Pattern, ...]:
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return tuple(pattern for pattern in map(compile_line, lines) if pattern is not None)


def compile_line(line: str) -> Pattern | None:
    """A line of an ignore file as a pattern; None for blanks and comments."""
    if not line.strip() or line.startswith("#"):
        return None
    line = re.sub(r"(?<!\\)[ \t]+$", "", line.rstrip("\r\n"))
    negated = line.startswith("!")
    line = line[1:] if negated or line[:2] in (r"\#", r"\!") else line
    directories_only = line.endswith("/")
    body = re.sub(r"(^|/)\*\*(/\*\*)+(?=/|$)", r"\1**", line.rstrip("/") if directories_only else line)
    if body.removeprefix("/").endswith("/**"):
        directories_only = False  # what lies below a folder is meant, files too: so DVC's matcher has it
    anchored = "/" in body
    body = body.removeprefix("/")
    if not body:
        return None
    start = "" if anchored else "(?:.*/)?"
    end = "/.*" if directories_only else "(?:/.*)?"
    glob = _translate(body)
    regex = re.compile(f"{start}{glob}{end}$", re.DOTALL)
    return Pattern(regex, negated, None if anchored else glob, directories_only)


def _translate(body: str) -> str:
    """A glob as a regular expression: `*` and `?` stop at a slash, `**` between slashes does not."""
    result = ""
    index = 0
    while index < len(body):
        rest = body[index:]
        if rest.startswith("**/") and (index == 0 or body[index - 1] == "/"):
            result += "(?:.*/)?"
            index += 3
        elif rest == "**" and index > 0 and body[index - 1] == "/":
            result += ".*"
            index += 2
        elif rest[0] == "*":
            stands_alone = (index == 0 or body[index - 1] == "/") and rest.lstrip("*")[:1] in ("", "/")
            result += "[^/]+" if stands_alone else "[^/]*"
            index += len(rest) - len(rest.lstrip("*"))
        elif rest[0] == "?":
            result += "[^/]"
            index += 1
        elif rest[0] == "[" and (match := re.match(r"\[([!^]?)(\]?[^\]]*)\]", rest)):
            inner = match[2].replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
            result += f"[{'^' if match[1] else ''}{inner}]"
            index += match.end()
        elif rest[0] == "\\" and len(rest) > 1:
            result += re.escape(rest[1])
            index += 2
        else:
            result += re.escape(rest[0])
            index += 1
    return result
