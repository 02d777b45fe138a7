"""Give a component a frozen copy of the publisher it reads, so that the publisher may move without it.

In a config (`training.replace_listeners`) that is a change of blocks: the reader becomes `frostline.Independent.v1`
with the publisher's own transformer, frozen. In a pipeline that has weights they go along.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from frostline.config import Config
from frostline.errors import ConfigError, did_you_mean

PUBLISHER_FACTORIES = ("publisher", "transformer", "tok2vec")
READERS = ("frostline.Listener.v1", "frostline.Annotations.v1")


def with_private_copies(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config that `training.replace_listeners` describes; the same one when that is empty.

    Raises:
        ConfigError: a name is no component, or one that reads no publisher.
    """
    training = config.get("training") or {}
    names = list(training.get("replace_listeners") or ())
    if not names:
        return config if isinstance(config, dict) else dict(config)
    changed = copy.deepcopy(dict(config))
    for name in names:
        _replace_readers(changed, name)
    changed["training"]["replace_listeners"] = []
    if isinstance(config, Config):
        return Config(changed, is_interpolated=config.is_interpolated, origins=config.origins)
    return changed


def _replace_readers(config: dict[str, Any], name: str) -> None:
    components = config.get("components") or {}
    order = list(config["pipeline"]["components"])
    where = "training.replace_listeners"
    if name not in order or name not in components:
        raise ConfigError(f"'{name}' is no component of the pipeline.", where=where, fix=did_you_mean(name, order))
    blocks = list(_readers_in(components[name]))
    if not blocks:
        fix = "Take it out of the list: a component with a transformer of its own needs no copy."
        raise ConfigError(f"'{name}' reads no publisher.", where=where, fix=fix)
    for block in blocks:
        publisher = _publisher_of(block, components, order[: order.index(name)])
        if publisher is None:
            continue  # the wiring says what is wrong with it
        kept: dict[str, Any] = {key: block[key] for key in ("pooling", "layer") if key in block}
        block.clear()
        block["@architectures"] = "frostline.Independent.v1"
        block.update(kept)
        block["transformer"] = copy.deepcopy(components[publisher]["model"])
        block["copy_of"] = publisher


def _readers_in(section: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(section, dict):
        return
    if section.get("@architectures") in READERS:
        yield section
        return
    for inner in section.values():
        yield from _readers_in(inner)


def _publisher_of(block: Mapping[str, Any], components: Mapping[str, Any], before: list[str]) -> str | None:
    """The nearest publisher before, or the one that the block names."""
    publishers = [name for name in before if (components.get(name) or {}).get("factory") in PUBLISHER_FACTORIES]
    wanted = block.get("publisher", "*")
    if wanted == "*":
        return publishers[-1] if publishers else None
    return wanted if wanted in publishers else None
