"""Configs: Thinc's config language with registries of our own, overlays, overrides and strict checks.

    from frostline.config import registry

is all that a package needs in order to register its functions. Imports neither torch nor thinc.
"""

from __future__ import annotations

from frostline.config.fill import fill_config
from frostline.config.loading import Config, interpolate_config, load_config, parse_overrides
from frostline.config.registry import registry

__all__ = ["Config", "fill_config", "interpolate_config", "load_config", "parse_overrides", "registry"]
