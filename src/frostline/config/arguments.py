"""What a registered function takes, and whether a block of the config gives it that.

Values of a config are JSON, and are checked as such: strictly, so that "3" is no number and 1 no truth value, but
a list serves where a tuple is asked for and a string where a Path is. An inner block is not checked here (its own
function is), nor is a parameter without a type hint, or with one that can't be found at run time.
"""

from __future__ import annotations

import builtins
import enum
import inspect
import json
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from frostline.errors import ConfigError, did_you_mean, nearest

EMPTY_PATH = "The path is empty."
NAME_A_PATH = 'Name a file or folder; the folder that the command is started in is ".".'
POSITIONAL = "*"  # the section that holds positional arguments, as in Thinc: [model.*.first]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a config."""

    path: str  # config path, such as training.optimizer.learn_rate
    message: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """In an Annotated type: here goes a block that calls a function of the registry `kind`."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A parameter of a registered function as the config sees it."""

    name: str
    annotation: Any
    required: bool
    default: Any = None  # JSON; meaningless when required or not fillable
    fillable: bool = False  # the default can be written in a config


def raise_faults(faults: Sequence[Fault], locate: Callable[[str], str | None] = lambda path: None) -> typing.NoReturn:
    """Raise one ConfigError that lists every fault with its config path and, where known, its file and line.

    Args:
        faults: at least one.
        locate: config path -> "file:line", or None.
    """
    if len(faults) == 1:
        fault = faults[0]
        raise ConfigError(fault.message, where=_place(fault, locate) or None, fix=fault.fix)
    lines = [f"The config has {len(faults)} faults:"]
    lines += [f"  {as_line(fault, locate)}" for fault in faults]
    raise ConfigError("\n".join(lines))


def as_line(fault: Fault, locate: Callable[[str], str | None]) -> str:
    """A fault as one line: its config path, its file and line where known, what it is, how to mend it."""
    line = f"{_place(fault, locate)}: {fault.message}"
    return f"{line} {fault.fix}" if fault.fix else line


def _place(fault: Fault, locate: Callable[[str], str | None]) -> str:
    found = locate(fault.path)
    return f"{fault.path} ({found})" if found and fault.path else (found or fault.path)


def settings_of(function: Callable[..., Any]) -> tuple[list[Setting], bool]:
    """The parameters a config can set by name, and whether the function takes any further name (`**settings`)."""
    settings = []
    open_ended = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            open_ended = True
            continue
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            continue
        required = parameter.default is inspect.Parameter.empty
        fillable, default = (False, None) if required else as_json(parameter.default)
        annotation = _annotation(function, parameter)
        settings.append(
            Setting(name=parameter.name, annotation=annotation, required=required, default=default, fillable=fillable)
        )
    return settings, open_ended


def call_arguments(
    function: Callable[..., Any], given: Mapping[str, Any], *, path: str, supplied: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any], list[Fault]]:
    """Check what a block gives against what its function takes.

    Args:
        function: a registered function.
        given: the block's keys without the "@" key; inner blocks are still dicts.
        path: the block's config path.
        supplied: arguments that do not come from the config; those the function does not take are left out.
    Returns:
        Positional arguments, keyword arguments (values of the annotated types), and the faults found.
    """
    settings, open_ended = settings_of(function)
    names = [setting.name for setting in settings]
    taken = {key: value for key, value in supplied.items() if open_ended or key in names}
    faults = []
    keywords: dict[str, Any] = {}
    for setting in settings:
        if given.get(setting.name) == "" and Path in _parts(setting.annotation):
            faults.append(Fault(path=join(path, setting.name), message=EMPTY_PATH, fix=NAME_A_PATH))
        elif setting.name in given:
            keywords[setting.name], message = checked(given[setting.name], setting.annotation)
            if message:
                fix = near_choice(given[setting.name], setting.annotation)
                if fix is None and setting.fillable:
                    fix = f"Leave it out for the default, {shown(setting.default)}."
                faults.append(Fault(path=join(path, setting.name), message=message, fix=fix))
        elif setting.required and setting.name not in taken and POSITIONAL not in given:
            faults.append(
                Fault(path=join(path, setting.name), message=f"A value is missing: {_name_of(function)} needs it.")
            )
    for key in given:
        if key in taken:
            message = "The pipeline sets this; a config can't."
            faults.append(Fault(path=join(path, key), message=message, fix="Remove it."))
        elif key not in names and key != POSITIONAL:
            if open_ended:
                keywords[key] = given[key]
            else:
                options = [name for name in names if name not in supplied and name not in given]
                message = f"{_name_of(function)} takes no '{key}'."
                faults.append(Fault(path=join(path, key), message=message, fix=did_you_mean(key, options or names)))
    block = given.get(POSITIONAL, {})
    positional = list(block.values()) if isinstance(block, dict) else list(block)
    return positional, {**keywords, **taken}, faults


def component_faults(section: Any, path: str) -> list[Fault]:
    """Whether a [components.<name>] section says which factory makes the component."""
    if not isinstance(section, dict):
        return [Fault(path=path, message=f"A component is a section, not {section!r}.")]
    if "factory" not in section:
        fix = 'Add a line such as factory = "tagger".'
        return [Fault(path=join(path, "factory"), message="A component needs a factory.", fix=fix)]
    if not isinstance(section["factory"], str):
        message = f"The name of a factory is a string, not {section['factory']!r}."
        return [Fault(path=join(path, "factory"), message=message)]
    return []


def checked(value: Any, annotation: Any) -> tuple[Any, str | None]:
    """The value as the annotation's type, and what is wrong with it (None: nothing).

    A value that is a block, or holds one, is given back as it is.
    """
    if annotation is Any or holds_block(value):
        return value, None
    adapters = _adapters(_Hashable(annotation))
    if not adapters:
        if _is_open(annotation):
            return value, None
        return value, f"This must be a block that calls a registered function (with a key '@...'), not {shown(value)}."
    text = json.dumps(value)
    faults: list[Any] = []
    for adapter in adapters:
        try:
            return adapter.validate_json(text, strict=True), None
        except ValidationError as error:
            faults = list(error.errors(include_url=False))
    if not isinstance(value, dict) and (blocks_in(annotation) or len(_parts(annotation)) > 1):
        limits = [fault for fault in faults if fault["type"] in _LIMITS]  # of the right type, but out of bounds
        if not limits:
            return value, f"This must be {_type_name(annotation)}, not {shown(value)}."
        faults = limits
    return value, " ".join(dict.fromkeys(sentence(fault, value) for fault in faults))


def near_choice(value: Any, annotation: Any) -> str | None:
    """A sentence for a word that is like one of the words an annotation lets in; None when none is near."""
    if isinstance(value, dict):
        found = (near_choice(inner, annotation) for inner in value.values())
        return next((sentence for sentence in found if sentence), None)
    choices = [choice for choice in _choices(annotation) if isinstance(choice, str)]
    near = nearest(value, choices) if isinstance(value, str) and value not in choices else None
    return f"Did you mean '{near}'?" if near else None


def _choices(annotation: Any) -> Iterator[Any]:
    """What the Literals in an annotation hold."""
    if typing.get_origin(annotation) is typing.Literal:
        yield from typing.get_args(annotation)
        return
    for part in typing.get_args(annotation):
        yield from _choices(part)


def holds_block(value: Any) -> bool:
    """Whether a value is a block that calls a function, or has one inside."""
    if not isinstance(value, dict):
        return False
    return any(str(key).startswith("@") or holds_block(inner) for key, inner in value.items())


def as_json(value: Any) -> tuple[bool, Any]:
    """Whether a default can be written in a config, and how."""
    if isinstance(value, enum.Enum):
        return as_json(value.value)
    if isinstance(value, PurePath):
        return True, str(value)
    if isinstance(value, tuple | list):
        items = [as_json(item) for item in value]
        return all(good for good, _ in items), [item for _, item in items]
    if isinstance(value, Mapping):
        pairs = {key: as_json(item) for key, item in value.items()}
        good = all(isinstance(key, str) and pair[0] for key, pair in pairs.items())
        return good, {key: item for key, (_, item) in pairs.items()}
    return value is None or isinstance(value, bool | int | float | str), value


def join(path: str, key: str) -> str:
    """The config path of `key` below `path`."""
    return f"{path}.{key}" if path else key


def shown(value: Any) -> str:
    """A value as the config writes it, cut when it is long."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_TYPES: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a string",
    type(None): "null",
    list: "a list",
    tuple: "a list",
    Sequence: "a list",
    dict: "a section",
    Mapping: "a section",
    Path: "a path (a string)",
}
_LIMITS = frozenset(
    {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "too_short", "too_long", "value_error"}
)

# Pydantic's wording, in ours; what is not here keeps pydantic's message.
_WORDING = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a section or an object",
    "none_required": "null",
    "path_type": "a path (a string)",
    "callable_type": "a block that calls a registered function",
    "needs_python_object": "a block that calls a registered function",
}


def sentence(fault: Any, value: Any) -> str:
    """A fault that pydantic found in `value`, in our words."""
    place = "".join(f"[{part}]" for part in fault["loc"] if isinstance(part, int))
    given = fault["input"] if fault["loc"] else value
    subject = f"Item {place} of this" if place else "This"
    wording = _WORDING.get(fault["type"])
    if wording:
        return f"{subject} must be {wording}, not {shown(given)}."
    if fault["msg"].startswith("Input should be "):
        message = fault["msg"].removeprefix("Input should be ").replace("'", '"')
        return f"{subject} must be {message}, not {shown(given)}."
    if fault["type"] == "value_error":
        return str(fault["msg"].removeprefix("Value error, "))
    if fault["type"] == "too_short":
        return f"{subject} must not be empty."
    return f"{subject} is not valid: {fault['msg']}, not {shown(given)}."


class _Hashable:
    """An annotation as a key of the cache; typing objects that can't be hashed are told apart by identity."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation

    def __hash__(self) -> int:
        try:
            return hash(self.annotation)
        except TypeError:
            return id(self.annotation)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashable) and (
            self.annotation is other.annotation or bool(self.annotation == other.annotation)
        )


@cache
def _adapters(key: _Hashable) -> tuple[TypeAdapter[Any], ...]:
    """One adapter for the whole annotation, else one per part of a union that JSON can fill, else none."""
    whole = _adapter(key.annotation)
    if whole is not None:
        return (whole,)
    parts = [_adapter(part) for part in _parts(key.annotation) if part is not key.annotation]
    return tuple(part for part in parts if part is not None)


def _adapter(annotation: Any) -> TypeAdapter[Any] | None:
    try:
        return TypeAdapter(annotation)
    except (PydanticUserError, TypeError, NameError, AttributeError):
        return None


def blocks_in(annotation: Any) -> list[str]:
    """The registries whose blocks an annotation lets in by a `Block` mark."""
    if isinstance(annotation, Block):
        return [annotation.kind]
    inner = annotation.__metadata__ if typing.get_origin(annotation) is typing.Annotated else _parts(annotation)
    return [kind for part in inner if part is not annotation for kind in blocks_in(part)]


def _parts(annotation: Any) -> tuple[Any, ...]:
    """The parts of a union, the annotation itself when it is none."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)


def _is_open(annotation: Any) -> bool:
    """An annotation we can say nothing about (a forward reference, a type variable, object)."""
    return annotation is object or isinstance(annotation, str | typing.TypeVar | typing.ForwardRef)


def _type_name(annotation: Any) -> str:
    return " or ".join(dict.fromkeys(_part_name(part) for part in _parts(annotation)))


def _part_name(annotation: Any) -> str:
    if kinds := blocks_in(annotation):
        return f"a block that calls one of the registered {kinds[0]}"
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = annotation.__origin__
    origin = typing.get_origin(annotation) or annotation
    if origin is typing.Literal:
        return " or ".join(shown(choice) for choice in typing.get_args(annotation))
    if origin in _TYPES:
        return _TYPES[origin]
    if _adapter(annotation) is None or origin is Callable:
        return "a block that calls a registered function"
    return str(getattr(annotation, "__name__", annotation))


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__)) + "()"


def _annotation(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    holder = inspect.unwrap(function)
    names = vars(sys.modules.get(getattr(holder, "__module__", ""), builtins))
    try:
        return eval(annotation, dict(names))  # as typing.get_type_hints does, one parameter at a time
    except (NameError, AttributeError, TypeError, SyntaxError):
        return Any
