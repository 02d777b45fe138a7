"""Write a config as text with a comment on what each section and key means.

The words come from where the code has them: descriptions in schemas.py, and docstrings of registered functions, in
which lines such as `window, stride: in pieces.` speak of parameters.
"""

from __future__ import annotations

import inspect
import itertools
import json
import re
import textwrap
import typing
from collections.abc import Callable, Iterator
from typing import Any

from frostline.config.arguments import join
from frostline.config.registry import registry
from frostline.config.schemas import ConfigSections, Section
from frostline.config.text import VARIABLE
from frostline.errors import ConfigError

WIDTH = 110


def commented(config: dict[str, Any]) -> str:
    """The text of a config; `load_config` reads the same config back."""
    return "\n".join(_section_lines(config, "", ConfigSections)).strip() + "\n"


def _section_lines(section: dict[str, Any], path: str, schema: type[Section] | None) -> Iterator[str]:
    values = {key: value for key, value in section.items() if not isinstance(value, dict)}
    function = _function_of(section)
    notes = _notes(function) if function is not None else {}
    if path and (values or not section):
        yield from ("", f"[{path}]")
    for key, value in values.items():
        field = schema.model_fields.get(key) if schema else None
        note = field.description if field is not None else notes.get(key)
        if note and not key.startswith("@"):
            yield from _comment(note)
        yield f"{key} = {_written(value)}"
    for key, value in section.items():
        if not isinstance(value, dict):
            continue
        field = schema.model_fields.get(key) if schema else None
        inner = next((part for part in _types(field.annotation) if _is_schema(part)), None) if field else None
        lines = list(_section_lines(value, join(path, key), inner))
        note = (field.description if field else None) or _summary(_function_of(value)) or notes.get(key)
        if lines and note:
            yield from ("", *_comment(note), *(lines[1:] if lines[0] == "" else lines))
        else:
            yield from lines


def _function_of(section: dict[str, Any]) -> Callable[..., Any] | None:
    try:
        if isinstance(section.get("factory"), str):
            return registry.components.get(section["factory"])
        if any(key.startswith("@") for key in section):
            return registry.function_of(section)
    except ConfigError:
        return None
    return None


def _summary(function: Callable[..., Any] | None) -> str | None:
    text = inspect.getdoc(function) if function is not None else None
    return text.partition("\n\n")[0].replace("\n", " ").rstrip(".") if text else None


def _notes(function: Callable[..., Any]) -> dict[str, str]:
    """What a docstring says of the function's parameters."""
    names = set(inspect.signature(function).parameters)
    notes: dict[str, str] = {}
    text = " ".join((inspect.getdoc(function) or "").partition("\n\n")[2].split())
    starts = [
        found for found in re.finditer(r"(?:^|(?<=[.;] ))(\w+(?:, \w+)*): ", text) if set(found[1].split(", ")) & names
    ]
    for found, following in itertools.zip_longest(starts, starts[1:]):
        note = text[found.end() : following.start() if following else None]
        for name in found[1].split(", "):
            notes[name] = re.split(r"\s(?:Gives|Raises|Returns)\b", note)[0].strip().rstrip(".;")
    return notes


def _comment(note: str) -> list[str]:
    note = note[:1].upper() + note[1:]
    return textwrap.wrap(note, width=WIDTH, initial_indent="# ", subsequent_indent="# ")


def _written(value: Any) -> str:
    if isinstance(value, str) and VARIABLE.search(value):
        return value  # as read: with quotes where it has some
    return re.sub(r"\$(?!\{)", "$$$$", json.dumps(value, ensure_ascii=False))


def _types(annotation: Any) -> tuple[Any, ...]:
    return (annotation, *typing.get_args(annotation))


def _is_schema(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, Section)
