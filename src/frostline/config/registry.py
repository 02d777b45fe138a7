"""The registry: versioned names for the functions that a config can call.

    @registry.architectures("frostline.Tagger.v1")
    def build_tagger(...): ...

and in the config `@architectures = "frostline.Tagger.v1"`. It speaks Thinc's config language (blocks with one
"@namespace" key, whose other keys are the function's arguments) and keeps its names in catalogue, as Thinc does:
packages of others can add functions by entry points (`frostline_architectures`, ...), and Thinc's own layers,
initializers, losses and ops can be named too.

Nothing is imported before it is needed: a name that is not there yet makes the registry import the packages
that may define it, in order, until it is. What a block must hold is arguments.py's business, filling is fill.py's.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import catalogue

from frostline.config.arguments import Fault, call_arguments, component_faults, raise_faults
from frostline.errors import ConfigError, FrostlineError, did_you_mean

F = TypeVar("F", bound=Callable[..., Any])

CONFIG_PATH = "config_path"  # the attr of a Thinc layer that says which block of the config made it

# Where functions of a namespace are defined; light packages first, since the search stops at the first find.
_HOMES: dict[str, tuple[str, ...]] = {
    "architectures": ("frostline.embedding", "frostline.components", "frostline.layers", "frostline.pretraining"),
    "layers": ("frostline.layers", "frostline.embedding"),
    "components": ("frostline.components", "frostline.embedding", "frostline.pipeline"),
    "optimizers": ("frostline.training",),
    "schedules": ("frostline.training",),
    "loggers": ("frostline.training",),
    "readers": ("frostline.corpora", "frostline.training"),
    "batchers": ("frostline.corpora", "frostline.training"),
    "datasets": ("frostline.corpora",),
    "tokenizers": ("frostline.corpora",),
    "windows": ("frostline.embedding",),
    "poolings": ("frostline.embedding",),
    "annotation_setters": ("frostline.embedding",),
    "losses": ("frostline.layers", "frostline.components", "frostline.training"),
    "initializers": ("frostline.layers",),
    "ops": (),
    "scorers": ("frostline.evaluation", "frostline.components"),
    "objectives": ("frostline.pretraining", "frostline.distillation"),
    "callbacks": ("frostline.training",),
}
# Thinc's schedules and optimizers are left out: ours take their place, since Thinc's can't be saved.
_THINC_NAMESPACES = frozenset({"layers", "losses", "initializers", "ops"})


class Namespace:
    """One kind of function, such as `registry.architectures`. Calling it with a name gives the decorator."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._catalogue: Any = catalogue.Registry(("frostline", kind), entry_points=True)
        self._searched: set[str] = set()
        self._failures: list[str] = []

    def __call__(self, name: str) -> Callable[[F], F]:
        """Register the decorated function under `name`; a later one takes an earlier one's place."""

        def register(function: F) -> F:
            self._catalogue.register(name, func=function)
            return function

        return register

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def get(self, name: str, *, where: str | None = None) -> Callable[..., Any]:
        """The function under `name`.

        Args:
            name: as registered, version and all.
            where: the config path that asks, for the message.
        Raises:
            ConfigError: there is no such name; the nearest one is named.
        """
        found = self._find(name)
        if found is not None:
            return found
        message = f"There is no '{name}' among the registered {self.kind}."
        if self._failures:
            message += f" It may be in a module that could not be imported: {'; '.join(self._failures)}."
        fix = did_you_mean(name, self.names()) + " A function of your own is brought in by --code FILE."
        raise ConfigError(message, where=where, fix=fix)

    def names(self) -> list[str]:
        """Every registered name of ours and of entry points, sorted; imports all that may define one."""
        for package in _HOMES.get(self.kind, ()):
            self._import(package)
        return sorted(self._catalogue.get_all())

    def _find(self, name: str) -> Callable[..., Any] | None:
        if name in self._catalogue:
            return self._known(name)
        for package in _HOMES.get(self.kind, ()):
            self._import(package)
            if name in self._catalogue:
                return self._known(name)
        if self.kind in _THINC_NAMESPACES:
            return self._find_in_thinc(name)
        return None

    def _known(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = self._catalogue.get(name)
        return function

    def _find_in_thinc(self, name: str) -> Callable[..., Any] | None:
        # Importing thinc.api is what registers its functions.
        thinc_registry: Any = importlib.import_module("thinc.api").registry
        if not thinc_registry.has(self.kind, name):
            return None
        function: Callable[..., Any] = thinc_registry.get(self.kind, name)
        return function

    def _import(self, package: str) -> None:
        if package in self._searched:
            return
        self._searched.add(package)
        if importlib.util.find_spec(package) is None:
            return
        for module in _modules_of(package):
            try:
                importlib.import_module(module)
            except ImportError as error:  # one missing extra must not hide the other modules
                if str(error) not in self._failures:
                    self._failures.append(str(error))


def _modules_of(package: str) -> Iterator[str]:
    yield package
    try:
        paths: Iterable[str] = importlib.import_module(package).__path__
    except ImportError:
        return
    for module in pkgutil.iter_modules(paths, prefix=f"{package}."):
        if module.name.endswith(".__main__"):
            continue
        if module.ispkg:
            yield from _modules_of(module.name)
        else:
            yield module.name


class Registry:
    """All namespaces, and how a block of the config becomes the object it describes."""

    def __init__(self) -> None:
        self.architectures = Namespace("architectures")
        self.layers = Namespace("layers")
        self.components = Namespace("components")
        self.optimizers = Namespace("optimizers")
        self.schedules = Namespace("schedules")
        self.loggers = Namespace("loggers")
        self.readers = Namespace("readers")
        self.batchers = Namespace("batchers")
        self.datasets = Namespace("datasets")
        self.tokenizers = Namespace("tokenizers")
        self.windows = Namespace("windows")
        self.poolings = Namespace("poolings")
        self.annotation_setters = Namespace("annotation_setters")
        self.losses = Namespace("losses")
        self.initializers = Namespace("initializers")
        self.ops = Namespace("ops")
        self.scorers = Namespace("scorers")
        self.objectives = Namespace("objectives")
        self.callbacks = Namespace("callbacks")

    def namespaces(self) -> dict[str, Namespace]:
        """Kind -> namespace."""
        return {kind: value for kind, value in vars(self).items() if isinstance(value, Namespace)}

    def function_of(self, block: Mapping[str, Any], *, path: str = "") -> Callable[..., Any]:
        """The function that a block names by its "@namespace" key.

        Raises:
            ConfigError: several such keys, an unknown namespace, an unknown name.
        """
        keys = [key for key in block if key.startswith("@")]
        if len(keys) != 1:
            raise ConfigError(
                f"A block calls one registered function, this one names {len(keys)}: {', '.join(keys) or 'none'}.",
                where=path or None,
                fix="Keep one key that starts with '@'.",
            )
        kind = keys[0][1:]
        namespaces = self.namespaces()
        at = f"{path}.{keys[0]}" if path else keys[0]
        if kind not in namespaces:
            raise ConfigError(f"There is no registry '{kind}'.", where=at, fix=did_you_mean(kind, namespaces))
        name = block[keys[0]]
        if not isinstance(name, str):
            raise ConfigError(f"The name of a function is a string, not {name!r}.", where=at)
        return namespaces[kind].get(name, where=at)

    def resolve(self, section: Mapping[str, Any], *, path: str = "") -> Any:
        """Make what a section describes, inner blocks first.

        Args:
            section: an interpolated section or block. A block gives the object its function returns; any other
                section gives a new dict, in which each block is replaced by its object.
            path: the section's config path, for messages.
        Raises:
            ConfigError: a block's arguments are not what its function takes (all faults of the block at once),
                or the function refuses their values (ValueError, or a ConfigError that may name the argument in
                `where`).
        """
        if not any(key.startswith("@") for key in section):
            return {key: self._value(value, _join(path, key)) for key, value in section.items()}
        function = self.function_of(section, path=path)
        given = {key: value for key, value in section.items() if not key.startswith("@")}
        return self._call(function, given, path=path, supplied={})

    def resolve_component(self, name: str, section: Mapping[str, Any], **supplied: Any) -> Any:
        """Make one component from its [components.<name>] section.

        Args:
            name: the component's name in the pipeline; given to the factory when it takes `name`.
            section: `factory` names a function of `registry.components`, the rest are its arguments.
            supplied: what the pipeline itself gives to the factory, where the factory takes it.
        Raises:
            ConfigError: as `resolve` does.
        """
        path = f"components.{name}"
        faults = component_faults(section, path)
        if faults:
            raise_faults(faults)
        function = self.components.get(section["factory"], where=f"{path}.factory")
        given = {key: value for key, value in section.items() if key != "factory"}
        return self._call(function, given, path=path, supplied={"name": name, **supplied})

    def _call(
        self, function: Callable[..., Any], given: Mapping[str, Any], *, path: str, supplied: Mapping[str, Any]
    ) -> Any:
        positional, keywords, faults = call_arguments(function, given, path=path, supplied=supplied)
        if faults:
            raise_faults(faults)
        args = [self._value(value, f"{path}.*") for value in positional]
        kwargs = {key: self._value(value, _join(path, key)) for key, value in keywords.items()}
        try:
            made = function(*args, **kwargs)
        except FrostlineError as error:
            _place(error, path, function)
            raise
        except ValueError as error:
            raise ConfigError(str(error), where=path or None) from error
        _note_path(made, path)
        return made

    def _value(self, value: Any, path: str) -> Any:
        return self.resolve(value, path=path) if isinstance(value, dict) else value


def _place(error: FrostlineError, path: str, function: Callable[..., Any]) -> None:
    """Give an error of a block's function its config path; where it names an argument, that argument's."""
    if error.where is None:
        error.where = path or None
    elif path and error.where.partition(".")[0] in inspect.signature(function).parameters:
        error.where = f"{path}.{error.where}"


def _note_path(made: Any, path: str) -> None:
    """Let a Thinc layer remember which block made it, for the errors that only its use or its neighbours show."""
    if path and hasattr(made, "walk") and isinstance(getattr(made, "attrs", None), dict):
        made.attrs.setdefault(CONFIG_PATH, path)  # a function may hand on what an inner block made


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


registry = Registry()

__all__ = ["CONFIG_PATH", "Fault", "Namespace", "Registry", "registry"]
