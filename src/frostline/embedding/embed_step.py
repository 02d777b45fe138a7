"""`frostline embed`: compute a frozen transformer's activations of whole corpora once, for every run that reads them.

The output holds, for each doc as the config's readers cut it, the numbers that a training run would compute itself,
bit for bit; runs find them by what the windows see, so a changed word, encoder or setting is simply not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch

from frostline.corpora.batching import batch_by_words
from frostline.embedding.store import write_activations
from frostline.embedding.transformer import Input, Transformer
from frostline.tokens import Doc

WORDS_AT_ONCE = 20_000  # in whole docs


def embed(
    transformer: Transformer, docs: Iterable[Doc], output: Path, *, say: Callable[[str], None] = lambda text: None
) -> int:
    """Write the activations of `docs` to the folder `output`, whole or not at all.

    Args:
        transformer: with its encoder loaded; computes as a frozen one does.
        docs: cut as the runs that will read the output cut them; a doc that comes twice is stored once.
        say: told about the progress every few thousand words.
    Returns:
        How many different docs were stored.
    """
    counts = {"docs": 0, "words": 0}

    def entries() -> Iterator[tuple[bytes, npt.NDArray[Any]]]:
        seen: set[bytes] = set()
        for batch in batch_by_words(docs, WORDS_AT_ONCE):
            given = transformer.read(batch)
            fresh: dict[bytes, int] = {}
            for place, key in enumerate(given.keys()):
                if len(batch[place]) and key not in seen:
                    seen.add(key)
                    fresh[key] = place
            if not fresh:
                continue
            computed = _compute(transformer, transformer.some(given, list(fresh.values())))
            for (key, place), part in zip(fresh.items(), computed, strict=True):
                counts["docs"] += 1
                counts["words"] += len(batch[place])
                yield key, part
            say(f"embedded {counts['words']:,} words in {counts['docs']:,} docs")

    storage = transformer.settings.storage
    with transformer.fixed_weights():
        write_activations(output, transformer.store_settings(), entries(), storage=storage)
    return counts["docs"]


def _compute(transformer: Transformer, given: Input) -> list[npt.NDArray[Any]]:
    with torch.no_grad():
        computed, lengths = transformer.frozen_activations(given)
    return [part.cpu().numpy() for part in torch.split(computed, lengths, dim=1)]
