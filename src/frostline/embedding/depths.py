"""How high an encoder stands still, and how to go on from there.

Where the embeddings and the lowest n layers never move, hidden state n of a window is a function of that window alone,
as a frozen encoder's numbers are: special tokens included, each window's its own. It is computed as those are, and the
layers above go on from it, in training and in prediction alike.

Whether an encoder bears it is tried (cut_trials.py). Where a table that all layers share may move, such as DeBERTa's
relative positions, none of the layers stands still.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frostline.embedding import hub
from frostline.embedding.adapters import is_of_adapter
from frostline.embedding.batches import SpecialTokens
from frostline.embedding.cut import Cut, Lower, Upper
from frostline.embedding.cut_trials import is_still, try_cut, weights_of_states
from frostline.embedding.encoder import Encoder
from frostline.embedding.layer_stack import stack_of
from frostline.embedding.packed import in_one_row
from frostline.embedding.pieces import Pieces, sums_of_segments
from frostline.embedding.readings import average
from frostline.embedding.windows import Windows
from frostline.errors import ConfigError
from frostline.layers.modes import Mode, mode_of
from frostline.layers.parameters import STAGE_ATTRIBUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """An encoder whose lower part stands still. Made by `find_depth`."""

    encoder: Encoder
    cut: Cut
    weights: dict[str, nn.Parameter]  # all that the hidden state at the cut depends on, by their names in the model
    below: tuple[nn.Module, ...]

    @property
    def number(self) -> int:
        """Of the hidden state that is kept."""
        return self.cut.depth

    @property
    def holds(self) -> bool:
        """Whether the lower part is frozen now too; a block of code may have laid other modes over the config's."""
        return all(mode_of(module) is Mode.FROZEN for module in self.below) and not any(
            parameter.requires_grad for parameter in self.weights.values()
        )

    def digest(self) -> str:
        """As the encoder's, but of these weights alone: it stays while those above move."""
        return hub.encoder_digest(self.encoder.model, self.encoder.tokenizer, self.encoder.precision, of=self.weights)

    def lower(self, pieces: Pieces, windows: Windows) -> tuple[Tensor, list[int]]:
        """The hidden state at the cut, without a graph.

        Returns:
            (1, n_positions, width) float32, of all windows with their special tokens, in window order; and how many
            of the positions are each doc's.
        """
        if not len(windows):
            empty = torch.zeros((1, 0, self.encoder.width), device=self.encoder.device)
            return empty, [0] * len(pieces.n_pieces_of_doc)
        marked = _Marked.of(pieces, windows, self.encoder.special)
        states = self.encoder.forward_frozen(marked.pieces, marked.windows, part=Lower(cut=self.cut))
        ends = np.cumsum(pieces.n_pieces_of_doc, dtype=np.int64)
        docs = np.searchsorted(ends, windows.first_piece, side="right")
        n_windows = np.bincount(docs, minlength=len(ends)).astype(np.int32)
        return states, sums_of_segments(marked.pieces.n_pieces_of_doc, n_windows).tolist()

    def upper(
        self,
        states: Tensor,
        pieces: Pieces,
        windows: Windows,
        *,
        is_train: bool,
        layers: tuple[int, ...],
        max_batch_pieces: int,
    ) -> Tensor:
        """As the encoder's `forward`, from what `lower` gave; `layers` are numbers from the cut's own upwards."""
        if not len(windows):
            return torch.zeros((len(layers), len(pieces), self.encoder.width), device=self.encoder.device)
        marked = _Marked.of(pieces, windows, self.encoder.special)
        vectors: Tensor = self.encoder(
            marked.pieces, marked.windows, is_train=is_train, layers=layers, max_batch_pieces=max_batch_pieces,
            part=Upper(cut=self.cut, states=states[0]),
        )  # fmt: skip
        readings = vectors.index_select(1, torch.from_numpy(marked.content).to(vectors.device))
        if windows.read_each_once(len(pieces)):
            return readings
        return torch.stack([average(reading, windows, len(pieces)) for reading in readings])


def find_depth(encoder: Encoder, *, at_most: int) -> Depth | None:
    """The highest hidden state below which nothing ever moves, or drops out; None where it is worth nothing.

    Looks at modes, at what moves now, and at what waits for its turn to move.

    Args:
        at_most: the lowest hidden state that somebody reads.
    """
    n_layers = encoder.n_hidden_states - 1
    try:
        groups = stack_of(encoder, n_layers=n_layers)
    except ConfigError:
        return None
    modules = [[encoder.get_submodule(name) for name in group] for group in groups]
    moving = {
        name for name, parameter in encoder.model.named_parameters()
        if parameter.requires_grad or getattr(parameter, STAGE_ATTRIBUTE, None) or is_of_adapter(name)
    }  # fmt: skip
    highest = min(at_most, n_layers - 1, _n_frozen(modules) - 1)
    if highest < 1 or not moving:
        return None
    cut = try_cut(encoder, highest)
    if isinstance(cut, str):
        return None
    weights = weights_of_states(encoder)[highest]
    if not moving.isdisjoint(weights) or not is_still(encoder, highest):
        return None
    below = tuple(part for group in modules[: highest + 1] for module in group for part in module.modules())
    return Depth(encoder=encoder, cut=cut, weights=weights, below=below)


def why_not_cut(encoder: Encoder) -> str:
    """Why no layers of the encoder can be kept, in words; "" where they can, if they stand still."""
    found = try_cut(encoder, 1)
    return found if isinstance(found, str) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marked:
    """Windows that hold their special tokens as pieces like others, one behind the other: none overlaps."""

    pieces: Pieces  # each window a doc of one token
    windows: Windows
    content: NDArray[np.int64]  # (n,) which of them are pieces of the windows' own, in window order

    @classmethod
    def of(cls, pieces: Pieces, windows: Windows, special: SpecialTokens) -> _Marked:
        row = in_one_row(pieces.ids, windows, np.arange(len(windows)), special, first_position=0)
        lengths = windows.n_pieces + special.n
        ones, counts = np.ones(len(windows), dtype=np.int32), lengths.astype(np.int32)
        return cls(
            pieces=Pieces(ids=row.ids[0], n_pieces_of_token=counts, n_tokens_of_doc=ones, n_pieces_of_doc=counts),
            windows=Windows(first_piece=np.cumsum(lengths) - lengths, n_pieces=lengths),
            content=row.positions,
        )


def _n_frozen(groups: list[list[nn.Module]]) -> int:
    """How many groups, from the bottom, are frozen as they are declared."""
    is_frozen = [all(mode_of(part) is Mode.FROZEN for module in group for part in module.modules()) for group in groups]
    return [*is_frozen, False].index(False)
