"""Asking a config for its parts, with a message when one is not there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frostline.errors import ConfigError


def require(config: Mapping[str, Any], name: str, *, file: Path) -> dict[str, Any]:
    """The section `name`, which must be there and hold something.

    Args:
        file: the config's, for the message.
    Raises:
        ConfigError: it is not there, or empty.
    """
    section = config.get(name)
    if not section:
        fix = f"Add it, or start from one of the configs that have it. Sections here: {', '.join(config)}."
        raise ConfigError(f"The config has no section [{name}], which this command needs.", where=str(file), fix=fix)
    assert isinstance(section, dict)
    return section
