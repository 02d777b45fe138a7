"""All layers of a Thinc model as one tree of torch modules, so that one rule of names and modes serves both libraries.

A wrapped torch module stands in the tree itself, under the name of its layer. A layer of Thinc's own that has
parameters or dropout is represented by a `ThincNode`, which hands its mode on to the layer. A model with a single
layer of either kind is that layer, so that names stay short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from thinc.api import Model
from torch import nn

from frostline.layers.modes import Mode
from frostline.layers.torch_bridge import torch_modules


class ThincNode(nn.Module):
    """A layer of Thinc's own in a tree of torch modules.

    Args:
        node: has parameters, or dropout (`dropout_rate` and `is_enabled` among its attributes).
    """

    def __init__(self, node: Model) -> None:
        super().__init__()
        self.node = node
        self._plain = node._func
        self._mode = Mode.TRAIN

    @property
    def frostline_mode(self) -> Mode:
        """The mode that was declared last."""
        return self._mode

    @frostline_mode.setter
    def frostline_mode(self, mode: Mode) -> None:
        self._mode = mode
        self.node.attrs["frozen"] = not mode.parameters_move
        if "is_enabled" in self.node.attrs:
            self.node.attrs["is_enabled"] = mode in (Mode.TRAIN, Mode.SAMPLE)
            self.node._func = _always_on(self._plain) if mode is Mode.SAMPLE else self._plain


def _always_on(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A dropout layer's forward that fires in prediction too."""
    return lambda model, inputs, is_train: forward(model, inputs, True)


def stand_still(tree: nn.Module) -> None:
    """Let no parameter of a tree move, whatever its modes say."""
    tree.requires_grad_(False)
    for part in tree.modules():
        if isinstance(part, ThincNode):
            part.node.attrs["frozen"] = True


def tree_of(model: Model) -> nn.Module:
    """The tree of a model's layers; names that repeat are numbered, `linear`, `linear-1`, ..."""
    found = list(_layers_of(model))
    if len(found) == 1:
        return found[0][1]
    tree = nn.Module()
    for name, module in found:
        tree.add_module(_free_name(tree, name.replace(".", "_")), module)
    return tree


def _layers_of(model: Model) -> Iterator[tuple[str, nn.Module]]:
    yield from torch_modules(model)
    for node in model.walk():
        has_own = bool(node.param_names) or "is_enabled" in node.attrs
        if has_own and not isinstance(node.attrs.get("torch_module"), nn.Module):
            yield node.name, ThincNode(node)


def _free_name(tree: nn.Module, name: str) -> str:
    taken = dict(tree.named_children())
    numbered = (f"{name}-{number}" if number else name for number in range(len(taken) + 1))
    return next(one for one in numbered if one not in taken)
