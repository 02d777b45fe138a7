"""Write YAML that YAML 1.1 and 1.2 read alike, in the layout DVC writes.

A string that either version could take for a number, a truth value or nothing is quoted (an MD5 such as
`00345…` or `123e456…` is a number to YAML 1.2). No anchors, no folded lines, keys in the given order.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.nodes import ScalarNode

_NUMBER_LIKE = re.compile(r"[-+.]?[0-9][0-9_.,:xXoOa-fA-F]*([eE][-+]?[0-9]+)?|[-+]?\.(inf|nan)", re.IGNORECASE)


class _Dumper(yaml.CSafeDumper):
    """The C emitter, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write what stands twice twice."""
        return True


def _string(dumper: _Dumper, text: str) -> ScalarNode:
    style = "'" if _NUMBER_LIKE.fullmatch(text) and "\n" not in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)
_Dumper.add_multi_representer(str, _string)


def dump_yaml(value: Any) -> str:
    """`value` as a block of YAML."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=10**9, allow_unicode=True
    )
    return text


def dump_parts(document: dict[str, Any], key: str = "stages") -> list[str]:
    """`document` with the mapping below `key` last, in parts. Entries leave it as they are written: it may be large."""
    others = {name: value for name, value in document.items() if name != key}
    parts = [dump_yaml(others)] if others or key not in document else []
    entries = document.get(key)
    if entries:
        parts += [f"{key}:\n", *(dump_entry(name, entries.pop(name)) for name in list(entries))]
    elif key in document:
        parts.append(dump_yaml({key: entries}))
    return parts


def dump_entry(name: str, value: Any) -> str:
    """One entry of a mapping of the top level, indented as it stands there."""
    return dump_yaml({"": {name: value}}).partition("\n")[2]
