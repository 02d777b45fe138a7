"""What an encoder bears to be cut, tried on short texts and not guessed from its name.

Three questions: whether its two parts give what the whole gives, which parameters a hidden state depends on, and
whether training would drop out something below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from frostline.embedding.attention import always_masked
from frostline.embedding.batches import Batch, batches_of_fixed_shapes
from frostline.embedding.cut import Cut, Lower, Upper
from frostline.embedding.encoder import Encoder
from frostline.embedding.layer_stack import layers_of
from frostline.embedding.layouts import Rows
from frostline.embedding.windows import Windows
from frostline.errors import ConfigError
from frostline.layers.modes import running

_PROBES = (3, 5, 9)  # pieces


def try_cut(encoder: Encoder, depth: int) -> Cut | str:
    """A cut at which both parts give, bit for bit, what the whole gives; a reason in words where there is none."""
    if encoder.special.type_ids is not None:
        return "its special tokens have types of their own"
    try:
        path, layers = layers_of(encoder.model, n_layers=encoder.n_hidden_states - 1)
        with torch.no_grad(), running(encoder, is_train=False):
            cut = Cut(depth=depth, path=path, n_outputs=_n_outputs(encoder, layers[0]), whole=encoder.whole)
            is_same = all(_are_same(encoder, cut, batch, as_it_is) for batch, as_it_is in _probes(encoder))
    except ConfigError as error:
        return str(error.message)
    except Exception as error:  # whatever a model says to something that it was not made for
        said = str(error).strip().split("\n")[0]
        return f"its layers can't be computed apart: {said or type(error).__name__}"
    return cut if is_same else "its upper layers need more of the lower ones than what they give"


def weights_of_states(encoder: Encoder) -> list[dict[str, nn.Parameter]]:
    """For each hidden state the parameters that it depends on, by name: those of the layers below and of its graph."""
    _, layers = layers_of(encoder.model, n_layers=encoder.n_hidden_states - 1)
    batch, _ = next(_probes(encoder))
    numbers = tuple(range(encoder.n_hidden_states))
    with _all_in_graph(encoder.model), running(encoder, is_train=False), torch.enable_grad():
        states = encoder.whole.hidden_states(encoder.model, encoder.inputs_of(batch), batch, numbers)
    found = []
    for number, state in zip(numbers, states, strict=True):
        wanted = _leaves(state) | {id(parameter) for layer in layers[:number] for parameter in layer.parameters()}
        found.append({name: one for name, one in encoder.model.named_parameters() if id(one) in wanted})
    return found


def is_still(encoder: Encoder, number: int) -> bool:
    """Whether a hidden state is the same in training and in prediction: no dropout below, wherever it is applied."""
    batch, _ = next(_probes(encoder))
    inputs = encoder.inputs_of(batch)
    found = []
    with torch.no_grad(), torch.random.fork_rng(devices=[encoder.device] if encoder.device.type == "cuda" else []):
        for is_train in (True, False):
            with running(encoder, is_train=is_train):
                found += encoder.whole.hidden_states(encoder.model, inputs, batch, (number,))
    return torch.equal(*found)


def _are_same(encoder: Encoder, cut: Cut, batch: Batch, computed: AbstractContextManager[None]) -> bool:
    """Whether the two parts together give what the whole gives, from the cut upwards."""
    above = tuple(range(cut.depth, encoder.n_hidden_states))
    model, inputs = encoder.model, encoder.inputs_of(batch)
    positions, places = torch.from_numpy(batch.positions), torch.from_numpy(batch.places)

    def read(hidden: list[Tensor]) -> Tensor:
        return torch.stack([states.reshape(-1, encoder.width)[positions] for states in hidden])

    with computed:
        whole = read(encoder.whole.hidden_states(model, inputs, batch, above))
        lower = read(Lower(cut=cut).hidden_states(model, inputs, batch, above))[0]
        states = torch.zeros((sum(_PROBES), encoder.width), device=encoder.device)
        states[places] = lower
        upper = read(Upper(cut=cut, states=states).hidden_states(model, inputs, batch, above))
    return torch.equal(lower, whole[0]) and torch.equal(upper, whole)


def _n_outputs(encoder: Encoder, layer: nn.Module) -> int:
    """How many outputs a layer returns in a tuple; 0 for none."""
    seen: list[int] = []
    hook = layer.register_forward_hook(
        lambda module, given, output: seen.append(len(output) if isinstance(output, tuple) else 0)
    )
    try:
        batch, _ = next(_probes(encoder))
        encoder.model(**encoder.inputs_of(batch))
    finally:
        hook.remove()
    return seen[0]


def _probes(encoder: Encoder) -> Iterator[tuple[Batch, AbstractContextManager[None]]]:
    """Three short texts, laid out as in training, and as frozen windows are; each with how it is computed."""
    n = int(encoder.model.get_input_embeddings().num_embeddings)
    ids = np.arange(sum(_PROBES), dtype=np.int64) % max(1, n - n // 2) + n // 2
    lengths = np.array(_PROBES, dtype=np.int64)
    windows = Windows(first_piece=np.cumsum(lengths) - lengths, n_pieces=lengths)
    bare, layout = encoder.special.bare, encoder.layout
    bound = len(_PROBES) * max(_PROBES)
    for batch in layout.batches(ids, windows, bare, max_batch_pieces=bound, device=encoder.device.type):
        yield batch, nullcontext()
    for batch in batches_of_fixed_shapes(
        ids, windows, bare, n_padded_pieces=sum(_PROBES), max_length=max(_PROBES),
        leave_padding=not encoder.can_always_mask, equal=layout.rows is Rows.EQUAL,
    ):  # fmt: skip
        yield batch, always_masked()


@contextmanager
def _all_in_graph(model: nn.Module) -> Iterator[None]:
    """Let every parameter be part of the graph for the block, then those that were."""
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.requires_grad_(True)
        yield
    finally:
        for parameter, was in before:
            parameter.requires_grad_(was)


def _leaves(result: Tensor) -> set[int]:
    """The ids of the tensors that a result was computed from."""
    found: set[int] = set()
    seen: set[Any] = set()
    waiting: list[Any] = [result.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        waiting += [before for before, _ in node.next_functions]
    return found
