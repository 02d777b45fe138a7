"""What publishers left on a doc, by their names: a dict that says why a name is not there."""

from __future__ import annotations

from typing import Any

from frostline.errors import UsageError, did_you_mean


class NotPublished(UsageError, KeyError):
    """No publisher left anything on the doc under this name."""


class ByPublisher(dict[str, Any]):
    """Publisher -> its output for the doc. Raises NotPublished, which is a KeyError too, for a name without."""

    __slots__ = ()

    def __missing__(self, name: str) -> Any:
        others = f" {did_you_mean(str(name), self)}" if self else ""
        raise NotPublished(
            f"Nothing of '{name}' is on this doc: either it does not write to docs, or its output was let go with the "
            "batch.",
            fix=f'Let it write: annotating_components = ["{name}"] under [training]. To keep what it writes: '
            f"pipeline.pipe(texts, keep_activations=True).{others}",
        )
