"""Thinc layers whose work is torch's: composed as Thinc's are, computed as one torch graph.

A layer made with `graph_layer` maps its inputs to a tensor by a function of torch operations. `chain`, `concatenate`
and `add` make one layer of several; what the whole of them computes lies in one graph, so a publisher sends its
gradient back by a single backward pass, and no callback stands between two tensors. A Thinc layer of another kind may
take part: its own callback is then a node of the graph.

A layer reads docs, or the distinct words of a batch (`attrs["reads"] == "words"`), or what the layer
before it gives. `attrs["width"]` says how wide its rows are, `attrs["keeps_width"]` that they stay as wide as they
come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import torch
from thinc.api import Model
from thinc.util import torch2xp, xp2torch
from torch import Tensor, nn

from frostline.errors import ConfigError
from frostline.layers.distinct_words import DistinctWords
from frostline.layers.modes import running
from frostline.layers.torch_bridge import (
    Backprop,
    check_unwritten,
    no_way_back,
    safe_to_write,
    torch_modules,
    versions_of,
)

Compute: TypeAlias = Callable[[Model, Any, bool], Tensor]  # (layer, inputs, is_train) -> rows

READS_WORDS = "words"


def graph_layer(
    name: str, compute: Compute, *, layers: Sequence[Model] = (), module: nn.Module | None = None, **attrs: Any
) -> Model:
    """A Thinc layer that computes in torch's graph.

    Args:
        name: of its kind; parameters and modes are named by it.
        compute: (layer, inputs, is_train) -> (n, width) float32; it runs inner layers by `run`.
        layers: the inner ones.
        module: the torch module that holds its parameters, where it has some.
        attrs: `width` of its rows; `reads="words"` when its inputs are `DistinctWords`.
    """
    return Model(name, _forward, layers=list(layers), attrs={"compute": compute, "torch_module": module, **attrs})


def module_layer(name: str, module: nn.Module, **attrs: Any) -> Model:
    """A layer that is one torch module: its inputs go to the module as they are."""
    return graph_layer(name, _call_module, module=module, **attrs)


def run(model: Model, inputs: Any, *, is_train: bool) -> Tensor:
    """Compute a layer as a part of the graph that is being built, if one is.

    Which modules drop out is set before (`running_all`); gradients reach parameters by torch's own backward pass.
    """
    compute: Compute | None = model.attrs.get("compute")
    if compute is not None:
        return compute(model, inputs, is_train)
    if not (is_train and torch.is_grad_enabled()):
        return _as_tensor(model.predict(inputs))
    anchor = inputs if isinstance(inputs, Tensor) else torch.zeros((), requires_grad=True)
    outputs: Tensor = _Foreign.apply(anchor, model, inputs)  # type: ignore[no-untyped-call]
    return outputs


def chain(*layers: Model, name: str = "chain") -> Model:
    """One layer after the other."""
    _check_any(layers, "chain")
    return graph_layer(name, _compute_chain, layers=layers, **_reads(layers[:1]), **_width(layers))


def concatenate(*layers: Model, name: str = "concatenate") -> Model:
    """The rows of several layers that read the same, side by side: (n, sum of the widths)."""
    _check_any(layers, "concatenate")
    layers = _on_one_footing(layers)
    widths = [layer.attrs.get("width") for layer in layers]
    width: dict[str, Any] = {} if None in widths else {"width": sum(widths)}
    return graph_layer(name, _compute_concatenate, layers=layers, **_reads(layers), **width)


def add(*layers: Model, name: str = "add") -> Model:
    """The sum of the rows of several layers that read the same.

    Raises:
        ConfigError: the layers are known to be of different widths.
    """
    _check_any(layers, "add")
    layers = _on_one_footing(layers)
    widths = {layer.name: layer.attrs["width"] for layer in layers if "width" in layer.attrs}
    if len(set(widths.values())) > 1:
        of_each = ", ".join(f"{name} {width}" for name, width in widths.items())
        message = f"Layers that are added have the same width, but these have: {of_each}."
        raise ConfigError(message, fix="Give them one width, or concatenate them.")
    return graph_layer(name, _compute_add, layers=layers, **_reads(layers), **_width(layers[:1]))


def per_token(layer: Model) -> Model:
    """A layer that reads docs, of one that reads distinct words; any other layer is given back as it is.

    It has the same name. The gradient of a word is the sum of those of its tokens, added in a fixed order.
    """
    if layer.attrs.get("reads") != READS_WORDS:
        return layer
    return graph_layer(layer.name, _compute_per_token, layers=[layer], **_width([layer]))


def module_tree(model: Model) -> nn.Module:
    """The torch modules of a layer and its inner ones as one module, named as the layers are.

    A layer without inner ones is its own module; of several inner layers with one name, the later ones are numbered.
    """
    own = model.attrs.get("torch_module")
    if not model.layers:
        return own if isinstance(own, nn.Module) else nn.Module()
    tree = nn.Module()
    if isinstance(own, nn.Module):
        tree.add_module("own", own)
    for layer in model.layers:
        name, number = layer.name, 1
        while hasattr(tree, name):
            name, number = f"{layer.name}_{number}", number + 1
        inner = module_tree(layer)
        if type(inner) is not nn.Module or list(inner.children()):
            tree.add_module(name, inner)
    children = list(tree.children())
    return children[0] if len(children) == 1 else tree


@contextmanager
def running_all(model: Model, *, is_train: bool) -> Iterator[None]:
    """Put the torch modules of a layer and its inner ones in the state that their modes ask for, for a block."""
    with ExitStack() as stack:
        for _, module in torch_modules(model):
            stack.enter_context(running(module, is_train=is_train))
        yield


def _forward(model: Model, inputs: Any, is_train: bool) -> tuple[Tensor, Backprop]:
    """What Thinc calls: the layer by itself, with its own small graph."""
    if not is_train:
        with torch.no_grad(), running_all(model, is_train=False):
            return run(model, inputs, is_train=False), no_way_back
    wanted = isinstance(inputs, Tensor) and inputs.requires_grad
    leaf = inputs.detach().requires_grad_() if wanted else inputs
    with torch.enable_grad(), running_all(model, is_train=True):
        outputs = run(model, leaf, is_train=True)

    def backprop(gradient: Tensor) -> Tensor | None:
        if outputs.requires_grad:
            torch.autograd.backward(outputs, gradient)
        return leaf.grad if wanted else None

    return outputs.detach().requires_grad_(outputs.requires_grad), backprop


class _Foreign(torch.autograd.Function):
    """A Thinc layer that computes by itself and goes back by its own callback, as a node of torch's graph."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, model: Model, inputs: Any) -> Tensor:
        outputs, ctx.backprop = model(inputs, is_train=True)
        ctx.passes_on = anchor is inputs
        ctx.is_tensor = isinstance(outputs, Tensor)
        return _as_tensor(outputs).detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        returned = ctx.backprop(gradient if ctx.is_tensor else torch2xp(gradient))
        return (_as_tensor(returned) if ctx.passes_on and returned is not None else None), None, None


def _as_tensor(rows: Any) -> Tensor:
    return rows if isinstance(rows, Tensor) else xp2torch(rows)


def _call_module(model: Model, inputs: Any, is_train: bool) -> Tensor:
    module: nn.Module = model.attrs["torch_module"]
    if not isinstance(inputs, Tensor):
        rows: Tensor = module(inputs)
        return rows
    versions = versions_of([inputs])
    rows = module(*safe_to_write([inputs], module.modules()))  # the layers beside this one read the same rows
    check_unwritten(module, [inputs], versions)
    return rows


def _compute_chain(model: Model, inputs: Any, is_train: bool) -> Tensor:
    for layer in model.layers:
        inputs = run(layer, inputs, is_train=is_train)
    rows: Tensor = inputs
    return rows


def _compute_concatenate(model: Model, inputs: Any, is_train: bool) -> Tensor:
    parts = [run(layer, inputs, is_train=is_train) for layer in model.layers]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _compute_add(model: Model, inputs: Any, is_train: bool) -> Tensor:
    total = run(model.layers[0], inputs, is_train=is_train)
    for layer in model.layers[1:]:
        total = total + run(layer, inputs, is_train=is_train)
    return total


def _compute_per_token(model: Model, docs: Any, is_train: bool) -> Tensor:
    words = DistinctWords.of(docs, device=_device_of(model))
    rows = run(model.layers[0], words, is_train=is_train)
    return nn.functional.embedding(words.row_of_token, rows)  # its backward pass adds in a fixed order


def _device_of(model: Model) -> torch.device:
    """Where the first parameter of a layer is."""
    for _, module in torch_modules(model):
        for parameter in module.parameters():
            return parameter.device
    return torch.device("cpu")


def _check_any(layers: Sequence[Model], name: str) -> None:
    if not layers:
        raise ConfigError(f"{name} was given no layers.", fix="Give it at least one.")


def _reads(layers: Sequence[Model]) -> dict[str, Any]:
    return {"reads": READS_WORDS} if all(layer.attrs.get("reads") == READS_WORDS for layer in layers) else {}


def _width(layers: Sequence[Model]) -> dict[str, Any]:
    """The width of the last layer that does not simply keep what it is given."""
    changing = [layer for layer in layers if not layer.attrs.get("keeps_width")]
    return {"width": changing[-1].attrs["width"]} if changing and "width" in changing[-1].attrs else {}


def _on_one_footing(layers: Sequence[Model]) -> tuple[Model, ...]:
    """Layers that read words, among others that read docs, are spread over the tokens first."""
    reading = [layer.attrs.get("reads") == READS_WORDS for layer in layers]
    if all(reading) or not any(reading):
        return tuple(layers)
    return tuple(per_token(layer) for layer in layers)
