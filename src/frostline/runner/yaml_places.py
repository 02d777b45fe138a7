"""Read YAML 1.2 values fast, and remember the line and column of every key and value.

PyYAML's C parser does the reading; its own rules for what a bare word means are YAML 1.1's (`yes`, `1:30`), so
the resolvers are replaced by those of 1.2, which is what weasel and DVC read. Knows nothing of project.yml.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.resolver import BaseResolver

from frostline.errors import FrostlineError
from frostline.runner.spec import Place, Text

_MERGE = "tag:yaml.org,2002:merge"


class Resolver12(BaseResolver):
    """What a bare word means in YAML 1.2 (core schema, and `<<`)."""


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN)", "-+0123456789."),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("merge", r"<<", "<"),
):
    Resolver12.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), ["" if c == "\0" else c for c in _first]
    )


class PlainLoader(CParser, SafeConstructor, Resolver12):
    """YAML 1.2 to plain values, without places."""

    def __init__(self, stream: str) -> None:
        CParser.__init__(self, stream)
        SafeConstructor.__init__(self)
        Resolver12.__init__(self)

    def construct_int(self, node: ScalarNode) -> int:
        """An int of YAML 1.2: leading zeros are decimal, octal is 0o."""
        word = self.construct_scalar(node).replace("_", "")
        return int(word, 0) if word[:2] in ("0o", "0x") else int(word)

    def construct_float(self, node: ScalarNode) -> float:
        """A float of YAML 1.2."""
        word = self.construct_scalar(node).lower()
        return float(word.replace(".inf", "inf").replace(".nan", "nan"))


PlainLoader.add_constructor("tag:yaml.org,2002:int", PlainLoader.construct_int)  # type: ignore[type-var]
PlainLoader.add_constructor("tag:yaml.org,2002:float", PlainLoader.construct_float)  # type: ignore[type-var]


class Map(dict[str, Any]):
    """A mapping that knows where it, its keys and its values stand."""

    __slots__ = ("keys_at", "place", "values_at")

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.keys_at: dict[str, Place] = {}
        self.values_at: dict[str, Place] = {}


class Seq(list[Any]):
    """A list that knows where it and its items stand."""

    __slots__ = ("items_at", "place")

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.items_at: list[Place] = []


class YamlError(FrostlineError):
    """Text that is no YAML, or a key that stands twice. `place` says where."""

    exit_code = 2

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.place = place


def load_plain(text: str) -> Any:
    """The plain value of a YAML 1.2 text; None for an empty one. Raises YamlError."""
    loader = PlainLoader(text)
    try:
        return loader.get_single_data()
    except (yaml.YAMLError, ValueError) as error:
        raise _fault(error) from error
    finally:
        loader.dispose()


def load_with_places(text: str) -> Any:
    """Like `load_plain`, with Map, Seq and Text in the place of dict, list and str. Raises YamlError."""
    loader = PlainLoader(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _Builder(loader).build(node)
    except (yaml.YAMLError, ValueError) as error:
        raise _fault(error) from error
    finally:
        loader.dispose()


def _fault(error: Exception) -> YamlError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return YamlError(f"This is not YAML: {problem}.", place)


def _place(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


class _Builder:
    """Turns the nodes of one document into values with places."""

    def __init__(self, loader: PlainLoader) -> None:
        self.loader = loader
        self.open_nodes: set[int] = set()

    def build(self, node: Node) -> Any:
        """The value of a node; a node that contains itself is refused."""
        if isinstance(node, ScalarNode):
            value = self.loader.construct_object(node)
            return Text(value, _place(node)) if isinstance(value, str) else value
        if id(node) in self.open_nodes:
            raise YamlError("An anchor refers to itself.", _place(node))
        self.open_nodes.add(id(node))
        built = self._build_map(node) if isinstance(node, MappingNode) else self._build_seq(node)
        self.open_nodes.discard(id(node))
        return built

    def _build_seq(self, node: Node) -> Seq:
        assert isinstance(node, SequenceNode)
        items = Seq(_place(node))
        for child in node.value:
            items.append(self.build(child))
            items.items_at.append(_place(child))
        return items

    def _build_map(self, node: MappingNode) -> Map:
        built = Map(_place(node))
        merged: list[Map] = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged += self._merged_maps(value_node)
                continue
            key = self._key(key_node)
            if key in built:
                raise YamlError(f"The key '{key}' stands twice.", _place(key_node))
            built[key] = self.build(value_node)
            built.keys_at[key] = _place(key_node)
            built.values_at[key] = _place(value_node)
        for other in merged:
            for key in other:
                if key not in built:
                    built[key] = other[key]
                    built.keys_at[key], built.values_at[key] = other.keys_at[key], other.values_at[key]
        return built

    def _merged_maps(self, node: Node) -> list[Map]:
        value = self.build(node)
        maps = value if isinstance(value, Seq) else [value]
        if not all(isinstance(item, Map) for item in maps):
            raise YamlError("'<<' takes a mapping or a list of mappings.", _place(node))
        return list(maps)

    def _key(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise YamlError("A key must be a plain word.", _place(node))
        return str(node.value)
