"""A transformers model cut in two at a hidden state: its lower layers alone, or its upper ones on what those gave.

For the time of a call the model has another list of layers: it ends early, or its lower layers only hand on what is
given. All else (masks, relative positions, the last norm) stays as the model does it. Whether an encoder bears this
is depths.py's business, which tries it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from frostline.embedding.batches import Batch

HuggingFaceModel: TypeAlias = Any  # transformers comes without usable types
Inputs: TypeAlias = Mapping[str, Any]


class Part(Protocol):
    """What of a model a call goes through."""

    def hidden_states(
        self, model: HuggingFaceModel, inputs: Inputs, batch: Batch, layers: tuple[int, ...]
    ) -> list[Tensor]:
        """Those of one batch that `layers` asks for by number, each (n_rows, length, width)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """All of it."""

    n_hidden_states: int

    def hidden_states(
        self, model: HuggingFaceModel, inputs: Inputs, batch: Batch, layers: tuple[int, ...]
    ) -> list[Tensor]:
        """See `Part`."""
        last = self.n_hidden_states - 1
        settings = {} if layers == (last,) else {"output_hidden_states": True}
        output = model(**inputs, **settings)
        return [
            output.last_hidden_state if layer == last else output.hidden_states[layer - self.n_hidden_states]
            for layer in layers  # counted from the end: a model that is cut may tell of its upper part alone
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where a model is cut."""

    depth: int  # layers below, from 1; the parts meet at the hidden state of this number
    path: str  # of the model's list of layers
    n_outputs: int  # of a layer in a tuple, of which the first counts; 0 where it returns no tuple
    whole: Whole

    def layers_in(self, model: HuggingFaceModel) -> nn.ModuleList:
        """The model's list of layers."""
        found = model.get_submodule(self.path)
        assert isinstance(found, nn.ModuleList)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Lower:
    """The layers below a cut; gives the hidden state at the cut, whatever it is asked for."""

    cut: Cut

    def hidden_states(
        self, model: HuggingFaceModel, inputs: Inputs, batch: Batch, layers: tuple[int, ...]
    ) -> list[Tensor]:
        """See `Part`."""
        caught: list[Any] = []
        below = self.cut.layers_in(model)[: self.cut.depth]
        hook = below[-1].register_forward_hook(lambda module, given, output: caught.append(output))
        try:
            with _going_through(below, model, self.cut.path):
                model(**inputs)
        finally:
            hook.remove()
        (output,) = caught
        return [output[0] if self.cut.n_outputs else output]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upper:
    """The layers above a cut.

    states: (n_positions, width) the hidden state at the cut, of windows with their special tokens, in window order.
    """

    cut: Cut
    states: Tensor

    def hidden_states(
        self, model: HuggingFaceModel, inputs: Inputs, batch: Batch, layers: tuple[int, ...]
    ) -> list[Tensor]:
        """See `Part`."""
        device, dtype = self.states.device, next(model.parameters()).dtype
        rows = torch.zeros((batch.ids.size, self.states.shape[1]), dtype=dtype, device=device)
        places, positions = (torch.from_numpy(index).to(device) for index in (batch.places, batch.positions))
        rows[positions] = self.states.index_select(0, places).to(dtype)
        rows = rows.view(*batch.ids.shape, -1)
        given = (rows, *[None] * (self.cut.n_outputs - 1)) if self.cut.n_outputs else rows
        layers_of_model = self.cut.layers_in(model)
        below, above = layers_of_model[: self.cut.depth], layers_of_model[self.cut.depth :]
        with _going_through([*(_Given(layer, given) for layer in below), *above], model, self.cut.path):
            return self.cut.whole.hidden_states(model, inputs, batch, layers)


class _Given(nn.Module):
    """Stands where a layer was, and has its attributes."""

    def __init__(self, layer: nn.Module, output: Any) -> None:
        super().__init__()
        self._layer = (layer,)  # no part of this one
        self._output = output

    def forward(self, *ignored: Any, **also_ignored: Any) -> Any:
        return self._output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer[0], name)


@contextmanager
def _going_through(layers: Iterable[nn.Module], model: HuggingFaceModel, path: str) -> Iterator[None]:
    """Let a model have these layers for the block. Its own list stays whole: an interrupted run saves what it finds."""
    above, _, name = path.rpartition(".")
    owner = model.get_submodule(above)
    own = getattr(owner, name)
    try:
        setattr(owner, name, nn.ModuleList(layers))
        yield
    finally:
        setattr(owner, name, own)
