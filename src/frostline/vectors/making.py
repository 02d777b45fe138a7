"""What `frostline init vectors` does with vectors once they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frostline.errors import UsageError
from frostline.vectors.pruning import prune
from frostline.vectors.reading import read_words
from frostline.vectors.store import write_vectors
from frostline.vectors.table import Vectors


def make_vectors(vectors: Vectors, dest: Path, *, prune_to: int | None = None) -> dict[str, Any]:
    """Prune vectors, where that is wanted, and write them to the folder `dest`.

    Returns:
        What was written: words, vectors, width, digest, output.
    Raises:
        UsageError: something else stands at `dest`. ConfigError: `prune_to` is below 1.
    """
    if prune_to is not None:
        vectors = prune(vectors, prune_to)
    digest = write_vectors(vectors, dest)
    return {
        "words": len(vectors), "vectors": len(vectors.table), "width": vectors.width, "digest": digest,
        "output": str(dest),
    }  # fmt: skip


def vocabulary_of(words: Path | None, max_words: int | None = None) -> list[str]:
    """The first words of a list; UsageError where none is given."""
    if words is None:
        fix = "Give a file with one word on a line, the most frequent first."
        message = "A transformer is asked for the vectors of a list of words, but there is none."
        raise UsageError(message, where="--words", fix=fix)
    return read_words(words)[:max_words]
