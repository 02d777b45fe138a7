"""Python files of users (`--code FILE`): imported once, so that the functions they register can be named.

A run whose code has changed is another run, so the files are digested, with the modules of the user's own that they
import: found by reading, as those that are loaded or would be found; installed packages are told by their versions.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TypeAlias

from frostline.digest import sha256_bytes
from frostline.errors import ConfigError


def import_file(path: Path) -> None:
    """Import a Python file by its path.

    Raises:
        ConfigError: it is not there, is no Python, or fails; with the line in it that failed.
    """
    if not path.is_file():
        raise ConfigError(f"There is no Python file '{path}'.", where="--code", fix="Give the path of a .py file.")
    name = f"frostline_code_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"'{path}' is no Python file.", where="--code", fix="Give the path of a .py file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _imported.append(path.resolve())
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's code raises
        del sys.modules[name]
        raise ConfigError(
            f"The code in '{path}' fails: {type(error).__name__}: {error}", where=_line_of(error, path)
        ) from error


def fault_of_code(error: Exception) -> ConfigError | None:
    """What to tell of an exception that passed through a file of the user's own; None for one that met none.

    It names the line of theirs that is nearest to where it was raised.
    """
    own = {*_imported, *_digests([path for path in _imported if path.is_file()])}
    passed = [
        (frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)
        if Path(frame.f_code.co_filename).resolve() in own
    ]  # fmt: skip
    if not passed:
        return None
    code, line = passed[-1]
    words = "".join(traceback.format_exception_only(error)).strip()
    return ConfigError(
        f"The code in '{code.co_filename}' fails: {words}",
        where=f"{code.co_filename}:{line}, in {code.co_qualname}",
        fix="Mend it there; FROSTLINE_DEBUG=1 shows the whole traceback.",
    )


CodeFiles: TypeAlias = tuple[tuple[str, str], ...]  # names, for messages, and digests of what is in them

_INSTALLED = ("site-packages", "dist-packages")
_imported: list[Path] = []  # by `import_file`, in this process


def code_of(paths: Sequence[Path]) -> CodeFiles:
    """The digests of code files that have been imported, in their order, and then of the own modules they import."""
    return tuple((path.name, digest) for path, digest in _digests(paths).items())


def _digests(paths: Sequence[Path]) -> dict[Path, str]:
    found: dict[Path, str] = {}
    pending = [(path.resolve(), "") for path in paths]
    while pending:
        path, package = pending.pop(0)
        if path in found:
            continue
        content = path.read_bytes()
        found[path] = sha256_bytes(content)
        if path.suffix == ".py":
            pending += sorted(_own_modules(content, package))
    return found


def _own_modules(content: bytes, package: str) -> Iterator[tuple[Path, str]]:
    """The files of what a module's source imports, with the packages they are in; what is installed is left out."""
    for name in {prefix for imported in _imports(content, package) for prefix in _prefixes(imported)}:
        top = name.partition(".")[0]
        path = None if top in sys.stdlib_module_names or top == "frostline" else _file_of(name)
        if path is not None and not any(part in _INSTALLED for part in path.parts):
            yield path, name if path.stem == "__init__" else name.rpartition(".")[0]


def _imports(content: bytes, package: str) -> Iterator[str]:
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # of a module that nobody has imported yet
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (above, node.module) if part)
            yield from (f"{module}.{alias.name}" if module else alias.name for alias in node.names)


def _prefixes(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def _file_of(name: str) -> Path | None:
    """Where a module that is loaded came from, or one that is not would; None where there is none."""
    if name in sys.modules:
        file = getattr(sys.modules[name], "__file__", None)
    else:
        spec = _spec_of(name)
        file = spec.origin if spec is not None and spec.has_location else None
    return Path(file).resolve() if file and Path(file).is_file() else None


def _spec_of(name: str) -> ModuleSpec | None:
    """How a module would be found; nothing is imported for it, the packages that it lies in neither."""
    parent = name.rpartition(".")[0]
    try:
        if not parent:
            return importlib.util.find_spec(name)
        folders = getattr(sys.modules.get(parent), "__path__", None)
        if folders is None:
            package = _spec_of(parent)
            folders = package.submodule_search_locations if package is not None else None
        return None if folders is None else PathFinder.find_spec(name, folders)
    except (ImportError, KeyError, ValueError):  # KeyError: a folder without __init__.py within another
        return None


def _line_of(error: Exception, path: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)
