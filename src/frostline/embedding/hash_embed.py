"""Multi-hash embedding: vectors for words without a vocabulary (Miranda et al. 2022).

Each attribute of a word (norm, prefix, suffix, shape) has a table of a fixed number of rows. An attribute's value is
hashed with several seeds, and its vector is the sum of the rows that come out: two values that share one row differ in
the others (Svenstrup et al. 2017, "Hash embeddings"; Serrà and Karatzoglou 2017, "Bloom embeddings"). The vectors of
the attributes, of character n-grams and of static vectors, where there are some, lie side by side and are mixed by a
maxout layer. All of it is computed once for each distinct word of a batch.

Hashes are the same on every machine and in every process.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from thinc.api import Model
from torch import Tensor, nn

from frostline.config import registry
from frostline.errors import ConfigError
from frostline.layers.dropout import Dropout
from frostline.layers.graph import chain, concatenate, module_layer, per_token
from frostline.layers.maxout import check_counts, maxout
from frostline.layers.words import extract_features
from frostline.tokens import Doc

_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio
INITIAL_BOUND = 0.1  # of the uniform distribution that tables start with


def rows_of_hashes(hashes: NDArray[np.uint64], n_rows: int, n_hashes: int, *, seed: int = 0) -> NDArray[np.int64]:
    """The rows of a table that each value is spread over.

    Args:
        hashes: (n,) uint64, of the values.
        n_rows: of the table, above 0.
        n_hashes: rows for each value, above 0; two of them may be the same row.
        seed: another one gives other rows.
    Returns:
        (n, n_hashes) int64, each from 0 to n_rows - 1, by the finaliser of SplitMix64 (Steele et al. 2014).
    """
    steps = (np.arange(1, n_hashes + 1, dtype=np.uint64) + np.uint64(seed * n_hashes)) * np.uint64(_GOLDEN)
    mixed = hashes[:, None] + steps
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    rows: NDArray[np.int64] = (mixed % np.uint64(n_rows)).astype(np.int64)
    return rows


class HashTable(nn.Module):
    """(n, n_features) int64 hashes -> (n, width): the sum of the rows that one feature is spread over.

    Args:
        column: which feature.
    """

    def __init__(self, n_rows: int, width: int, *, n_hashes: int = 4, seed: int = 0, column: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_rows, width))
        self.n_hashes, self.seed, self.column = n_hashes, seed, column
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform between -0.1 and 0.1."""
        nn.init.uniform_(self.weight, -INITIAL_BOUND, INITIAL_BOUND)

    def forward(self, hashes: Tensor) -> Tensor:
        """The sums, added in a fixed order on every device, backwards too."""
        of_feature = hashes[:, self.column].cpu().numpy().view(np.uint64)
        rows = rows_of_hashes(of_feature, len(self.weight), self.n_hashes, seed=self.seed)
        return nn.functional.embedding_bag(torch.from_numpy(rows).to(self.weight.device), self.weight, mode="sum")


class IdTable(nn.Module):
    """(n, n_features) int64 numbers of rows -> (n, width): a plain table, for features that were remapped.

    Args:
        column: which feature.
    """

    def __init__(self, n_rows: int, width: int, *, column: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_rows, width))
        self.column = column
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform between -0.1 and 0.1."""
        nn.init.uniform_(self.weight, -INITIAL_BOUND, INITIAL_BOUND)

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of the numbers."""
        return nn.functional.embedding(ids[:, self.column].to(self.weight.device), self.weight)


def hash_table(
    n_rows: int, width: int, *, n_hashes: int = 4, seed: int = 0, column: int = 0, name: str = "hash_table"
) -> Model:
    """A layer around `HashTable`: it reads what `extract_features` gives.

    name: of the layer, which names its parameters too.

    Raises:
        ConfigError: a number below 1.
    """
    check_counts(rows=n_rows, width=width, n_hashes=n_hashes)
    module = HashTable(n_rows, width, n_hashes=n_hashes, seed=seed, column=column)
    return module_layer(name, module, width=width)


def id_table(n_rows: int, width: int, *, column: int = 0) -> Model:
    """A layer around `IdTable`: it reads what `remap_ids` gives.

    Raises:
        ConfigError: a number below 1.
    """
    check_counts(rows=n_rows, width=width)
    return module_layer("id_table", IdTable(n_rows, width, column=column), width=width)


def dropping(rate: float) -> Model:
    """A layer that drops numbers out in training, one by one.

    Raises:
        ConfigError: a rate that is no share below 1.
    """
    check_rate(rate)
    return module_layer("dropout", Dropout(rate), keeps_width=True)


def check_rate(rate: float) -> None:
    """Raise ConfigError where a rate of dropout is no share below 1."""
    if not 0.0 <= rate < 1.0:
        message = f"dropout is {rate}, but must be a share from 0 up to, but not including, 1."
        raise ConfigError(message, where="dropout", fix="Give 0.1, or 0 for none.")


@registry.architectures("frostline.HashEmbed.v1")
def build_hash_embed(
    *,
    width: int = 96,
    attributes: Sequence[str] = ("norm", "prefix", "suffix", "shape"),
    rows: Sequence[int] = (5000, 1000, 2500, 2500),
    n_hashes: int = 4,
    n_pieces: int = 3,
    dropout: float = 0.1,
    seed: int = 0,
    subwords: Model[list[Doc], Tensor] | None = None,
    vectors: Model[list[Doc], Tensor] | None = None,
) -> Model[list[Doc], Tensor]:
    """Embed words by hashes of their attributes: docs -> (n_tokens, width) float32.

    width: of each table, and of what comes out.
    attributes, rows: which attributes (norm, prefix, suffix, shape), and how many rows the table of each has.
    n_hashes: rows that a value is spread over.
    n_pieces: of the maxout layer that mixes the attributes.
    dropout: share of the numbers that training drops.
    seed: of the hashes; another one lets other words share rows.
    subwords: a block such as `frostline.Subwords.v1`; null for none.
    vectors: a block such as `frostline.StaticVectors.v1`; null for none.
    """
    check_counts(width=width, n_hashes=n_hashes, n_pieces=n_pieces)
    check_rate(dropout)
    if len(rows) != len(attributes):
        message = f"There are {len(attributes)} attributes, but {len(rows)} numbers of rows."
        raise ConfigError(message, where="rows", fix="Give one number of rows for each attribute.")
    if len(set(attributes)) < len(attributes):
        raise ConfigError("An attribute is named twice.", where="attributes", fix="Name each of them once.")
    tables = [
        hash_table(n_rows, width, n_hashes=n_hashes, seed=seed, column=column, name=attribute)
        for column, (attribute, n_rows) in enumerate(zip(attributes, rows, strict=True))
    ]
    hashed = chain(extract_features(attributes), concatenate(*tables, name="tables"), name="hashed")
    more = [layer for layer in (subwords, vectors) if layer is not None]
    side_by_side = concatenate(hashed, *more, name="features") if more else hashed
    mixed = chain(side_by_side, maxout(side_by_side.attrs["width"], width, n_pieces=n_pieces), name="words")
    return chain(per_token(mixed), dropping(dropout))
