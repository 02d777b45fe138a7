"""What a publisher, and an independent component, ask of a model: that it computes activations of docs.

An `Embedder` is a transformer, a tok2vec, or anything of yours; it lies under `attrs["embedder"]` of a Thinc layer.
A layer without one that gives a row for each token serves as well: `tok2vec.publishing` lets it publish its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from thinc.api import Model
from torch import nn

from frostline.config.registry import CONFIG_PATH
from frostline.embedding.activations import Activations
from frostline.errors import ConfigError
from frostline.tokens import Doc

EMBEDDER = "embedder"


class Embedder(Protocol):
    """Computes `Activations`. Its hidden states have numbers from 0, the embeddings, to the last."""

    kind: str  # "transformer", "tok2vec": names the weights of a private one, `<component>.<kind>`
    layers: tuple[int, ...] | None  # hidden states to compute: what readers ask for; None for all
    device: str

    @property
    def width(self) -> int:
        """Numbers in one vector."""

    @property
    def n_hidden_states(self) -> int:
        """How many there are."""

    @property
    def precision(self) -> str:
        """Of the arithmetic: float32, bf16 or float16."""

    @property
    def module(self) -> nn.Module:
        """All its torch parameters."""

    @property
    def keeps_files(self) -> bool:
        """Whether `save` and `load` handle its weights. Otherwise they lie among the part's own, by `module`."""

    def compute(self, docs: Sequence[Doc], *, is_train: bool, wants_gradient: bool = True) -> Activations:
        """Activations of a batch.

        Args:
            is_train: training behaviour of the parts whose mode says so.
            wants_gradient: False when no reader sends a gradient back: then it computes as in prediction.
        """

    def prepare(self, *, seed: int) -> None:
        """Bring the weights that training starts with; those that are random are a function of the seed."""

    def load(self, folder: Path) -> Any:
        """Bring what `save` wrote."""

    def save(self, folder: Path) -> None:
        """Write the weights to a new folder, when `keeps_files`."""

    def digest(self) -> str:
        """Hex digest of what a training run depends on and its config does not say, such as weights from files."""

    def fixed_weights(self) -> AbstractContextManager[None]:
        """A block in which the weights stay, so that predictions may share what they convert."""


def embedder_of(model: Model) -> Embedder:
    """The embedder of a layer; ConfigError where it has none."""
    embedder: Embedder | None = model.attrs.get(EMBEDDER)
    if embedder is None:
        raise ConfigError(
            f"The layer '{model.name}' publishes no activations.",
            where=model.attrs.get(CONFIG_PATH),
            fix="Give a block such as frostline.Transformer.v1 or frostline.Tok2Vec.v1.",
        )
    return embedder


def embedder_nodes(model: Model) -> Iterator[Model]:
    """The layers of a model tree that have an embedder."""
    return (node for node in model.walk() if EMBEDDER in node.attrs)


def embedders_in(model: Model) -> Iterator[Embedder]:
    """The embedders in a model tree."""
    return (embedder_of(node) for node in embedder_nodes(model))


def prepare(node: Model, *, seed: int) -> None:
    """Bring the weights of a layer with an embedder, and show its module to whoever walks the model."""
    embedder = embedder_of(node)
    with _told_by_path(node, embedder):
        embedder.prepare(seed=seed)
    node.attrs["torch_module"] = embedder.module


def load(node: Model, folder: Path) -> None:
    """The same from a saved model's folder."""
    embedder = embedder_of(node)
    with _told_by_path(node, embedder):
        embedder.load(folder)
    node.attrs["torch_module"] = embedder.module


@contextmanager
def _told_by_path(node: Model, embedder: Embedder) -> Iterator[None]:
    """Let faults of a layer's settings name the place of its block in the config."""
    path = node.attrs.get(CONFIG_PATH)
    if hasattr(embedder, "path"):
        embedder.path = path
    try:
        yield
    except ConfigError as error:
        if path and error.where and ("." not in error.where or error.where.startswith("adapter.")):
            error.where = f"{path}.{error.where}"
        raise


def forward(model: Model, docs: Sequence[Doc], is_train: bool) -> tuple[Activations, Callable[[Any], Any]]:
    """The forward pass of a Thinc layer that has an embedder; its backward pass sends on what readers have added."""
    activations = embedder_of(model).compute(docs, is_train=is_train)
    return activations, lambda ignored: activations.backward()


def numbers_of(layers: Sequence[int] | None, n_all: int) -> tuple[int, ...]:
    """The layers that readers ask for as numbers of hidden states, ascending, each once; all of them for None."""
    if layers is None:
        return tuple(range(n_all))
    for layer in layers:
        check_layer(layer, n_all)
    return tuple(sorted({layer % n_all for layer in layers}))


def check_layer(layer: int, n_all: int, *, where: str | None = None) -> None:
    """Raise ConfigError where an encoder with `n_all` hidden states has no such layer.

    Args:
        where: config path of the reader's setting.
    """
    if not -n_all <= layer < n_all:
        raise ConfigError(
            f"Layer {layer} is asked for, but the encoder's hidden states are 0 to {n_all - 1}.",
            where=where,
            fix=f"Use 0 (embeddings) to {n_all - 1} (last), or -1 (last) to -{n_all}.",
        )
