"""Read the text of a config file: sections of `key = JSON` lines, Thinc's format, with the line of every key.

Two things are easier than in Thinc: parents of a section need no header of their own ([a.b.c] alone will do), and
"$" needs no doubling. Three are stricter, because Thinc would silently take the line for a string: JSON that is
broken, single quotes, and a comment behind a value. What references mean is interpolation.py's business.
"""

from __future__ import annotations

import configparser
import json
import re
from dataclasses import dataclass, field
from typing import Any

from frostline.config.arguments import Fault, shown

VARIABLE = re.compile(r"\$\{([^{}]*)\}")

_SECTION_LINE = re.compile(r"\[(?P<name>[^\]]+)\]")
_KEY_LINE = re.compile(r"(?P<key>[^\s#;\[][^=:]*?)\s*[=:]")
_LITERALS = {"True": True, "False": False, "None": None}


@dataclass(slots=True, kw_only=True)
class ParsedText:
    """What a config file says, before overlays, overrides and references."""

    data: dict[str, Any]  # nested; values with a ${reference} are still text
    origins: dict[str, str]  # config path -> "file:line", of sections and of keys
    faults: list[Fault] = field(default_factory=list)  # their paths stand in `origins`, or are "file:line" themselves


def parse_text(text: str, *, name: str) -> ParsedText:
    """Parse a config.

    Args:
        text: of the file.
        name: of the file, for places.
    """
    origins = _index_lines(text, name)
    parser = configparser.ConfigParser(interpolation=None, default_section="\0")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    parsed = ParsedText(data={}, origins=origins)
    try:
        parser.read_string(text, source=name)
    except (configparser.DuplicateSectionError, configparser.DuplicateOptionError) as error:
        what = f"The key '{error.option}'" if isinstance(error, configparser.DuplicateOptionError) else "The section"
        message = f"{what} stands in the file twice (section [{error.section}])."
        parsed.faults.append(Fault(path=f"{name}:{error.lineno}", message=message, fix="Keep one of them."))
        return parsed
    except configparser.MissingSectionHeaderError as error:
        message = f"This line stands before the first [section]: {error.line.strip()}"
        parsed.faults.append(Fault(path=f"{name}:{error.lineno}", message=message))
        return parsed
    except configparser.ParsingError as error:
        for number, _ in error.errors:
            line = text.splitlines()[number - 1].strip()
            message = f"This is neither a [section] nor a line 'key = value': {line}"
            parsed.faults.append(Fault(path=f"{name}:{number}", message=message))
        return parsed
    for section in sorted(parser.sections(), key=lambda section: section.count(".")):
        _add_section(parsed, section, parser[section])
    return parsed


def interpret(text: str) -> tuple[Any, str | None]:
    """The value that is written as `text`, and what is wrong with it (None: nothing)."""
    stripped = text.strip()
    try:
        value = json.loads(stripped)
    except ValueError:
        value = _LITERALS.get(stripped, stripped)
        complaint = None if VARIABLE.search(stripped) or stripped in _LITERALS else _complaint(stripped)
        return _without_doubling(value), complaint
    if isinstance(value, str) and VARIABLE.search(value):
        return stripped, None  # quoted: a text with references in it, whatever they refer to
    return _without_doubling(value), None


def _complaint(text: str) -> str | None:
    before, hash_sign, _ = text.partition(" #")
    if hash_sign and _is_json(before):
        return f"A comment can't follow a value: {text}. Put it on a line of its own."
    if text[:1] == "'" and text[-1:] == "'":
        return f"Strings take double quotes: write {shown(text[1:-1])} instead of {text}."
    if text[:1] in ('"', "[", "{"):
        return f"This is not valid JSON: {shown(text)}."
    return None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _without_doubling(value: Any) -> Any:
    """Thinc writes "$" as "$$"; both are read as "$"."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, list):
        return [_without_doubling(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_doubling(item) for key, item in value.items()}
    return value


def _add_section(parsed: ParsedText, section: str, values: configparser.SectionProxy) -> None:
    parts = section.split(".")
    if not all(parts) or section != section.strip():
        message = f"'{section}' is no name of a section."
        parsed.faults.append(Fault(path=section, message=message, fix="Write [a.b], without spaces and empty parts."))
        return
    node = parsed.data
    for depth, part in enumerate(parts, start=1):
        inner = node.setdefault(part, {})
        if not isinstance(inner, dict):
            path = ".".join(parts[:depth])
            message = f"'{part}' is a section here, but its parent gives it a value too."
            parsed.faults.append(Fault(path=path, message=message, fix="Keep one of them."))
            return
        node = inner
    for key, text in values.items():
        path = f"{section}.{key}"
        if key[:1] in "\"'":
            fix = f"Write {key.strip(chr(34) + chr(39))} = ..."
            parsed.faults.append(Fault(path=path, message=f"A key is written without quotes: {key}.", fix=fix))
            continue
        value, complaint = interpret(text)
        if complaint:
            parsed.faults.append(Fault(path=path, message=complaint))
        node[key] = value


def _index_lines(text: str, name: str) -> dict[str, str]:
    """Config path -> "file:line" of every section header and key; a parent without header has its first child's."""
    origins: dict[str, str] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        place = f"{name}:{number}"
        header = _SECTION_LINE.match(line)
        if header:
            section = header["name"]
            origins[section] = place
            parts = section.split(".")
            for depth in range(1, len(parts)):
                origins.setdefault(".".join(parts[:depth]), place)
            continue
        key = _KEY_LINE.match(line)
        if key and section:
            origins.setdefault(f"{section}.{key['key']}", place)
    return origins
