"""Open a corpus the way a config says: its own readers decide how documents are cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from frostline.config import registry
from frostline.errors import ConfigError, did_you_mean
from frostline.tokens import Doc


def reader_of(config: Mapping[str, Any], name: str) -> Iterable[Doc]:
    """The docs of the corpus `corpora.<name>`; can be gone through again and again.

    Raises:
        ConfigError: there is no such section. CorpusError: its corpus is missing or broken.
    """
    corpora = config.get("corpora", {})
    if name not in corpora:
        raise ConfigError(f"There is no section [corpora.{name}].", where="corpora", fix=did_you_mean(name, corpora))
    return _open(corpora[name], f"corpora.{name}")


def docs_of(config: Mapping[str, Any], path: Path) -> Iterable[Doc]:
    """The docs of a corpus folder, cut as the config cuts this very path, or else as it cuts its dev corpus."""
    corpora = config.get("corpora", {})
    for name, section in corpora.items():
        if section.get("path") is not None and Path(section["path"]) == path:
            return _open(section, f"corpora.{name}")
    name = next((name for name in ("dev", "train") if name in corpora), None)
    block = corpora[name] if name else {"@readers": "frostline.Corpus.v1"}
    return _open({**block, "path": str(path)}, f"corpora.{name or 'dev'}")


def _open(block: Mapping[str, Any], where: str) -> Iterable[Doc]:
    docs: Iterable[Doc] = registry.resolve(block, path=where)
    return docs
