"""A publisher's output for one batch of docs, and the way back.

`Activations` holds the numbers per piece; a `View` is one pooled reading of them, computed once however many
components read it, with one gradient buffer into which they all add. Whoever made the activations calls
`backward`, once, when every reader has added its part.

`Published` is what a doc carries: the newest activations, and those of the training step in progress. A prediction
replaces the first and can't touch the second, so predicting in the middle of a step never costs the step its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frostline.embedding.alignment import Alignment
from frostline.embedding.pooling import Pooling, pool
from frostline.tokens import Doc


@dataclass(slots=True, eq=False)
class View:
    """One layer of one batch, pooled to tokens.

    values: (n_tokens, width) float32, cut off from the graph; `requires_grad` says that a gradient is wanted.
    """

    values: Tensor
    output: Tensor | None = None  # the same numbers, still in the publisher's graph; None without a way back
    gradient: Tensor | None = None  # (n_tokens, width), the sum of what the readers added

    def add_gradient(self, gradient: Tensor, *, factor: float = 1.0) -> None:
        """Add `factor * gradient`, (n_tokens, width), to what flows back; nothing when the view is a constant."""
        if self.output is None or factor == 0.0:
            return
        if self.gradient is None:
            self.gradient = gradient * factor if factor != 1.0 else gradient.clone()
        else:
            self.gradient.add_(gradient, alpha=factor)


@dataclass(slots=True, eq=False)
class Activations:
    """What a publisher computed for a batch of docs.

    Args:
        docs: the batch; kept, so that its identity stays unique as long as the activations live.
        pieces: (n_layers, n_pieces, width) float32; part of a graph when there is a way back.
        n_pieces_of_token: (n_tokens,) of the whole batch.
        layers: the encoder's layers that `pieces` holds, as numbers of hidden states.
        n_all_layers: how many hidden states the encoder has, so that -1 and n_all_layers - 1 are one layer.
        ids: (n_pieces,) the pieces in the encoder's vocabulary; None where nobody said.
    """

    docs: tuple[Doc, ...]
    pieces: Tensor
    n_pieces_of_token: Tensor
    layers: tuple[int, ...]
    n_all_layers: int
    ids: NDArray[np.int64] | None = None
    views: dict[tuple[int, str | Pooling], View] = field(default_factory=dict)
    _borders: NDArray[np.int64] | None = None

    @property
    def has_way_back(self) -> bool:
        """Whether a gradient can flow to the publisher."""
        return self.pieces.requires_grad

    def view(self, layer: int, pooling: str | Pooling) -> View:
        """One layer pooled to tokens, computed at the first call.

        Raises:
            KeyError: the publisher did not compute this layer.
        """
        layer = layer % self.n_all_layers
        key = (layer, pooling)
        if key not in self.views:
            of_layer = self.pieces[self.layers.index(layer)]
            with torch.set_grad_enabled(self.has_way_back):
                output = pool(of_layer, self.n_pieces_of_token, mode=pooling)
            values = output.detach()
            if self.has_way_back:
                self.views[key] = View(values=values.requires_grad_(), output=output)
            else:
                self.views[key] = View(values=values)
        return self.views[key]

    def shares(self) -> list[Share]:
        """The part of each doc of the batch."""
        ends = accumulate(map(len, self.docs))
        spans = ((end - len(doc), end) for doc, end in zip(self.docs, ends, strict=True))
        return [Share(self, index, start, end) for index, (start, end) in enumerate(spans)]

    @property
    def borders(self) -> NDArray[np.int64]:
        """(n_tokens + 1,) token i of the batch has the pieces borders[i] to borders[i + 1]."""
        if self._borders is None:
            counts = self.n_pieces_of_token.cpu().numpy()
            self._borders = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
        return self._borders

    def backward(self) -> bool:
        """Send the gradients that the readers added through the publisher, once; False when there is none."""
        outputs, gradients = [], []
        for view in self.views.values():
            if view.output is not None and view.gradient is not None:
                outputs.append(view.output)
                gradients.append(view.gradient)
            view.output = view.gradient = None
        if not outputs:
            return False
        torch.autograd.backward(outputs, gradients)
        return True


@dataclass(frozen=True, slots=True)
class Share:
    """A doc's part of a batch's activations: its tokens are `start` to `end` of the batch's."""

    activations: Activations
    index: int
    start: int
    end: int

    def tokens(self, layer: int = -1, pooling: str | Pooling = "mean") -> Tensor:
        """(n_tokens, width) float32 of this doc, without a graph."""
        return self.activations.view(layer, pooling).values[self.start : self.end].detach()

    def pieces(self, layer: int = -1) -> Tensor:
        """(n_pieces, width) float32 of this doc's word pieces, without a graph; a view of the batch's."""
        borders, of_batch = self.activations.borders, self.activations
        row = of_batch.layers.index(layer % of_batch.n_all_layers)
        return of_batch.pieces[row, int(borders[self.start]) : int(borders[self.end])].detach()

    @property
    def alignment(self) -> Alignment:
        """Which of the doc's pieces are which token's."""
        borders = self.activations.borders[self.start : self.end + 1]
        first, last = int(borders[0]), int(borders[-1])
        ids = self.activations.ids
        of_doc = np.zeros(last - first, dtype=np.int64) if ids is None else ids[first:last]
        return Alignment(ids=of_doc, borders=borders - first)


@dataclass(slots=True)
class Published:
    """What a doc knows of one publisher: see the module's docstring."""

    latest: Share | None = None
    in_step: Share | None = None

    def tokens(self, layer: int = -1, pooling: str | Pooling = "mean") -> Tensor:
        """The newest activations of the doc's tokens, (n_tokens, width) float32; zeros for one without pieces."""
        return self._newest().tokens(layer, pooling)

    def pieces(self, layer: int = -1) -> Tensor:
        """The newest activations of the doc's word pieces, (n_pieces, width) float32."""
        return self._newest().pieces(layer)

    @property
    def alignment(self) -> Alignment:
        """The doc's word pieces, and which are which token's."""
        return self._newest().alignment

    def _newest(self) -> Share:
        if self.latest is None:
            raise LookupError("The activations of this doc were released.")
        return self.latest


def annotate(docs: Sequence[Doc], name: str, activations: Activations, *, in_step: bool) -> None:
    """Write each doc's share of `activations` to `doc.activations[name]`.

    Args:
        in_step: the activations belong to the training step in progress; a prediction says False, and leaves those
            of the step alone.
    """
    for doc, share in zip(docs, activations.shares(), strict=True):
        published = doc.activations.setdefault(name, Published())
        published.latest = share
        if in_step:
            published.in_step = share


def release(docs: Sequence[Doc], name: str, *, in_step: bool) -> None:
    """Forget what `annotate` left on the docs, so that its memory can go.

    Args:
        in_step: forget the step's activations; False forgets a prediction's and leaves those of the step alone.
    """
    for doc in docs:
        published = doc.activations.get(name)
        if published is None:
            continue
        if in_step:
            if published.latest is published.in_step:
                published.latest = None
            published.in_step = None
        else:
            published.latest = published.in_step
        if published.latest is None:
            del doc.activations[name]


def gather(
    shares: Sequence[Share], layer: int, pooling: str | Pooling
) -> tuple[Tensor, Callable[[Tensor, float], None]]:
    """Read the docs' shares as one matrix, with the way back to each.

    Returns:
        (n_tokens, width) in the order of `shares`, and `add_gradient(gradient, factor)`. When the shares are one
        whole batch in its own order this is that batch's view itself, bit for bit and without a copy.
    """
    first = shares[0].activations
    whole = len(shares) == len(first.docs) and all(
        share.activations is first and share.index == index for index, share in enumerate(shares)
    )
    if whole:
        view = first.view(layer, pooling)
        return view.values, lambda gradient, factor: view.add_gradient(gradient, factor=factor)
    views = [share.activations.view(layer, pooling) for share in shares]
    with torch.no_grad():
        values = torch.cat([view.values[share.start : share.end] for view, share in zip(views, shares, strict=True)])
    wanted = any(view.values.requires_grad for view in views)

    def add_gradient(gradient: Tensor, factor: float) -> None:
        row = 0
        for view, share in zip(views, shares, strict=True):
            n_tokens = share.end - share.start
            spread = torch.zeros_like(view.values)
            spread[share.start : share.end] = gradient[row : row + n_tokens]
            view.add_gradient(spread, factor=factor)
            row += n_tokens

    return values.requires_grad_(wanted), add_gradient
