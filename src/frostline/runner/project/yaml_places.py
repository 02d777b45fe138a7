"""Read YAML 1.2 values fast, and remember the line and column of every key and value.

PyYAML's C parser does the reading; its own rules for what a bare word means are YAML 1.1's (`yes`, `1:30`), so
those of 1.2 stand here, which is what weasel and DVC read. Values are made from the parser's events as they come: a
tree of nodes in between would take ten times the memory of the values. Knows nothing of project.yml.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from frostline.errors import FrostlineError
from frostline.runner.project.spec import Place, Text

_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"


def _int(word: str) -> int:
    """An int of YAML 1.2: leading zeros are decimal, octal is 0o."""
    word = word.replace("_", "")
    return int(word, 0) if word[:2] in ("0o", "0x") else int(word)


def _float(word: str) -> float:
    return float(word.lower().replace(".inf", "inf").replace(".nan", "nan"))


_KINDS: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF", lambda word: word.lower() == "true"),
    "int": (r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789", _int),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN)",
        "-+0123456789.",
        _float,
    ),
    "null": (r"~|null|Null|NULL", "~nN", lambda word: None),
}
_BY_FIRST: dict[str, list[tuple[re.Pattern[str], Callable[[str], Any]]]] = {}
for _pattern, _first, _convert in _KINDS.values():
    for _character in _first:
        _BY_FIRST.setdefault(_character, []).append((re.compile(_pattern), _convert))


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
    return _load(text, _PlainBuilder)


def load_draining(text: str, key: str, sink: Callable[[Any, Any], None]) -> Any:
    """Like `load_plain`, but the entries of the mapping below `key` go to `sink` one by one, and are not kept."""

    def builder(parser: Any) -> _PlainBuilder:
        return _DrainingBuilder(parser, key, sink)

    return _load(text, builder)


def load_with_places(text: str) -> Any:
    """Like `load_plain`, with Map, Seq and Text in the place of dict, list and str. Raises YamlError."""
    return _load(text, _PlacedBuilder)


def _load(text: str, builder: Callable[[Any], _PlainBuilder]) -> Any:
    parser = None
    try:
        parser = CParser(text)
        return builder(parser).document()
    except (yaml.YAMLError, ValueError) as error:
        raise _fault(error) from error
    except RecursionError as error:
        raise YamlError("This YAML is nested too deeply.", Place(1, 1)) from error
    finally:
        if parser is not None:
            parser.dispose()


def _fault(error: Exception) -> YamlError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return YamlError(f"This is not YAML: {problem}.", place)


def _place(event: Any) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1)


class _PlainBuilder:
    """Turns the events of one document into plain values."""

    def __init__(self, parser: Any) -> None:
        self.next: Callable[[], Any] = parser.get_event
        self.anchors: dict[str, Any] = {}
        self.open_anchors: dict[str, Place] = {}

    def document(self) -> Any:
        """The value of the only document; None where there is none."""
        self.next()  # the stream begins
        if isinstance(self.next(), StreamEndEvent):
            return None
        value = self.value(self.next())
        self.next()  # the document ends
        after = self.next()
        if not isinstance(after, StreamEndEvent):
            raise YamlError("This is not YAML: but found another document.", _place(after))
        return value

    def value(self, event: Any) -> Any:
        """The value that begins with an event."""
        kind = type(event)
        if kind is AliasEvent:
            return self._known(event)
        if kind is ScalarEvent:
            value = self.scalar(event)
        else:
            if event.anchor is not None:
                self.open_anchors[event.anchor] = _place(event)
            value = self.sequence(event) if kind is SequenceStartEvent else self.mapping(event)
            self.open_anchors.pop(event.anchor, None)
        if event.anchor is not None:
            self.anchors[event.anchor] = value
        return value

    def _known(self, event: Any) -> Any:
        if event.anchor in self.open_anchors:
            raise YamlError("An anchor refers to itself.", self.open_anchors[event.anchor])
        if event.anchor not in self.anchors:
            raise YamlError(f"This is not YAML: found undefined alias '{event.anchor}'.", _place(event))
        return self.anchors[event.anchor]

    def scalar(self, event: Any) -> Any:
        """What a word means: a bare one by YAML 1.2's rules, a tagged one as its tag says, else text."""
        word: str = event.value
        if event.tag is not None and event.tag != "!":
            return self._tagged(word, event)
        if not event.implicit[0] or event.tag is not None:
            return word
        if not word:
            return None
        for pattern, convert in _BY_FIRST.get(word[0], ()):
            if pattern.fullmatch(word):
                return convert(word)
        return word

    def _tagged(self, word: str, event: Any) -> Any:
        tag = event.tag.removeprefix(_TAG)
        if tag in ("str", "timestamp", "binary"):
            return word
        pattern, _, convert = _KINDS.get(tag, ("", "", str))
        if tag not in _KINDS or not re.fullmatch(pattern, word):
            raise YamlError(f"This is not YAML: '{word}' can't have the tag '{event.tag}'.", _place(event))
        return convert(word)

    def sequence(self, event: Any) -> Any:
        """A list, from its first event on."""
        items = []
        while type(event := self.next()) is not SequenceEndEvent:
            items.append(self.value(event))
        return items

    def mapping(self, event: Any) -> Any:
        """A dict, from its first event on; of a key that stands twice the last value counts."""
        built: dict[Any, Any] = {}
        merged: list[Any] = []
        while type(event := self.next()) is not MappingEndEvent:
            if _is_merge(event):
                merged += self.merged_maps(self.next(), dict)
                continue
            key = self.value(event)
            if not isinstance(key, Hashable):
                raise YamlError("A key must be a plain word.", _place(event))
            built[key] = self.value(self.next())
        for other in merged:
            for key in other:
                built.setdefault(key, other[key])
        return built

    def merged_maps(self, event: Any, kind: type) -> list[Any]:
        """The mappings that `<<` names."""
        value = self.value(event)
        maps = value if isinstance(value, list) else [value]
        if not all(isinstance(item, kind) for item in maps):
            raise YamlError("'<<' takes a mapping or a list of mappings.", _place(event))
        return maps


class _DrainingBuilder(_PlainBuilder):
    """Hands the entries of one mapping of the top level on as they come, so that they never stand side by side."""

    def __init__(self, parser: Any, key: str, sink: Callable[[Any, Any], None]) -> None:
        super().__init__(parser)
        self.key = key
        self.sink = sink
        self.depth = 0
        self.last: Any = None  # the word read last at the top level

    def scalar(self, event: Any) -> Any:
        """The same; a key of the top level is kept in mind."""
        value = super().scalar(event)
        if self.depth == 1:
            self.last = value
        return value

    def mapping(self, event: Any) -> Any:
        """A dict; for the mapping that is drained, an empty one."""
        self.depth += 1
        try:
            if self.depth != 2 or self.last != self.key:
                return super().mapping(event)
            while type(event := self.next()) is not MappingEndEvent:
                name = self.value(event)
                self.sink(name, self.value(self.next()))
            return {}
        finally:
            self.depth -= 1


class _PlacedBuilder(_PlainBuilder):
    """Turns the events of one document into values with places."""

    def scalar(self, event: Any) -> Any:
        """A text knows its place, other values do not."""
        value = super().scalar(event)
        return Text(value, _place(event)) if isinstance(value, str) else value

    def sequence(self, event: Any) -> Seq:
        """A Seq, from its first event on."""
        items = Seq(_place(event))
        while type(event := self.next()) is not SequenceEndEvent:
            items.items_at.append(_place(event))
            items.append(self.value(event))
        return items

    def mapping(self, event: Any) -> Map:
        """A Map, from its first event on; a key that stands twice is refused."""
        built = Map(_place(event))
        merged: list[Map] = []
        while type(event := self.next()) is not MappingEndEvent:
            if _is_merge(event):
                merged += self.merged_maps(self.next(), Map)
                continue
            key = self._key(event)
            if key in built:
                raise YamlError(f"The key '{key}' stands twice.", _place(event))
            built.keys_at[key] = _place(event)
            event = self.next()
            built.values_at[key] = _place(event)
            built[key] = self.value(event)
        for other in merged:
            for key in other:
                if key not in built:
                    built[key] = other[key]
                    built.keys_at[key], built.values_at[key] = other.keys_at[key], other.values_at[key]
        return built

    def _key(self, event: Any) -> str:
        """A key as it is written."""
        if type(event) is AliasEvent:
            return str(self._known(event))
        if type(event) is not ScalarEvent:
            raise YamlError("A key must be a plain word.", _place(event))
        if event.anchor is not None:
            self.anchors[event.anchor] = self.scalar(event)
        return str(event.value)


def _is_merge(event: Any) -> bool:
    return type(event) is ScalarEvent and event.value == _MERGE and event.implicit[0] and event.tag is None
