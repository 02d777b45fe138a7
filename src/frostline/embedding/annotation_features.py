"""Annotations of the docs as features, beside an embedding: what components before have predicted can be read.

In training the docs carry predictions only of components in `training.annotating_components`. Nothing flows back to
whoever predicted: a label is a constant here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from thinc.api import Model
from torch import Tensor, nn

from frostline.config import registry
from frostline.errors import ConfigError, did_you_mean
from frostline.layers.torch_bridge import apply_module
from frostline.tokens import Doc
from frostline.tokens.columns import MISSING, StringColumn, concat

COLUMNS = ("xpos", "upos", "feats", "lemmas", "deprels", "ents")
N_HASHES = 2  # rows that one label has; two labels share both about once in n_rows ** 2


class FeatureTables(nn.Module):
    """One table of vectors per column, found by the hashes of a label (Weinberger et al. 2009).

    Hashing needs no list of labels, so the labels of the annotating component may grow. A missing annotation is a
    vector of zeros.

    Args:
        columns: names of doc columns.
        n_rows: of each table. width: of one vector.
    """

    def __init__(self, columns: Sequence[str], n_rows: int, width: int) -> None:
        super().__init__()
        tables = {name: nn.Embedding(n_rows + 1, width, padding_idx=n_rows) for name in columns}
        with torch.no_grad():
            for table in tables.values():
                table.weight.mul_(width**-0.5)
        self.tables: nn.ModuleDict = nn.ModuleDict(tables)

    def forward(self, embedded: Tensor, rows: dict[str, Tensor]) -> Tensor:
        """(n_tokens, width) and per column (n_tokens, N_HASHES) int64 -> (n_tokens, width + n_columns * own width)."""
        return torch.cat([embedded, *(table(rows[name]).sum(dim=1) for name, table in self.tables.items())], dim=1)


@registry.architectures("frostline.AnnotationFeatures.v1")
def build_annotation_features(
    *, embedding: Model[list[Doc], Tensor], columns: list[str], width: int = 32, n_rows: int = 500
) -> Model[list[Doc], Tensor]:
    """An embedding, and beside it vectors for what earlier components have written to the docs.

    embedding: docs -> (n_tokens, its width), such as `frostline.Listener.v1`.
    columns: xpos, upos, feats, lemmas, deprels or ents; a component that writes them must come before, and stand in
        training.annotating_components.
    width: of the vectors for one column. n_rows: of the table that labels are hashed into; some times their number.
    Gives (n_tokens, embedding's width + width for each column).
    """
    for name in columns:
        if name not in COLUMNS:
            raise ConfigError(f"'{name}' is no column of labels.", where="columns", fix=did_you_mean(name, COLUMNS))
    for what, number in (("columns", len(columns)), ("width", width), ("n_rows", n_rows)):
        if number < 1:
            message = f"{what} must be 1 or more, not {number}." if what != "columns" else "No column is named."
            raise ConfigError(message, where=what, fix='Name one such as "xpos".' if what == "columns" else None)
    attrs = {"columns": tuple(columns), "n_rows": n_rows, "feature_width": width, "torch_module": None}
    return Model("annotation_features", _forward, layers=[embedding], attrs=attrs)


def features_in(model: Model) -> list[Model]:
    """The layers of a model tree that read annotations."""
    return [node for node in model.walk() if node.name == "annotation_features"]


def feature_width_of(model: Model) -> int:
    """By how much annotations widen what a component's head sees."""
    return sum(node.attrs["feature_width"] * len(node.attrs["columns"]) for node in features_in(model))


def build_features(model: Model, *, seed: int) -> None:
    """Make the tables of a model tree, as a function of their sizes and the seed."""
    for number, node in enumerate(features_in(model)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((seed + number) % 2**64)
            node.attrs["torch_module"] = FeatureTables(
                node.attrs["columns"], node.attrs["n_rows"], node.attrs["feature_width"]
            )


def _forward(model: Model, docs: Sequence[Doc], is_train: bool) -> tuple[Tensor, Callable[[Tensor | None], Any]]:
    embedded, back = model.layers[0](docs, is_train)
    n_rows = model.attrs["n_rows"]
    rows = {
        name: torch.from_numpy(_rows_of(docs, name, n_rows)).to(embedded.device) for name in model.attrs["columns"]
    }
    outputs, of_inputs = apply_module(model.attrs["torch_module"], (embedded, rows), is_train=is_train)

    def backprop(gradient: Tensor | None) -> Any:
        return back(None if gradient is None else of_inputs(gradient)[0])

    return outputs, backprop


def _rows_of(docs: Sequence[Doc], name: str, n_rows: int) -> Any:
    """(n_tokens, N_HASHES) int64; the row of zeros where nothing is annotated."""
    column = concat([_column_of(doc, name) for doc in docs])
    labels = column.distinct()
    table = np.full((len(labels) + 1, N_HASHES), n_rows, dtype=np.int64)
    for number, label in enumerate(labels):
        table[number] = _hashes(label, n_rows)
    numbers = column.encode({label: number for number, label in enumerate(labels)})
    return table[np.where(numbers == MISSING, len(labels), numbers)]


def _column_of(doc: Doc, name: str) -> StringColumn:
    found = doc.column(name)
    return StringColumn.missing(len(doc)) if found is None else found


@lru_cache(maxsize=1 << 16)
def _hashes(label: str, n_rows: int) -> tuple[int, ...]:
    digest = hashlib.blake2b(label.encode("utf-8", "surrogatepass"), digest_size=8 * N_HASHES).digest()
    return tuple(int.from_bytes(digest[8 * i : 8 * i + 8], "little") % n_rows for i in range(N_HASHES))
