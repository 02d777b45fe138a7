"""Character n-grams of words, hashed into a table: what a word never met shares with others (Bojanowski et al. 2017).

A word is read with a mark at its beginning and its end. The code points of all its stretches of a few characters are
hashed, all words of a batch at once, and its vector is the mean of the rows that come out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from thinc.api import Model
from torch import Tensor, nn

from frostline.config import registry
from frostline.embedding.hash_embed import INITIAL_BOUND, rows_of_hashes
from frostline.errors import ConfigError
from frostline.layers.distinct_words import DistinctWords
from frostline.layers.graph import READS_WORDS, graph_layer
from frostline.layers.maxout import check_counts
from frostline.tokens import Doc

_BEGIN, _END = "\x02", "\x03"
_PRIME = np.uint64(0x100000001B3)
MAX_CHARACTERS = 64  # of a word that are read; a longer one is cut, so that one link can't fill a batch


def ngram_hashes(words: Sequence[str], shortest: int, longest: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of the character n-grams of words.

    Args:
        shortest, longest: in characters, the marks at the ends included; 1 <= shortest <= longest.
    Returns:
        (n_ngrams,) uint64, word by word, and (n_words,) int64 how many are each word's: none of an empty one.
    """
    marked = [_BEGIN + word[:MAX_CHARACTERS] + _END if word else "" for word in words]
    lengths = np.fromiter(map(len, marked), dtype=np.int64, count=len(marked))
    text = "".join(marked).encode("utf-32-le", "surrogatepass")
    points = np.frombuffer(text, dtype="<u4").astype(np.uint64)
    word_of = np.repeat(np.arange(len(words)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(points))  # characters to the word's end
    hashes, owners = [], []
    hashed = np.zeros(len(points), dtype=np.uint64)
    for n in range(1, min(longest, int(lengths.max(initial=0))) + 1):
        n_starts = len(points) - n + 1
        hashed = hashed[:n_starts] * _PRIME + points[n - 1 :] + np.uint64(1)
        if n >= shortest:
            whole = left[:n_starts] >= n
            hashes.append(hashed[whole] ^ np.uint64((n % 64) << 58))
            owners.append(word_of[:n_starts][whole])
    if not hashes:
        return np.zeros(0, dtype=np.uint64), np.zeros(len(words), dtype=np.int64)
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(hashes)[order], np.bincount(owner, minlength=len(words)).astype(np.int64)


class SubwordTable(nn.Module):
    """Distinct words -> (n_words, width): the mean of the rows of their n-grams, zeros for a word without any."""

    def __init__(self, n_rows: int, width: int, *, shortest: int, longest: int, seed: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_rows, width))
        self.shortest, self.longest, self.seed = shortest, longest, seed
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform between -0.1 and 0.1."""
        nn.init.uniform_(self.weight, -INITIAL_BOUND, INITIAL_BOUND)

    def forward(self, words: DistinctWords) -> Tensor:
        """The means, added in a fixed order."""
        hashes, n_of_word = ngram_hashes(words.words, self.shortest, self.longest)
        rows = torch.from_numpy(rows_of_hashes(hashes, len(self.weight), 1, seed=self.seed)[:, 0])
        starts = torch.from_numpy(np.cumsum(n_of_word) - n_of_word)
        device = self.weight.device
        return nn.functional.embedding_bag(rows.to(device), self.weight, starts.to(device), mode="mean")


@registry.architectures("frostline.Subwords.v1")
def build_subwords(
    *, width: int = 96, rows: int = 10000, shortest: int = 3, longest: int = 5, seed: int = 0
) -> Model[list[Doc], Tensor]:
    """Embed words by their character n-grams, for `frostline.HashEmbed.v1` or an embedding of yours.

    width: of the vectors. rows: of the table. seed: of the hashes.
    shortest, longest: n-grams in characters, with one mark each for the beginning and the end of a word.
    """
    check_counts(width=width, rows=rows, shortest=shortest)
    if longest < shortest:
        message = f"The longest n-grams have {longest} characters, fewer than the shortest ({shortest})."
        raise ConfigError(message, where="longest", fix="Give a number from `shortest` up.")
    module = SubwordTable(rows, width, shortest=shortest, longest=longest, seed=seed)
    return graph_layer(
        "subwords", lambda model, words, is_train: model.attrs["torch_module"](words), module=module,
        reads=READS_WORDS, width=width,
    )  # fmt: skip
