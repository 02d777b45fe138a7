"""Configs: Thinc's config language with registries of our own, overlays, overrides and strict checks.

    from frostline.config import registry

is all that a package needs in order to register its functions. Imports neither torch nor thinc.
"""

from __future__ import annotations

from frostline.config.registry import registry

__all__ = ["registry"]
