"""Python files of users (`--code FILE`): imported once, so that the functions they register can be named."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

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
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's code raises
        del sys.modules[name]
        raise ConfigError(
            f"The code in '{path}' fails: {type(error).__name__}: {error}", where=_line_of(error, path)
        ) from error


def _line_of(error: Exception, path: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)
