"""Values that the command line gives to variables: `--set vars.x=v`, `--vars.x v`. Pure.

A dotted name reaches into a variable that is a mapping. A name that `vars` does not have is taken where a reference
asks for it, as in weasel's projects; one that nothing asks for is a slip.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from frostline.errors import UsageError, did_you_mean
from frostline.runner.project.references import as_text
from frostline.runner.project.yaml_places import YamlError, load_plain


def with_overrides(variables: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The variables with the overrides put in; the given ones are left as they are. Raises UsageError."""
    merged = dict(variables)
    for name, value in overrides.items():
        *outer, last = name.split(".")
        inner = merged
        for depth, part in enumerate(outer):
            found = inner.get(part)
            if not isinstance(found, Mapping):
                path = ".".join(outer[: depth + 1])
                what = "is no mapping" if part in inner else "is not there"
                raise UsageError(f"'{name}' names no variable: '{path}' {what}.", fix=did_you_mean(path, variables))
            inner[part] = dict(found)
            inner = inner[part]
        inner[last] = value
    return merged


def refuse_unused(
    overrides: Mapping[str, Any], variables: Mapping[str, Any], seen: Iterable[str], file_name: str
) -> None:
    """Raise UsageError for an override that no variable has and no reference asks for."""
    asked = set(seen)
    for name in overrides:
        if not _is_declared(name, variables) and not any(concerns(name, other) for other in asked):
            raise UsageError(
                f"There is no variable '{name}' in {file_name}.", fix=did_you_mean(name, _names(variables))
            )


def concerns(name: str, other: str) -> bool:
    """Whether two dotted names are the same, or one lies in the other."""
    return name == other or other.startswith(f"{name}.") or name.startswith(f"{other}.")


def setting_of(name: str, value: Any) -> str:
    """`vars.x=v` in such words that `--set` reads this very value."""
    text = as_text(value)
    try:
        is_plain = not isinstance(value, str) or load_plain(text) == value
    except YamlError:
        is_plain = True  # what is no YAML is taken as it stands
    return f"vars.{name}={text if is_plain else json.dumps(text, ensure_ascii=False)}"


def _is_declared(name: str, variables: Mapping[str, Any]) -> bool:
    value: Any = variables
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True


def _names(variables: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Every name that an override may have."""
    names = []
    for name, value in variables.items():
        names.append(prefix + name)
        if isinstance(value, Mapping):
            names += _names(value, f"{prefix}{name}.")
    return names
