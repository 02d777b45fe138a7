"""Fill a config with every default and check all of it, so that no value is missing and none surprises later.

Sections are checked against schemas.py, blocks and components against the signatures of the functions they call. All
faults are found in one go and raised as one error, each with its config path, file and line. Functions are looked
up, never called: a model is built by `registry.resolve`.
"""

from __future__ import annotations

import copy
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic.fields import FieldInfo

from frostline.config.arguments import (
    EMPTY_PATH,
    NAME_A_PATH,
    Fault,
    as_json,
    blocks_in,
    call_arguments,
    checked,
    component_faults,
    join,
    near_choice,
    raise_faults,
    settings_of,
)
from frostline.config.loading import Config, interpolate_config
from frostline.config.registry import registry
from frostline.config.schemas import ConfigSections, Section
from frostline.errors import ConfigError, did_you_mean

_GIVEN_BY_THE_PIPELINE: dict[str, Any] = {"name": ""}


def fill_config(config: Config) -> tuple[Config, list[str]]:
    """The config with all defaults filled in, and the config paths of what was added.

    A config whose references are not replaced keeps them: only what is added is new.

    Raises:
        ConfigError: all faults at once: unknown keys and functions, missing values, wrong types, components that are
            named but not there.
    """
    interpolated = config if config.is_interpolated else interpolate_config(config)
    filler = _Filler()
    filled = filler.section(copy.deepcopy(dict(interpolated)), ConfigSections, "")
    if not filler.faults:
        filler.faults.extend(_across_sections(filled))
    if filler.faults:
        raise_faults(filler.faults, interpolated.locate)
    if config.is_interpolated:
        return Config(filled, is_interpolated=True, origins=config.origins), filler.added
    kept = _with_references(filled, config)
    return Config(kept, is_interpolated=False, origins=config.origins), filler.added


class _Filler:
    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.added: list[str] = []

    def section(self, given: dict[str, Any], schema: type[Section], path: str) -> dict[str, Any]:
        """A section of ours: its known keys first, in the schema's order."""
        filled: dict[str, Any] = {}
        for name, field in schema.model_fields.items():
            at = join(path, name)
            if name in given:
                filled[name] = self._field(given[name], field, at)
            elif (inner := _schema_of(field)) is not None and field.is_required():
                self.added.append(at)
                filled[name] = self.section({}, inner, at)
            elif field.is_required():
                self._fault(at, f"A value is missing: {field.description}.")
            elif path or field.get_default() is not None:
                self.added.append(at)
                filled[name] = self._field(as_json(field.get_default())[1], field, at)
        for name in given:
            if name not in schema.model_fields:
                what = f"[{path}] takes no '{name}'." if path else f"A config has no section [{name}]."
                options = [option for option in schema.model_fields if option not in given]
                self._fault(join(path, name), what, did_you_mean(name, options or schema.model_fields))
        return filled

    def _field(self, value: Any, field: FieldInfo, path: str) -> Any:
        inner = _schema_of(field)
        if inner is not None and isinstance(value, dict):
            return self.section(value, inner, path)
        annotation: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        if path in ("paths", "training.activations") and isinstance(value, dict):
            self._refuse_empty(value, path)
        if path == "components" and isinstance(value, dict):
            return {name: self.component(section, join(path, name)) for name, section in value.items()}
        if path == "corpora" and isinstance(value, dict):
            return {name: self._block_field(block, ["readers"], join(path, name)) for name, block in value.items()}
        kinds = blocks_in(annotation)
        if kinds and isinstance(value, dict):
            return self._block_field(value, kinds, path)
        fault = checked(value, annotation)[1]
        if fault:
            meaning = f"'{path.rpartition('.')[2]}' means: {field.description}." if field.description else None
            self._fault(path, fault, near_choice(value, annotation) or meaning)
            return value
        return self.values(value, path)

    def _refuse_empty(self, places: Mapping[str, Any], path: str) -> None:
        """An empty path would be the folder that the command was started in, which nobody means by it."""
        for name, place in places.items():
            if place == "":
                self._fault(join(path, name), EMPTY_PATH, NAME_A_PATH)

    def _block_field(self, value: Any, kinds: list[str], path: str) -> Any:
        if not isinstance(value, dict) or not any(key.startswith("@") for key in value):
            message = f"This must be a block that calls one of the registered {kinds[0]} (with a key '@{kinds[0]}')."
            self._fault(path, message)
            return value
        named = [key[1:] for key in value if key.startswith("@")]
        if named[0] not in kinds and named[0] in registry.namespaces():
            message = f"Here goes one of the registered {kinds[0]}, not of the {named[0]}."
            self._fault(join(path, f"@{named[0]}"), message)
            return value
        return self.block(value, path)

    def values(self, value: Any, path: str) -> Any:
        """Anything that may have blocks inside."""
        if not isinstance(value, dict):
            return value
        if any(key.startswith("@") for key in value):
            return self.block(value, path)
        return {key: self.values(inner, join(path, key)) for key, inner in value.items()}

    def block(self, block: dict[str, Any], path: str) -> dict[str, Any]:
        """A block that calls a registered function, filled from its signature."""
        try:
            function = registry.function_of(block, path=path)
        except ConfigError as error:
            self._fault(error.where or path, error.message, error.fix)
            return block
        head = {key: value for key, value in block.items() if key.startswith("@")}
        return {**head, **self._arguments(function, block, head, path, supplied={})}

    def component(self, section: Any, path: str) -> Any:
        """A [components.*] section, filled from the signature of its factory."""
        faults = component_faults(section, path)
        if faults:
            self.faults.extend(faults)
            return section
        try:
            function = registry.components.get(section["factory"], where=join(path, "factory"))
        except ConfigError as error:
            self._fault(error.where or path, error.message, error.fix)
            return section
        head = {"factory": section["factory"]}
        return {**head, **self._arguments(function, section, head, path, supplied=_GIVEN_BY_THE_PIPELINE)}

    def _arguments(
        self,
        function: Any,
        section: Mapping[str, Any],
        head: Mapping[str, Any],
        path: str,
        *,
        supplied: Mapping[str, Any],
    ) -> dict[str, Any]:
        given = {key: value for key, value in section.items() if key not in head}
        _, _, faults = call_arguments(function, given, path=path, supplied=supplied)
        self.faults.extend(faults)
        for setting in settings_of(function)[0]:
            if setting.name not in given and setting.name not in supplied and setting.fillable:
                given[setting.name] = copy.deepcopy(setting.default)
                self.added.append(join(path, setting.name))
        return {key: self.values(value, join(path, key)) for key, value in given.items()}

    def _fault(self, path: str, message: str, fix: str | None = None) -> None:
        self.faults.append(Fault(path=path, message=message, fix=fix))


def _across_sections(config: dict[str, Any]) -> Iterator[Fault]:
    """What only several sections together show: names that stand in a list but nowhere else. Fills training.seed."""
    training = config.get("training", {})
    if training and training["seed"] is None:
        training["seed"] = config["system"]["seed"]
    if training and "pipeline" not in config and not config.get("pretraining"):
        fix = 'Write [pipeline] with a line such as components = ["transformer", "tagger"].'
        yield Fault(path="pipeline", message="There is no pipeline to train.", fix=fix)
        return
    names = config.get("pipeline", {}).get("components", [])
    for name in names:
        if name not in config["components"]:
            message = f"There is no section [components.{name}]."
            yield Fault(path="pipeline.components", message=message, fix=did_you_mean(name, config["components"]))
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Fault(path="pipeline.components", message=f"'{name}' is listed twice.", fix="Keep one of them.")
    for key in ("frozen_components", "annotating_components", "replace_listeners"):
        for name in training.get(key, ()):
            if name not in names:
                message = f"'{name}' is no component of the pipeline."
                yield Fault(path=f"training.{key}", message=message, fix=did_you_mean(name, names))


def _with_references(filled: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """`filled`, but with what stands in `written` where that is a value."""
    result: dict[str, Any] = {}
    for key, value in filled.items():
        if key not in written:
            result[key] = value
        elif isinstance(value, dict) and isinstance(written[key], dict):
            result[key] = _with_references(value, written[key])
        else:
            result[key] = written[key]
    return result


def _schema_of(field: FieldInfo) -> type[Section] | None:
    for part in (field.annotation, *typing.get_args(field.annotation)):
        if isinstance(part, type) and issubclass(part, Section):
            return part
    return None
