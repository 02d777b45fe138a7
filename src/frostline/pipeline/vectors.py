"""The static vectors of a pipeline: where they come from, and that they stay the same.

A new pipeline opens the folders that its config names. A saved one keeps what it was trained with in its own folder,
once each, and notes their digests; it opens no others.

    vectors/<digest, shortened>/     the folder, its bytes shared with the source where the file system allows
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from thinc.api import Model

from frostline.embedding.static_vectors import StaticVectors, static_vectors_in
from frostline.errors import ModelFileError
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.wiring import models_of, path_of
from frostline.vectors import open_vectors
from frostline.vectors.store import check_bytes, keep_vectors

FOLDER = "vectors"
_AGAIN = "Copy the model again, or train it again with these vectors."


def layers_with_vectors(parts: Iterable[tuple[str, Model]]) -> Iterator[tuple[str, StaticVectors]]:
    """The layers of a pipeline's parts that read static vectors, by the config paths of their blocks."""
    for name, model in parts:
        for node, layer in static_vectors_in(model):
            yield path_of(node, name), layer


def attach_named(pipeline: Pipeline) -> None:
    """Open the folders that the config names.

    Raises:
        ModelFileError: a folder is missing or broken; it says which block names it.
    """
    for path, layer in layers_with_vectors(models_of(pipeline)):
        try:
            layer.attach(open_vectors(layer.path))
        except ModelFileError as error:
            error.message = f"{error.message.rstrip('.')} (named by {path}.path)."
            raise


def digests_of(pipeline: Pipeline) -> dict[str, str]:
    """The digest of the vectors that each block reads, by its config path."""
    return {path: layer.ready.digest for path, layer in layers_with_vectors(models_of(pipeline))}


def check_vectors(pipeline: Pipeline) -> None:
    """Read every byte of the vectors that the blocks read; ModelFileError where they are not as their digest says."""
    for folder in {layer.ready.folder for _, layer in layers_with_vectors(models_of(pipeline))}:
        if folder is not None:
            check_bytes(folder)


def save_vectors(pipeline: Pipeline, model: Path) -> None:
    """Keep the vectors in a model's folder."""
    for _, layer in layers_with_vectors(models_of(pipeline)):
        place = _place(model, layer.ready.digest)
        if not place.exists():
            keep_vectors(layer.ready, place)


def attach_saved(pipeline: Pipeline, model: Path, digests: Mapping[str, Any]) -> None:
    """Open the vectors that a saved model keeps.

    Args:
        digests: what `digests_of` gave when it was saved.
    Raises:
        ModelFileError: they are missing, changed, or others than those it was trained with: every byte is read.
    """
    for path, layer in layers_with_vectors(models_of(pipeline)):
        digest = str(digests.get(path, ""))
        place = _place(model, digest)
        if not digest or not place.is_dir():
            raise ModelFileError(f"The vectors of {path} are missing.", where=str(place), fix=_AGAIN)
        vectors = open_vectors(place)
        if vectors.digest != digest:
            raise ModelFileError(
                f"{path} was trained with the vectors {digest[:16]}, but these are {vectors.digest[:16]}: "
                "with other vectors its weights mean nothing.",
                where=str(place),
                fix=_AGAIN,
            )
        try:
            check_bytes(place)
        except ModelFileError as error:
            error.fix = _AGAIN
            raise
        layer.attach(vectors)


def _place(model: Path, digest: str) -> Path:
    return model / FOLDER / digest[:16]
