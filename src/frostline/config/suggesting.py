"""Which override a misspelt option was meant to be: a section without its key, or a key without its section.

Pure: the sections that every config may have are known from schemas.py, others from the config at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from frostline.config.arguments import join
from frostline.config.schemas import SECTIONS, ConfigSections
from frostline.errors import nearest

MOST_SHOWN = 3
_PATHS = {"paths": {"train": ""}}  # what every example and every starting config has there


def exact_override(name: str, data: Mapping[str, Any]) -> str | None:
    """A sentence for an option that is a section, or the end of keys' config paths; None when it is neither.

    Args:
        name: without its dashes.
        data: the config at hand, {} where there is none.
    """
    name = name.strip(".").replace("-", "_")
    if name in _sections(data):
        return _of_section(name, data)
    keys = list(_keys(data))
    found = [key for key in keys if key.endswith(f".{name}")]
    return f"Did you mean {' or '.join(f'--{key}' for key in found[:MOST_SHOWN])}?" if found else None


def near_override(name: str, data: Mapping[str, Any]) -> str | None:
    """The same for an option that is like one of these; None when none is near."""
    name = name.strip(".").replace("-", "_")
    ends = [key.rpartition(".")[2] for key in _keys(data)]
    near = nearest(name, [*_sections(data), *ends])
    return exact_override(near, data) if near else None


def first_key(section: Mapping[str, Any]) -> str | None:
    """The path below a section of the first of its keys that takes a plain value; None when it has none."""
    plain = [key for key, value in section.items() if not isinstance(value, dict) and _can_be_set(key)]
    if plain:
        return plain[0]
    inner = ((key, first_key(value)) for key, value in section.items() if isinstance(value, dict))
    return next((join(key, found) for key, found in inner if found), None)


def _of_section(name: str, data: Mapping[str, Any]) -> str:
    ours = SECTIONS[name].model_fields if name in SECTIONS else None
    key = first_key(ours or data.get(name) or _PATHS.get(name, {}))
    such = f", such as --{name}.{key}" if key else f": --{name}.<key>"
    return f"'{name}' is a section: set one of its keys{such}."


def _sections(data: Mapping[str, Any]) -> list[str]:
    return [*ConfigSections.model_fields, *(key for key in data if key not in ConfigSections.model_fields)]


def _keys(data: Mapping[str, Any]) -> Iterator[str]:
    """Config paths of all keys that an override may name, each once."""
    ours = [f"{section}.{field}" for section, schema in SECTIONS.items() for field in schema.model_fields]
    yield from ours
    yield from (path for path in _paths(data) if "." in path and path not in ours)


def _paths(data: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in data.items():
        at = join(path, key)
        if _can_be_set(key):
            yield at
        if isinstance(value, dict):
            yield from _paths(value, at)


def _can_be_set(key: str) -> bool:
    return not key.startswith("@") and key != "factory"
