"""From config files to one config: overlays, overrides from the command line, references.

    [extends]
    base = "base.cfg"          # beside this file; may extend another one in turn

An overlay changes single keys of its base; a block that calls another function than the base's takes its place as a
whole. Overrides come last, and references are replaced at the very end, so they see what overlays and overrides
set. Whether keys and values make sense is fill.py's business, but an override must name something that is there.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import confection

from frostline.config.arguments import Fault, checked, join, raise_faults, shown
from frostline.config.interpolation import interpolate, paths_of
from frostline.config.schemas import OPEN, SECTIONS, section_at
from frostline.config.suggesting import exact_override, first_key
from frostline.config.text import VARIABLE, interpret, parse_text
from frostline.errors import ConfigError, FrostlineError, UsageError, did_you_mean, nearest

ON_COMMAND_LINE = "on the command line"


class Config(confection.Config):  # type: ignore[misc]
    """Thinc's Config, which also knows where each key was written."""

    origins: dict[str, str]  # config path -> "file:line", or the override that set it

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, origins: Mapping[str, str] | None = None, **of_thinc: Any
    ) -> None:
        super().__init__(data if data is None or isinstance(data, dict) else dict(data), **of_thinc)
        inherited = data.origins if isinstance(data, Config) else {}
        self.origins = dict(inherited if origins is None else origins)

    def locate(self, path: str) -> str | None:
        """Where `path`, or the nearest section around it, was written; None when unknown."""
        if path and path in self.origins:
            return self.origins[path]
        while "." in path:
            path = path.rpartition(".")[0]
            if path in self.origins:
                return self.origins[path]
        return None


@contextmanager
def located(config: Any) -> Iterator[None]:
    """Let an error of the block that names a config path say, too, where the config has it: file and line.

    Args:
        config: nothing is added where it is none that knows, such as the folder of a model.
    """
    try:
        yield
    except FrostlineError as error:
        is_open = isinstance(config, Config) and error.where is not None and " (" not in error.where
        place = config.locate(error.where) if is_open else None
        if place:
            error.where = f"{error.where} ({place})"
        raise


class OverrideText(str):
    """An override as it was typed: whether "12" is a number depends on what it overrides."""

    __slots__ = ()


def load_config(path: Path | str, overrides: Mapping[str, Any] | None = None, *, interpolated: bool = True) -> Config:
    """Read a config with its bases and overrides.

    Args:
        path: of the file; `[extends] base` in it is relative to it.
        overrides: config path -> value, as `parse_overrides` gives them, or plain values, which are taken as they are.
        interpolated: replace references; without, they stay as text.
    Raises:
        ConfigError: a file that is missing or malformed, bases that go in a circle, an override that names nothing,
            a reference that leads nowhere. All faults of one kind at once, each with its file and line.
    """
    data, origins = _read_chain(Path(path), [])
    config = with_overrides(Config(data, is_interpolated=False, origins=origins), overrides or {})
    return interpolate_config(config) if interpolated else config


def with_overrides(config: Config, overrides: Mapping[str, Any]) -> Config:
    """A copy with overrides set.

    Raises:
        ConfigError: an override that names nothing; all of them at once.
    """
    data, origins = copy.deepcopy(dict(config)), dict(config.origins)
    faults = [fault for key, value in overrides.items() if (fault := _override(data, origins, key, value))]
    if faults:
        raise_faults(faults)
    return Config(data, is_interpolated=config.is_interpolated, origins=origins)


def interpolate_config(config: Config) -> Config:
    """A copy in which every reference is replaced.

    Raises:
        ConfigError: references that lead nowhere or in a circle.
    """
    data, faults = interpolate(config)
    if faults:
        raise_faults(faults, config.locate)
    return Config(data, is_interpolated=True, origins=config.origins)


def parse_overrides(arguments: Sequence[str], *, options: Sequence[str] = ()) -> dict[str, Any]:
    """Read `--section.key value` and `--section.key=value` from a command line.

    Args:
        arguments: what no declared option took.
        options: the command's declared options, for the message about one that is misspelt.
    Returns:
        Config path -> value as typed, for `load_config`. The last of two for one key wins.
    Raises:
        UsageError: an argument that is no override, or an override without a value.
    """
    overrides: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            fix = "An override is written --section.key value."
            raise UsageError(f"Unexpected argument '{word}'.", fix=fix)
        name, equals, value = word.removeprefix("--").partition("=")
        if "." not in name or not all(name.split(".")):
            hint = exact_override(name, {}) or did_you_mean("--" + name, options)
            fix = f"{hint} An override is written --section.key value."
            raise UsageError(f"There is no option '--{name}'.", fix=fix)
        if equals:
            overrides[name] = OverrideText(value)
        elif rest and not rest[0].startswith("--"):
            overrides[name] = OverrideText(rest.pop(0))
        else:
            fix = f"Write --{name} true, for example; a value that starts with -- is written --{name}=--value."
            raise UsageError(f"The override --{name} has no value.", fix=fix)
    return overrides


def _read_chain(path: Path, above: list[Path], asked_at: str | None = None) -> tuple[dict[str, Any], dict[str, str]]:
    """The data and origins of a file laid over its bases. `above`: the files that extend this one, outermost first."""
    name = str(path)
    resolved = path.resolve()
    if resolved in [other.resolve() for other in above]:
        circle = " -> ".join(str(other) for other in [*above, path])
        fix = "Remove one [extends]."
        raise ConfigError(f"Configs extend each other in a circle: {circle}.", where=asked_at, fix=fix)
    try:
        text = path.read_text(encoding="utf8")
    except FileNotFoundError:
        near = did_you_mean(path.name, [file.name for file in path.parent.glob("*.cfg")])
        raise ConfigError(f"There is no config '{name}'.", where=asked_at, fix=near) from None
    except (IsADirectoryError, PermissionError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"The config '{name}' can't be read: {reason}.", where=asked_at) from None
    parsed = parse_text(text, name=name)
    if parsed.faults:
        raise_faults(parsed.faults, parsed.origins.get)
    extends = parsed.data.pop("extends", None)
    if extends is None:
        return parsed.data, parsed.origins
    place = parsed.origins.get("extends.base", parsed.origins["extends"])
    if set(extends) != {"base"} or not isinstance(extends["base"], str):
        fix = 'Write one line: base = "base.cfg".'
        raise ConfigError("[extends] has one key, the file this one is laid over.", where=place, fix=fix)
    data, origins = _read_chain(path.parent / extends["base"], [*above, path], place)
    return overlay(data, parsed.data), {**origins, **parsed.origins}


def overlay(base: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `base`: key by key, but a block that calls another function replaces the base's."""
    result = copy.deepcopy(dict(base))
    for key, value in above.items():
        below = result.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and not _calls_another(value, below):
            result[key] = overlay(below, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _calls_another(above: Mapping[str, Any], below: Mapping[str, Any]) -> bool:
    def called(section: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in section.items() if key.startswith("@") or key == "factory"}

    return bool(called(above)) and called(above) != called(below)


def _override(data: dict[str, Any], origins: dict[str, str], path: str, value: Any) -> Fault | None:
    """Set one override in `data`; the fault when it names nothing, and nothing is changed then."""
    _make_room(data, path)
    node: dict[str, Any] = data
    at = ""
    rest = path.split(".")
    while len(rest) > 1:
        inner = node.get(rest[0])
        if isinstance(inner, dict) and ".".join(rest) not in node:
            node, at = inner, join(at, rest.pop(0))
            continue
        if rest[0] in node and not _is_reference(inner) and inner is not None:
            at = join(at, rest[0])
            message = f"'{at}' is a value, so it has no '{'.'.join(rest[1:])}'."
            return Fault(path=f"--{path}", message=message, fix=f"Set --{at} itself.")
        break
    key = ".".join(rest)
    unknown = _unknown_key(data, node, at, rest)
    if unknown is not None:
        return Fault(path=f"--{path}", message=f"The config has no '{path}'.", fix=unknown)
    if len(rest) > 1 and not _is_open(at):  # inside a block: sections that its function may take
        for part in rest[:-1]:
            node[part] = node = {}
        key = rest[-1]
    present = node.get(key)
    if isinstance(value, OverrideText):
        value, complaint = _typed(value, present)
        if complaint:
            return Fault(path=f"--{path}", message=complaint)
    if isinstance(present, dict) and _is_no_section(value) and _takes_only_sections(at, key, value):
        such = first_key(present)
        fix = f"Set one of its keys, such as --{path}.{such}." if such else None
        return Fault(path=f"--{path}", message=f"'{path}' is a section, which {shown(value)} can't replace.", fix=fix)
    node[key] = copy.deepcopy(value)
    origins[path] = f"--{path} {ON_COMMAND_LINE}"
    return None


def _make_room(data: dict[str, Any], path: str) -> None:
    """Add the section that `path` is in, where it is one that a file may leave out."""
    for section in (*SECTIONS, *OPEN):
        if not path.startswith(f"{section}."):
            continue
        node: Any = data
        for part in section.split("."):
            node = node.setdefault(part, {}) if isinstance(node, dict) else None


def _unknown_key(data: dict[str, Any], node: dict[str, Any], at: str, rest: list[str]) -> str | None:
    """A way out when a new key can't be set in the section `at`; None when it can, or is there already."""
    key = ".".join(rest)
    if key in node or _is_open(at) or _within_block(data, at):
        return None
    if at == "components" and rest[0] not in node and nearest(rest[0], node) is None:
        return (f"A new component belongs into a file: write [components.{rest[0]}] there, and [extends] with "
                'base = "…" to lay it over this config.')  # fmt: skip
    section = section_at(at)
    fields = list(section.model_fields) if section else []
    if at and key in fields:
        return None
    known = [*(join(at, field) for field in fields), *paths_of(data)]
    near = nearest(join(at, key), [name for name in known if "." in name and "@" not in name])
    return f"Did you mean '{near}'?" if near else did_you_mean(rest[0], node.keys() | set(fields))


def _within_block(data: dict[str, Any], at: str) -> bool:
    """Whether the section `at` is one whose keys a registered function decides on."""
    node: Any = data
    for part in at.split(".") if at else []:
        node = node[part]
        if "factory" in node or any(key.startswith("@") for key in node) or _is_reference(node):
            return True
    return False


def _is_no_section(value: Any) -> bool:
    return value is not None and not isinstance(value, dict) and not _is_reference(value)


def _takes_only_sections(at: str, key: str, value: Any) -> bool:
    """Whether nothing but a section can stand at `key`; a block's own keys are for its function to say."""
    schema = section_at(at)
    field = schema.model_fields.get(key) if schema else None
    if field is not None:
        return checked(value, field.annotation)[1] is not None
    return at in ("components", "corpora")


def _is_open(at: str) -> bool:
    return any(at == section or at.startswith(section + ".") for section in OPEN)


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and VARIABLE.search(value) is not None


def _typed(text: str, present: Any) -> tuple[Any, str | None]:
    """What a typed override means: JSON where it is some, but text stays text where the config holds text."""
    if isinstance(present, str) and not _is_reference(present) and not VARIABLE.search(text):
        try:
            value = json.loads(text)
        except ValueError:
            return str(text), None
        return (value, None) if value is None or isinstance(value, str | dict) else (str(text), None)
    if text == "":
        return "", None
    value, complaint = interpret(text)
    return value, complaint
