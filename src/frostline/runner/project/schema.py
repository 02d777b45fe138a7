"""The JSON Schema of project.yml, for editors: made from the same table of keys that the file is read by.

A schema can't know names, so steps in workflows, references and paths are checked by `project render` only. What the
reader only warns of (a key that it does not know) is a fault to the schema: an editor should show it.
"""

from __future__ import annotations

import json
from typing import Any

from frostline.runner.project.keys import AXIS, DEFINITIONS, TOP, Key, Origin

DRAFT = "http://json-schema.org/draft-07/schema#"  # the newest that editors' YAML plug-ins know whole
OWN_KEYS = r"^(x-|\.|_)"  # at the top: anchors and the like, which nobody reads


def project_schema() -> dict[str, Any]:
    """The schema of a whole project file."""
    definitions = {name: _mapping(keys, needed) for name, (keys, needed) in DEFINITIONS.items()}
    definitions["matrix"]["additionalProperties"] = dict(AXIS)
    return {
        "$schema": DRAFT,
        "title": "project.yml",
        "description": "An experiment: variables, assets, commands and workflows, run by `project`.",
        **_mapping(TOP, None),
        "patternProperties": {OWN_KEYS: {}},
        "definitions": definitions,
    }


def schema_text() -> str:
    """The schema as the file has it."""
    return json.dumps(project_schema(), indent=2, ensure_ascii=False) + "\n"


def _mapping(keys: tuple[Key, ...], needed: str | None) -> dict[str, Any]:
    mapping: dict[str, Any] = {"type": "object", "properties": {key.name: _property(key) for key in keys}}
    if needed is not None:
        mapping["required"] = [needed]
    return {**mapping, "additionalProperties": False}


def _property(key: Key) -> dict[str, Any]:
    note = {"deprecationMessage": key.about} if key.origin is Origin.LEGACY else {}
    return {"description": key.about, **key.takes, **note}
