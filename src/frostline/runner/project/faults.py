"""Collect every fault of a project file, and raise them as one error that names file, line and column of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from frostline.errors import ProjectFileError, nearest
from frostline.runner.project.spec import Place, Text
from frostline.runner.project.yaml_places import Map, Seq


class Faults:
    """The faults found so far in one file."""

    def __init__(self, file_name: str) -> None:
        self.file_name = file_name
        self.found: list[tuple[Place, str, str | None]] = []

    def add(self, place: Place, message: str, fix: str | None = None) -> None:
        """Note a fault; the same one at the same place is noted once."""
        if (place, message, fix) not in self.found:
            self.found.append((place, message, fix))

    def unknown(self, place: Place, kind: str, word: str, options: Iterable[str], inside: str = "") -> None:
        """Note a word that is none of `options`, with the nearest one."""
        names = sorted(set(options))
        near = nearest(word, names)
        known = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
        fix = f"Did you mean '{near}'?" if near else (f"Known: {known}." if names else None)
        self.add(place, f"Unknown {kind} '{word}'{inside}.", fix)

    def raise_any(self) -> None:
        """Raise ProjectFileError when a fault was noted: one as it is, several as a list in the file's order."""
        if not self.found:
            return
        found = sorted(self.found, key=lambda fault: (fault[0].line, fault[0].column))
        if len(found) == 1:
            place, message, fix = found[0]
            raise ProjectFileError(message, where=self.where(place), fix=fix)
        lines = [f"{self.where(place)}: {message}" + (f" {fix}" if fix else "") for place, message, fix in found]
        raise ProjectFileError(
            f"{self.file_name} has {len(found)} faults:\n  " + "\n  ".join(lines), where=self.where(found[0][0])
        )

    def where(self, place: Place) -> str:
        """The place as `file:line:column`."""
        return f"{self.file_name}:{place.line}:{place.column}"


class Reader:
    """Typed access to the values of a Map; what is of the wrong type becomes a fault and an empty value."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults

    def wrong(self, section: Map, key: str, wanted: str) -> None:
        """Note that a value is not of the wanted kind."""
        self.faults.add(section.values_at[key], f"'{key}' must be {wanted}, not {kind_of(section[key])}.")

    def text(self, section: Map, key: str, default: str = "") -> Text:
        """A string; numbers are taken as they are written by JSON."""
        value = section.get(key)
        place = section.values_at.get(key, section.place)
        if value is None:
            return Text(default, place)
        if isinstance(value, Text):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Text(str(value), place)
        self.wrong(section, key, "text")
        return Text(default, place)

    def flag(self, section: Map, key: str) -> bool:
        """true or false; false when absent."""
        value = section.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.wrong(section, key, "true or false")
        return False

    def texts(self, section: Map, key: str) -> tuple[Text, ...]:
        """A list of strings; a single string is a list of one."""
        value = section.get(key)
        if value is None:
            return ()
        if isinstance(value, Text):
            return (value,)
        if not isinstance(value, Seq):
            self.wrong(section, key, "a list of texts")
            return ()
        items = []
        for item, place in zip(value, value.items_at, strict=True):
            if isinstance(item, str):
                items.append(Text(item, getattr(item, "place", place)))
            elif isinstance(item, int | float) and not isinstance(item, bool):
                items.append(Text(str(item), place))
            else:
                self.faults.add(place, f"'{key}' must be a list of texts, but holds {kind_of(item)}.", _hint(item))
        return tuple(items)

    def section(self, section: Map, key: str) -> Map:
        """A mapping; empty when absent."""
        value = section.get(key)
        if isinstance(value, Map):
            return value
        if value is not None:
            self.wrong(section, key, "a mapping")
        return Map(section.values_at.get(key, section.place))

    def sections(self, section: Map, key: str) -> list[Map]:
        """A list of mappings."""
        value = section.get(key)
        if value is None:
            return []
        if not isinstance(value, Seq):
            self.wrong(section, key, "a list of mappings")
            return []
        for item, place in zip(value, value.items_at, strict=True):
            if not isinstance(item, Map):
                self.faults.add(place, f"Each entry of '{key}' must be a mapping, not {kind_of(item)}.")
        return [item for item in value if isinstance(item, Map)]

    def only(self, section: Map, known: Iterable[str], kind: str) -> None:
        """Note every key that is not known."""
        options = set(known)
        for key in section:
            if key not in options:
                self.faults.unknown(section.keys_at[key], "key", key, options, inside=f" in {kind}")


def kind_of(value: Any) -> str:
    """A value's kind in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else "text"


def _hint(item: Any) -> str | None:
    if isinstance(item, dict):
        return "A text with ': ' in it must stand in quotes."
    return None
