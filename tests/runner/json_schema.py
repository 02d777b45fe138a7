"""The part of JSON Schema (draft 07) that the schema of project.yml uses, as a checker for tests.

An unknown keyword is an error, so that nothing in the schema goes unlooked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

NOTES = {"$schema", "title", "description", "definitions", "deprecationMessage"}
KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def faults_of(value: Any, schema: Mapping[str, Any]) -> list[str]:
    """`path: what is wrong` for everything in `value` that the schema refuses."""
    return _faults(value, schema, schema, "")


def _faults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[str]:
    unknown = set(schema) - NOTES - set(CHECKS)
    assert not unknown, f"this checker does not know {unknown}"
    found: list[str] = []
    for keyword, check in CHECKS.items():
        if keyword in schema:
            found += check(value, schema, root, path)
    return found


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _type(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[str]:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return [] if any(_is(value, kind) for kind in kinds) else [f"{path}: is not {' or '.join(kinds)}"]


def _ref(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[str]:
    return _faults(value, root["definitions"][schema["$ref"].removeprefix("#/definitions/")], root, path)


def _any_of(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[str]:
    tries = [_faults(value, option, root, path) for option in schema["anyOf"]]
    return [] if [] in tries else max(tries, key=lambda faults: max(map(len, faults)))


def _pattern(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[str]:
    wrong = isinstance(value, str) and not re.search(schema["pattern"], value)
    return [f"{path}: does not match {schema['pattern']}"] if wrong else []


def _min_length(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[str]:
    return [f"{path}: is too short"] if isinstance(value, str) and len(value) < schema["minLength"] else []


def _minimum(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[str]:
    return [f"{path}: is too small"] if _is(value, "number") and value < schema["minimum"] else []


def _exclusive(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[str]:
    return [f"{path}: is too small"] if _is(value, "number") and value <= schema["exclusiveMinimum"] else []


def _items(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[str]:
    listed = enumerate(value) if isinstance(value, list) else ()
    return [fault for index, item in listed for fault in _faults(item, schema["items"], root, _at(path, index))]


def _required(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[str]:
    return [f"{path}: lacks {key}" for key in schema["required"] if isinstance(value, dict) and key not in value]


def _names(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[str]:
    listed = value if isinstance(value, dict) else ()
    return [fault for key in listed for fault in _faults(key, schema["propertyNames"], root, path)]


def _properties(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[str]:
    found: list[str] = []
    for key, item in value.items() if isinstance(value, dict) else ():
        rules = [schema.get("properties", {})[key]] if key in schema.get("properties", {}) else []
        rules += [rule for pattern, rule in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
        rest = schema.get("additionalProperties", True)
        if not rules and rest is False:
            found.append(f"{_at(path, key)}: is no known key")
        elif not rules and isinstance(rest, dict):
            rules = [rest]
        found += [fault for rule in rules for fault in _faults(item, rule, root, _at(path, key))]
    return found


def _at(path: str, key: object) -> str:
    return f"{path}/{key}".lstrip("/")


def _nothing(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> list[str]:
    return [] if "properties" in schema else _properties(value, schema, root, path)


CHECKS = {
    "type": _type, "$ref": _ref, "anyOf": _any_of, "pattern": _pattern, "minLength": _min_length,
    "minimum": _minimum, "exclusiveMinimum": _exclusive, "items": _items, "required": _required,
    "propertyNames": _names, "properties": _properties, "additionalProperties": _nothing,
    "patternProperties": lambda *_: [],
}  # fmt: skip
