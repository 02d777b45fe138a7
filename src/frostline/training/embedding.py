"""`frostline embed`: from a model or a config to the stored activations of its publisher.

Here and not beside the computation itself (embedding/embed_step.py), because it needs a pipeline with its encoders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from frostline.config import Config
from frostline.console import say
from frostline.embedding.embed_step import embed
from frostline.errors import ConfigError
from frostline.pipeline.reading import docs_of
from frostline.pipeline.serialize import load
from frostline.pipeline.wiring import assemble
from frostline.tokens import Doc
from frostline.training.initialize import load_encoders
from frostline.training.randomness import set_up


def embed_corpora(
    source: Path | Config, corpora: Sequence[Path], output: Path, *, device: str = "", threads: int = 0
) -> int:
    """Write the activations of corpora, as a frozen publisher computes them, to the folder `output`.

    Args:
        source: a model's folder, or a filled config, whose encoder comes from where the config says.
        corpora: folders, cut as the config cuts these paths, or else its dev corpus.
        device: in torch's notation; "" for the config's own.
        threads: that torch computes with; 0 for the config's own number.
    Returns:
        How many different docs were stored.
    Raises:
        ConfigError: the pipeline has not exactly one publisher.
        ModelFileError, CorpusError: the model, the encoder or a corpus is missing or broken.
    """
    if isinstance(source, Path):
        pipeline = load(source, device=device)
    else:
        pipeline = assemble(source, device=device or source["system"]["device"])
        load_encoders(pipeline)
    system: dict[str, Any] = pipeline.config.get("system", {})
    threads = threads or system.get("threads", 0)
    set_up(system.get("seed", 0), deterministic=system.get("deterministic", "yes"), threads=threads)
    if len(pipeline.publishers) != 1:
        raise ConfigError(
            f"To embed, a pipeline has one publisher; this one has {len(pipeline.publishers)}.",
            where="pipeline.components",
            fix="Use the config of a variant with a shared transformer.",
        )
    (publisher,) = pipeline.publishers.values()

    def docs() -> Iterator[Doc]:
        for path in corpora:
            yield from docs_of(pipeline.config, path)

    return embed(publisher.transformer, docs(), output, say=say)
