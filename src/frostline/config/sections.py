"""Asking a config for its parts, with a message when one is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frostline.errors import ConfigError, did_you_mean


def require(config: Mapping[str, Any], name: str, *, of: str) -> dict[str, Any]:
    """The section `name`, which must be there and hold something.

    Args:
        of: who needs it, for the message.
    Raises:
        ConfigError: it is not there, or empty.
    """
    section = config.get(name)
    if not section:
        raise ConfigError(f"The config has no section [{name}], which {of} needs.", fix=did_you_mean(name, config))
    assert isinstance(section, dict)
    return section
