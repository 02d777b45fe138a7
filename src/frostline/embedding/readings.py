"""From what windows read of a piece to one vector of the piece: the mean of all readings, zeros where there is none.

Readings are always added in the order of their windows, so that sums are the same bits however the windows were put
into batches. Memory: the result, and the readings of some windows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from frostline.embedding.batches import ranks_of_covers
from frostline.embedding.windows import Windows

PIECES_AT_ONCE = 32768  # whose vectors are divided


def average(readings: Tensor, windows: Windows, n_pieces: int) -> Tensor:
    """The mean of each piece's readings, as part of the graph.

    Args:
        readings: (n_readings, width) float32, in window order.
    Returns:
        (n_pieces, width) float32.
    """
    device = readings.device
    total = readings.new_zeros((n_pieces, readings.shape[1]))
    counts = torch.zeros(n_pieces)
    for rank, (places, read) in enumerate(ranks_of_covers(windows)):
        index, rows = torch.from_numpy(read), readings.index_select(0, torch.from_numpy(places).to(device))
        if rank == 0:
            total = total.index_copy(0, index.to(device), rows)
        else:
            total = total.index_add(0, index.to(device), rows)
        counts[index] += 1
    return total / counts.clamp(min=1).to(device)[:, None]


class Sums:
    """The readings of a batch, added up as they come; without a graph.

    Args:
        n_layers, n_pieces, width: the shape of the result.
    """

    def __init__(self, n_layers: int, n_pieces: int, width: int, *, device: torch.device) -> None:
        self._total = torch.zeros((n_layers, n_pieces, width), device=device)
        self._counts = torch.zeros(n_pieces, dtype=torch.int32)

    @contextmanager
    def adding(self, windows: Windows) -> Iterator[Tensor]:
        """Room for the readings of these windows, (n_layers, n_readings, width), which are added at the block's end.

        Calls must come in the order of the windows.
        """
        n_readings = int(windows.n_pieces.sum())
        first = int(windows.first_piece[0]) if len(windows) else 0
        end = int((windows.first_piece + windows.n_pieces).max(initial=0))
        is_run = not windows.overlap and end - first == n_readings
        if is_run and not bool(self._counts[first:end].any()):  # each piece once, without gaps: nothing to add to
            yield self._total[:, first:end]
            self._total[:, first:end] += 0.0  # -0.0 becomes 0.0, as in a sum below: the same bytes either way
            self._counts[first:end] = 1
            return
        n_layers, _, width = self._total.shape
        readings = torch.empty((n_layers, n_readings, width), device=self._total.device)
        yield readings
        for places, read in ranks_of_covers(windows):
            index, rows = torch.from_numpy(read), torch.from_numpy(places).to(readings.device)
            for total, reading in zip(self._total, readings, strict=True):
                total.index_add_(0, index.to(readings.device), reading.index_select(0, rows))
            self._counts[index] += 1

    def means(self) -> Tensor:
        """(n_layers, n_pieces, width) float32."""
        several = torch.nonzero(self._counts > 1)[:, 0]
        for part in several.split(PIECES_AT_ONCE):  # type: ignore[no-untyped-call]
            divisors = self._counts[part].float()[:, None].to(self._total.device)
            index = part.to(self._total.device)
            for total in self._total:
                total[index] = total.index_select(0, index) / divisors
        return self._total
