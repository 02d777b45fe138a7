"""How windows become rows of an encoder: what it bears is tried when it is loaded, not guessed from its name.

- packed: all windows in one row, without padding (packed.py); CPUs, and encoders with our attention function.
- padded: rows sorted by length, filled up to the longest of their batch.
- equal: rows of one length only, for encoders whose numbers change with padding (FNet mixes it in, convolutions
  look over a text's end).

Where the fastest one is not taken, `Layout.reason` says why.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from frostline.embedding.attention import MAX_LENGTH
from frostline.embedding.batches import Batch, SpecialTokens, batches_by_length, batches_of_fixed_shapes
from frostline.embedding.packed import TOLERANCE, first_position_of, packed_batches, why_not_packed
from frostline.embedding.windows import Windows

HuggingFaceModel: TypeAlias = Any  # transformers comes without usable types

FROZEN_BATCH_PIECES = {"cpu": 512, "cuda": 16384}  # padded, of one fixed shape: as fast there as any larger one
_PROBES = (3, 5, 9)  # pieces, padded to the last one's length


class Rows(enum.Enum):
    """What stands in a row; the table is in the module's docstring."""

    PACKED = "packed"
    PADDED = "padded"
    EQUAL = "equal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How an encoder's windows are laid out."""

    rows: Rows
    reason: str = ""  # why not packed; "" where they are
    first_position: int = 0  # position id of a packed window's first place

    def batches(
        self, ids: NDArray[np.int64], windows: Windows, special: SpecialTokens, *, max_batch_pieces: int, device: str
    ) -> Iterator[Batch]:
        """Batches under a budget of padded pieces. GPUs prefer few large calls, and long windows fused attention."""
        longest = int(windows.n_pieces.max(initial=0)) + special.n
        if self.rows is Rows.PACKED and device == "cpu" and longest <= MAX_LENGTH:
            return packed_batches(ids, windows, special, max_batch_pieces=max_batch_pieces,
                                  first_position=self.first_position)  # fmt: skip
        return batches_by_length(
            ids, windows, special, max_batch_pieces=max_batch_pieces, equal=self.rows is Rows.EQUAL
        )

    def frozen_batches(
        self,
        ids: NDArray[np.int64],
        windows: Windows,
        special: SpecialTokens,
        *,
        max_length: int,
        device: str,
        leave_padding: bool,
    ) -> Iterator[Batch]:
        """Batches in shapes that depend on a window's own length alone."""
        return batches_of_fixed_shapes(
            ids,
            windows,
            special,
            n_padded_pieces=FROZEN_BATCH_PIECES.get(device, 512),
            max_length=max_length,
            leave_padding=leave_padding and self.rows is not Rows.EQUAL,
            equal=self.rows is Rows.EQUAL,
        )


def layout_of(model: HuggingFaceModel, special: SpecialTokens, *, has_own_attention: bool) -> Layout:
    """Try what an encoder bears.

    Args:
        model: in evaluation state, on the CPU.
        has_own_attention: whether it calls the function of attention.py.
    """
    if not _bears_padding(model, special):
        return Layout(rows=Rows.EQUAL, reason="its numbers change when a row is filled up with padding")
    reason = why_not_packed(model) if has_own_attention else "its attention can't be replaced by ours"
    if reason:
        return Layout(rows=Rows.PADDED, reason=reason)
    return Layout(rows=Rows.PACKED, first_position=first_position_of(model))


def shape_of(model: HuggingFaceModel) -> tuple[int, int]:
    """The width of an encoder's vectors, and how many hidden states it has to offer, the embeddings among them.

    An encoder whose hidden states are not all of its last one's shape (some pool over the text) offers that one alone.
    """
    config = model.config
    expected = int(config.hidden_size), int(config.num_hidden_layers) + 1
    n = int(model.get_input_embeddings().num_embeddings)
    try:
        with torch.no_grad():
            output = model(input_ids=torch.full((1, _PROBES[-1]), n // 2), output_hidden_states=True)
    except Exception:  # as in _bears_padding
        return expected
    last = output.last_hidden_state
    states = output.hidden_states or ()
    whole = len(states) == expected[1] and all(state.shape == last.shape for state in states)
    return int(last.shape[-1]), expected[1] if whole else 1


def _bears_padding(model: HuggingFaceModel, special: SpecialTokens) -> bool:
    """Whether numbers stay the same to the bit whatever stands under the mask, and near those without padding."""
    n = int(model.get_input_embeddings().num_embeddings)
    ids = np.arange(sum(_PROBES), dtype=np.int64) % max(1, n - n // 2) + n // 2
    lengths = np.array(_PROBES, dtype=np.int64)
    windows = Windows(first_piece=np.cumsum(lengths) - lengths, n_pieces=lengths)
    (batch,) = batches_by_length(ids, windows, special, max_batch_pieces=1 << 20)
    assert batch.mask is not None
    other = np.where(batch.mask == 1, batch.ids, ids[0])
    mask = torch.from_numpy(batch.mask)
    try:
        with torch.no_grad():
            padded, filled = (
                model(input_ids=torch.from_numpy(rows), attention_mask=mask).last_hidden_state
                for rows in (batch.ids, other)
            )
            if not torch.equal(padded[mask == 1], filled[mask == 1]):
                return False
            for row, n_pieces in enumerate(mask.sum(1).tolist()):
                alone = model(input_ids=torch.from_numpy(batch.ids[row : row + 1, :n_pieces])).last_hidden_state[0]
                if (padded[row, :n_pieces] - alone).abs().max() > TOLERANCE * alone.abs().max():
                    return False
    except TypeError:  # it takes no mask
        return False
    except Exception:  # whatever a model says to so short a text; it will say it again
        return True
    return True
