"""Static word vectors as features of an embedding.

The vectors themselves stay as they are, mapped from their folder, and are one object for all layers that name it. What
is learnt is a matrix that brings them to the width of the layers beside them. A saved pipeline keeps its vectors and
knows them by their digest: see pipeline/vectors.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from thinc.api import Model
from torch import Tensor, nn

from frostline.config import registry
from frostline.config.arguments import EMPTY_PATH, NAME_A_PATH
from frostline.errors import ConfigError
from frostline.layers.distinct_words import DistinctWords
from frostline.layers.graph import READS_WORDS, module_layer
from frostline.layers.maxout import check_counts
from frostline.tokens import Doc
from frostline.vectors import Vectors


class StaticVectors(nn.Module):
    """Distinct words -> (n_words, width) float32: their vectors times a learnt matrix; zeros for an unknown word.

    It is made without vectors; `attach` brings them.
    """

    def __init__(self, path: str, width: int) -> None:
        super().__init__()
        self.path = path
        self.width = width
        self.vectors: Vectors | None = None
        self.projection: nn.Linear | None = None

    @property
    def ready(self) -> Vectors:
        """The vectors; RuntimeError before `attach`."""
        if self.vectors is None:
            raise RuntimeError("The vectors have not been opened yet.")
        return self.vectors

    def attach(self, vectors: Vectors) -> None:
        """Use these vectors; the matrix is made anew."""
        self.vectors = vectors
        self.projection = nn.Linear(vectors.width, self.width, bias=False)

    def forward(self, words: DistinctWords) -> Tensor:
        """Each distinct word is looked up once."""
        vectors = torch.from_numpy(self.ready.vectors_of(words.words)).to(words.device)
        assert self.projection is not None
        projected: Tensor = self.projection(vectors)
        return projected.float()


@registry.architectures("frostline.StaticVectors.v1")
def build_static_vectors(*, path: str, width: int = 96) -> Model[list[Doc], Tensor]:
    """Word vectors from a folder that `frostline init vectors` wrote, as features.

    path: the folder; all layers that name it share its memory.
    width: of what comes out; a learnt matrix brings the vectors to it.
    """
    if not path:
        raise ConfigError(EMPTY_PATH, where="path", fix=NAME_A_PATH)
    check_counts(width=width)
    return module_layer("static_vectors", StaticVectors(path, width), reads=READS_WORDS, width=width)


def static_vectors_in(model: Model) -> Iterator[tuple[Model, StaticVectors]]:
    """The layers of a model tree that read static vectors."""
    for node in model.walk():
        module = node.attrs.get("torch_module")
        if isinstance(module, StaticVectors):
            yield node, module
