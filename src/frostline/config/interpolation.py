"""References in a config: ${section.key} stands for a value, ${section} for a whole section.

A value that is one reference takes the type of what it refers to; within quotes or other text a reference becomes
text. References may point at references. The environment is never read: what must come from outside is an override.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from frostline.config.arguments import Fault, as_json, join
from frostline.config.schemas import section_at
from frostline.config.text import VARIABLE
from frostline.errors import did_you_mean, nearest


def interpolate(data: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """A copy of `data` in which every reference is replaced, and the references that lead nowhere or in a circle."""
    reader = _Reader(data)
    return {key: reader.read((key,)) for key in data}, reader.faults


def paths_of(data: dict[str, Any], path: str = "") -> Iterator[str]:
    """The config paths of all sections and keys."""
    for key, value in data.items():
        at = join(path, key)
        yield at
        if isinstance(value, dict):
            yield from paths_of(value, at)


class _NoValue(Exception):
    """A reference that can't be followed; its fault is noted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Default:
    """What a reference stands for whose key is left out of the config."""

    value: Any


class _Reader:
    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.faults: list[Fault] = []
        self._open: list[tuple[str, ...]] = []  # what is being read, outermost first
        self._known: dict[tuple[str, ...], Any] = {}

    def read(self, path: tuple[str, ...]) -> Any:
        """The value or section at `path`, with its references replaced."""
        if path in self._known:
            return copy.deepcopy(self._known[path])
        self._open.append(path)
        try:
            value: Any = self.data
            for part in path:
                value = value[part]
            self._known[path] = result = self._replaced(value, path, in_json=False)
        finally:
            self._open.pop()
        return copy.deepcopy(result)

    def _replaced(self, value: Any, path: tuple[str, ...], *, in_json: bool) -> Any:
        if isinstance(value, dict):
            if in_json:
                return {key: self._replaced(item, path, in_json=True) for key, item in value.items()}
            return {key: self.read((*path, key)) for key in value}
        if isinstance(value, list):
            return [self._replaced(item, path, in_json=True) for item in value]
        if isinstance(value, str) and VARIABLE.search(value):
            try:
                return self._expanded(value, path, in_json=in_json)
            except _NoValue:
                return None
        return value

    def _expanded(self, text: str, path: tuple[str, ...], *, in_json: bool) -> Any:
        whole = VARIABLE.fullmatch(text)
        if whole:
            value = self._value_of(whole[1], path)
            return _as_text(value) if in_json and not isinstance(value, dict) else value
        if not in_json and text.startswith('"'):
            return json.loads(VARIABLE.sub(lambda found: self._quoted(found[1], path), text))
        if not in_json and text.startswith(("[", "{")):
            return self._expanded_json(text, path)
        return VARIABLE.sub(lambda found: self._text_of(found[1], path), text)

    def _expanded_json(self, text: str, path: tuple[str, ...]) -> Any:
        def substitute(found: re.Match[str]) -> str:
            if found[0].startswith('"'):
                return VARIABLE.sub(lambda inner: self._quoted(inner[1], path), found[0])
            return VARIABLE.sub(lambda inner: json.dumps(self._value_of(inner[1], path)), found[0])

        filled = re.sub(r'"(?:[^"\\]|\\.)*"|\$\{[^{}]*\}', substitute, text)
        try:
            return json.loads(filled)
        except ValueError:
            self._note(path, f"This is not valid JSON once its references are replaced: {filled}")
            raise _NoValue from None

    def _quoted(self, reference: str, path: tuple[str, ...]) -> str:
        return json.dumps(self._text_of(reference, path), ensure_ascii=False)[1:-1]

    def _text_of(self, reference: str, path: tuple[str, ...]) -> str:
        value = self._value_of(reference, path)
        if isinstance(value, dict):
            self._note(path, f"${{{reference}}} is a section and can't stand within a text.")
            raise _NoValue
        return _as_text(value)

    def _value_of(self, reference: str, path: tuple[str, ...]) -> Any:
        target = self._target(reference, path)
        if isinstance(target, _Default):
            return target.value
        if target in self._open:
            circle = [*self._open[self._open.index(target) :], target]
            shown = " -> ".join(".".join(part) for part in circle)
            self._note(path, f"References go in a circle: {shown}.")
            raise _NoValue
        return self.read(target)

    def _target(self, reference: str, path: tuple[str, ...]) -> tuple[str, ...] | _Default:
        name = reference.replace(":", ".").strip()
        beside = (*path[:-1], name)
        if "." not in name and beside != path and self._exists(beside):
            return beside
        parts = tuple(name.split("."))
        for n_kept in range(len(parts), 0, -1):  # a key may hold dots, as module patterns do
            candidate = (*parts[: n_kept - 1], ".".join(parts[n_kept - 1 :]))
            if self._exists(candidate):
                return candidate
        section = section_at(parts[0])
        field = section.model_fields.get(name.partition(".")[2]) if section else None
        if field is not None and not field.is_required():
            return _Default(value=as_json(field.get_default())[1])
        if parts[0] == "env":
            fix = f"Environment variables are not read; give the value with --{'.'.join(path)}."
        else:
            near = nearest(name, paths_of(self.data))
            fix = f"Did you mean '{near}'?" if near else did_you_mean(parts[0], self.data)
        self._note(path, f"${{{reference}}} refers to nothing in the config.", fix)
        raise _NoValue

    def _exists(self, path: tuple[str, ...]) -> bool:
        node: Any = self.data
        for part in path:
            if not isinstance(node, dict) or part not in node:
                return False
            node = node[part]
        return True

    def _note(self, path: tuple[str, ...], message: str, fix: str | None = None) -> None:
        fault = Fault(path=".".join(path), message=message, fix=fix)
        if fault not in self.faults:
            self.faults.append(fault)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
