"""The encoder of a tok2vec: each layer sees a few tokens to the left and right, within one doc.

A layer concatenates the vectors of a token and its neighbours, takes a maxout with layer normalisation, and adds the
result to what came in (He et al. 2016). With `depth` layers a token sees `depth * window` tokens to each side: a
convolution over the doc, as in Collobert et al. (2011). Beyond the borders of a doc there are zeros, whatever stands in
the batch before and after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from thinc.api import Model
from torch import Tensor, nn

from frostline.config import registry
from frostline.embedding.hash_embed import check_rate
from frostline.errors import ConfigError
from frostline.layers.dropout import Dropout
from frostline.layers.graph import graph_layer
from frostline.layers.maxout import Maxout, check_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """Rows of several docs, one after the other: what an encoder of a tok2vec reads.

    values: (n_tokens, width) float32. n_tokens_of_doc: they sum to n_tokens.
    """

    values: Tensor
    n_tokens_of_doc: tuple[int, ...]


class MaxoutWindow(nn.Module):
    """See the module's docstring.

    Args:
        window: neighbours on each side.
    """

    def __init__(self, width: int, *, depth: int, window: int, n_pieces: int, dropout: float) -> None:
        super().__init__()
        self.window = window
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            Maxout(width * (2 * window + 1), width, n_pieces=n_pieces) for _ in range(depth)
        )

    def forward(self, sequences: Sequences) -> list[Tensor]:
        """What each layer gives, the last one last: (n_tokens, width) float32 each."""
        rows = sequences.values
        inside = within_docs(sequences.n_tokens_of_doc, self.window).to(rows.device)
        states = []
        for layer in self.layers:
            rows = rows + self.dropout(layer(neighbours(rows, inside)))
            states.append(rows)
        return states


def within_docs(n_tokens_of_doc: Sequence[int], window: int) -> Tensor:
    """Which neighbours stand in a token's own doc.

    Returns:
        (2 * window + 1, n_tokens, 1) float32, 1 or 0; from `window` tokens before to `window` after.
    """
    lengths = torch.tensor(n_tokens_of_doc, dtype=torch.int64)
    ends = lengths.cumsum(0)
    places = torch.arange(int(lengths.sum()))
    first = torch.repeat_interleave(ends - lengths, lengths)
    end = torch.repeat_interleave(ends, lengths)
    seen = places + torch.arange(-window, window + 1)[:, None]
    return ((seen >= first) & (seen < end)).float().unsqueeze(2)


def neighbours(rows: Tensor, inside: Tensor) -> Tensor:
    """Each token beside its neighbours: (n_tokens, width) -> (n_tokens, (2 * window + 1) * width).

    inside: from `within_docs`; a neighbour in another doc counts as zeros.
    """
    window = len(inside) // 2
    n_tokens = len(rows)
    padded = nn.functional.pad(rows, (0, 0, window, window))
    seen = [
        rows if offset == window else padded[offset : offset + n_tokens] * inside[offset]
        for offset in range(2 * window + 1)
    ]
    return torch.cat(seen, dim=1) if window else rows


@registry.architectures("frostline.MaxoutWindow.v1")
def build_maxout_window(
    *, width: int = 96, depth: int = 4, window: int = 1, n_pieces: int = 3, dropout: float = 0.1
) -> Model[Sequences, Tensor]:
    """Encode tokens by what stands around them: rows of docs -> (n_tokens, width) float32.

    width: of the embedding that it reads, and of what comes out.
    depth: layers. window: tokens that a layer sees to each side; 0 for none.
    n_pieces: of the maxout. dropout: share of the numbers that training drops in each layer.
    """
    check_counts(width=width, depth=depth, n_pieces=n_pieces)
    check_rate(dropout)
    if window < 0:
        raise ConfigError(f"window is {window}, but must be 0 or more.", where="window", fix="Give 1, for example.")
    module = MaxoutWindow(width, depth=depth, window=window, n_pieces=n_pieces, dropout=dropout)
    return graph_layer("encode", _last, module=module, width=width, n_states=depth, states=module)


def _last(model: Model, sequences: Sequences, is_train: bool) -> Tensor:
    states: list[Tensor] = model.attrs["torch_module"](sequences)
    return states[-1]
