"""The door between Thinc and torch: a torch module as a Thinc layer.

Thinc composes, names and configures; the tensors between two wrapped layers stay torch tensors, so nothing is
copied or converted on the way. A tensor that comes in with `requires_grad` asks for its gradient; one without it is
a constant, and the backward pass below it is not computed. The module lies under `attrs["torch_module"]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from thinc.api import Model
from torch import Tensor, nn

from frostline.layers.modes import is_frozen, running

Backprop = Callable[[Any], Any]


def wrap(module: nn.Module, *, name: str, attrs: dict[str, Any] | None = None) -> Model:
    """A Thinc layer around a torch module that maps one tensor to one tensor."""
    return Model(name, _forward, attrs={"torch_module": module, **(attrs or {})})


def _forward(model: Model, inputs: Tensor, is_train: bool) -> tuple[Tensor, Backprop]:
    return apply_module(model.attrs["torch_module"], inputs, is_train=is_train)


def apply_module(module: nn.Module, inputs: Tensor, *, is_train: bool) -> tuple[Tensor, Backprop]:
    """Run a module and give its output with the way back.

    Args:
        module: maps one tensor to one tensor.
        inputs: any shape; `requires_grad` says whether its gradient is wanted.
        is_train: whether a backward pass may follow and dropout fires.
    Returns:
        The output, cut off from the graph, and a function that takes the gradient by the output, adds to the
        gradients of the parameters that move, and returns the gradient by the inputs (None when not wanted).
    """
    if not is_train:
        with torch.no_grad(), running(module, is_train=False):
            return module(inputs), no_way_back
    wanted = inputs.requires_grad
    leaf = inputs.detach().requires_grad_(wanted)
    if not wanted and is_frozen(module):
        with torch.no_grad(), running(module, is_train=True):
            return module(leaf), lambda gradient: None
    with torch.enable_grad(), running(module, is_train=True):
        outputs = module(leaf)

    def backprop(gradient: Tensor) -> Tensor | None:
        torch.autograd.backward(outputs, gradient)
        return leaf.grad if wanted else None

    return outputs.detach().requires_grad_(outputs.requires_grad), backprop


def no_way_back(gradient: Any) -> Any:
    """The backprop of a prediction: calling it is a fault of the program."""
    raise RuntimeError("A forward pass with is_train=False has no backward pass.")


def torch_modules(model: Model) -> Iterator[tuple[str, nn.Module]]:
    """The torch modules of a Thinc model tree with the names of their layers, each module once, in walk order.

    A module that lies in one of those before it is not listed again.
    """
    seen: set[int] = set()
    for node in model.walk():
        module = node.attrs.get("torch_module")
        if isinstance(module, nn.Module) and id(module) not in seen:
            seen.update(map(id, module.modules()))
            yield node.name, module
