"""What can be said of a word by looking at it, as layers: hashes of its attributes, and numbers for known values.

They read the distinct words of a batch. Nothing is remembered from batch to batch but a bounded table of hashes, which
is no part of any state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from thinc.api import Model
from torch import Tensor

from frostline.errors import ConfigError, did_you_mean
from frostline.layers.distinct_words import DistinctWords
from frostline.layers.graph import READS_WORDS, graph_layer
from frostline.tokens.attributes import ATTRIBUTES, hashes_of_words, stable_hash

MAX_REMEMBERED = 50_000  # words with their hashes; see Extractor
MAX_REMEMBERED_LENGTH = 64  # characters


def extract_features(attributes: Sequence[str]) -> Model:
    """Hashes of attributes of the distinct words: (n_words, n_attributes) int64, 64 bits each.

    attributes: names from `frostline.tokens.attributes.ATTRIBUTES`: norm, prefix, suffix, shape.

    Raises:
        ConfigError: an unknown attribute, or none.
    """
    if not attributes:
        raise ConfigError("No attribute is named.", where="attributes", fix=did_you_mean("", ATTRIBUTES))
    for name in attributes:
        if name not in ATTRIBUTES:
            message = f"'{name}' is no attribute of a word."
            raise ConfigError(message, where="attributes", fix=did_you_mean(name, ATTRIBUTES))
    return graph_layer("extract_features", _compute_features, reads=READS_WORDS, extractor=Extractor(attributes))


def remap_ids(rows: Mapping[str, int], *, attribute: str, default: int = 0) -> Model:
    """Give features that are known by name a number of their own: (n, n_features) int64 -> the same shape.

    rows: value of the attribute -> number, from 0 up, such as a row of `embed_ids`. attribute: whose hashes come in.
    default: for all other values.
    """
    table = {_signed(stable_hash(f"{attribute}\0{value}")): row for value, row in rows.items()}
    keys = np.array(sorted(table), dtype=np.int64)
    values = np.array([table[key] for key in keys.tolist()], dtype=np.int64)
    return graph_layer("remap_ids", _compute_remapped, keys=keys, values=values, default=default)


class Extractor:
    """Hashes words, and remembers the hashes of those it met, up to a bound.

    The table is a cache only and never part of a pipeline's state.
    """

    def __init__(self, attributes: Sequence[str], *, max_entries: int = MAX_REMEMBERED) -> None:
        self.attributes = tuple(attributes)
        self.max_entries = max_entries
        self._known: dict[str, NDArray[np.uint64]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def hashes(self, words: Sequence[str]) -> NDArray[np.int64]:
        """(n_words, n_attributes) int64, the bits of the unsigned hashes."""
        known = self._known
        missing = [word for word in words if word not in known]
        if missing:
            fresh = dict(zip(missing, hashes_of_words(missing, self.attributes), strict=True))
            short = {word: row for word, row in fresh.items() if len(word) <= MAX_REMEMBERED_LENGTH}
            if len(known) + len(short) > self.max_entries:
                known = {word: known[word] for word in words if word in known}
                self._known = dict(list((known | short).items())[: self.max_entries])
            else:
                known.update(short)
            known = known | fresh
        if not words:
            return np.zeros((0, len(self.attributes)), dtype=np.int64)
        return np.stack([known[word] for word in words]).view(np.int64)


def _signed(hashed: int) -> int:
    return hashed - (1 << 64) if hashed >= 1 << 63 else hashed


def _compute_features(model: Model, words: DistinctWords, is_train: bool) -> Tensor:
    return torch.from_numpy(model.attrs["extractor"].hashes(words.words)).to(words.device)


def _compute_remapped(model: Model, ids: Tensor, is_train: bool) -> Tensor:
    keys, values, default = model.attrs["keys"], model.attrs["values"], model.attrs["default"]
    given = ids.cpu().numpy()
    if not len(keys):
        return torch.full_like(ids, default)
    places = np.searchsorted(keys, given).clip(max=len(keys) - 1)
    mapped = np.where(keys[places] == given, values[places], default)
    return torch.from_numpy(mapped).to(ids.device)
