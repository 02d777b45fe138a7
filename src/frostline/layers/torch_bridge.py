"""The door between Thinc and torch: a torch module as a Thinc layer.

Thinc composes, names and configures; the tensors between two wrapped layers stay torch tensors, so nothing is
copied or converted on the way. A tensor that comes in with `requires_grad` asks for its gradient; one without it is
a constant, and the backward pass below it is not computed. A layer that is given arrays (of NumPy or CuPy), as
Thinc's own layers make them, gives arrays back. Inputs, outputs and gradients may be nested (nesting.py). The module
lies under `attrs["torch_module"]`; Thinc's `to_bytes` and `from_bytes` take it along, as safetensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from thinc.api import Model, deserialize_attr, serialize_attr
from thinc.util import get_array_module, is_xp_array, torch2xp, xp2torch
from torch import Tensor, nn

from frostline.errors import ModelFileError, UsageError
from frostline.layers.modes import is_frozen, mode_of, running
from frostline.layers.nesting import leaves_of, mapped, with_leaves
from frostline.layers.parameters import copy_common, named_parameters

Backprop = Callable[[Any], Any]


def wrap(
    module: nn.Module, *, name: str, attrs: dict[str, Any] | None = None, dropout_rate: float | None = None
) -> Model:
    """A Thinc layer around a torch module.

    Args:
        module: called with the layer's input; a tuple becomes its positional, a dict its keyword arguments.
        dropout_rate: of all its dropout layers, which Thinc's `set_dropout_rate` then drives; None for what they have.
    """
    given = {"torch_module": module, **(attrs or {})}
    if dropout_rate is not None:
        given["dropout_rate"] = dropout_rate
    return Model(name, _forward, attrs=given)


def _forward(model: Model, inputs: Any, is_train: bool) -> tuple[Any, Backprop]:
    module: nn.Module = model.attrs["torch_module"]
    with dropout_at(module, model.attrs.get("dropout_rate")):
        return apply_module(module, inputs, is_train=is_train)


def apply_module(module: nn.Module, inputs: Any, *, is_train: bool) -> tuple[Any, Backprop]:
    """Run a module and give its output with the way back.

    Args:
        module: as in `wrap`.
        inputs: tensors of any shapes, alone or nested; `requires_grad` says whether one's gradient is wanted. They
            are brought to the module's device. Of arrays the gradient of each float one is wanted.
        is_train: whether a backward pass may follow and dropout fires.
    Returns:
        The output, cut off from the graph, and a function that takes the gradient by the output (nested as that is,
        None where there is none), adds to the gradients of the parameters that move, and returns the gradient by the
        inputs, nested as these are, on their devices, None where it is not wanted.
    Raises:
        UsageError: the module wrote on an input, which other readers may share. Modules that say so (`inplace`, as
            torch's activations have it) get copies; a copy for all would be dear, and nothing else can be known ahead.
    """
    given = list(leaves_of(inputs))
    as_arrays = any(is_xp_array(leaf) for leaf in given) and not any(isinstance(leaf, Tensor) for leaf in given)
    device = _device_of(module)
    leaves = [_as_leaf(leaf, device, is_train and mode_of(module).passes_gradient) for leaf in given]
    wanted = [isinstance(leaf, Tensor) and leaf.requires_grad for leaf in leaves]
    needs_graph = is_train and (any(wanted) or not is_frozen(module))
    versions = versions_of(leaves)
    with torch.set_grad_enabled(needs_graph), running(module, is_train=is_train) as parts:
        outputs = _call(module, with_leaves(inputs, iter(safe_to_write(leaves, parts))))
    check_unwritten(module, leaves, versions)
    if not is_train:
        return _given_back(outputs, as_arrays), no_way_back
    if not needs_graph:
        return _given_back(outputs, as_arrays), lambda gradient: mapped(lambda leaf: None, inputs)

    def backprop(gradient: Any) -> Any:
        _backward(list(leaves_of(outputs)), list(leaves_of(gradient)))
        of_leaves = (
            _gradient_for(origin, leaf.grad) if is_wanted else None
            for origin, leaf, is_wanted in zip(given, leaves, wanted, strict=True)
        )
        return with_leaves(inputs, of_leaves)

    return _given_back(outputs, as_arrays), backprop


def no_way_back(gradient: Any) -> Any:
    """The backprop of a prediction: calling it is a fault of the program."""
    raise RuntimeError("A forward pass with is_train=False has no backward pass.")


def _call(module: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, tuple):
        return module(*inputs)
    if isinstance(inputs, dict):
        return module(**inputs)
    return module(inputs)


def _as_leaf(leaf: Any, device: torch.device | None, may_want: bool) -> Any:
    """An input as the start of a graph of its own, on the module's device; what is no tensor stays as it is."""
    if is_xp_array(leaf):
        tensor = xp2torch(leaf)
        return tensor.to(device or tensor.device).requires_grad_(may_want and tensor.is_floating_point())
    if not isinstance(leaf, Tensor):
        return leaf
    return leaf.detach().to(device or leaf.device).requires_grad_(may_want and leaf.requires_grad)


def safe_to_write(leaves: list[Any], parts: Iterable[nn.Module]) -> list[Any]:
    """What a module may be given: copies, in the graph, where a part of it says that it works in place."""
    if not any(part.__dict__.get("inplace") for part in parts):
        return leaves
    return [leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves]


def versions_of(leaves: list[Any]) -> list[int]:
    """How often each tensor was written on, counted for all that share its memory; 0 where nobody counts."""
    return [leaf._version if isinstance(leaf, Tensor) and not leaf.is_inference() else 0 for leaf in leaves]


def check_unwritten(module: nn.Module, leaves: list[Any], versions: list[int]) -> None:
    """Raise UsageError where an input was written on since its version was taken."""
    if versions_of(leaves) != versions:
        raise UsageError(
            f"The module {type(module).__name__} wrote on its input, which others read too; its numbers are lost.",
            fix="Compute in new tensors (relu for relu_, x = x + y for x += y), or begin with a copy: x = x.clone().",
        )


def _device_of(module: nn.Module) -> torch.device | None:
    """Where the module's parameters are; None where it has none."""
    first = next(module.parameters(), None)
    return None if first is None else first.device


def _given_back(outputs: Any, as_arrays: bool) -> Any:
    def one(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        return torch2xp(leaf.detach()) if as_arrays else leaf.detach().requires_grad_(leaf.requires_grad)

    return mapped(one, outputs)


def _backward(outputs: list[Any], gradients: list[Any]) -> None:
    if len(outputs) != len(gradients):
        raise ValueError(f"the layer gave {len(outputs)} tensors, but {len(gradients)} gradients come back")
    pairs = [
        (output, gradient)
        for output, gradient in zip(outputs, gradients, strict=True)
        if gradient is not None and isinstance(output, Tensor) and output.requires_grad
    ]
    if pairs:
        tensors = [xp2torch(gradient) if is_xp_array(gradient) else gradient for _, gradient in pairs]
        of_outputs = [t.to(output.device) for (output, _), t in zip(pairs, tensors, strict=True)]
        torch.autograd.backward([output for output, _ in pairs], of_outputs)


def _gradient_for(origin: Any, gradient: Tensor | None) -> Any:
    """A gradient in the form and place of the input that it is by."""
    if isinstance(origin, Tensor):
        return None if gradient is None else gradient.to(origin.device)
    if gradient is None:  # Thinc's layers know no absent gradient
        return get_array_module(origin).zeros_like(origin)
    return torch2xp(gradient)


@contextmanager
def dropout_at(module: nn.Module, rate: float | None) -> Iterator[None]:
    """Set the rate of every dropout layer of a module for the block, then back what each had; None leaves them.

    Whether dropout fires at all stays with the mode and `is_train`.
    """
    if rate is None:
        yield
        return
    layers = [part for part in module.modules() if isinstance(part, nn.modules.dropout._DropoutNd)]
    before = [layer.p for layer in layers]
    try:
        for layer in layers:
            layer.p = rate
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.p = own


@contextmanager
def use_params(model: Model | nn.Module, values: Mapping[str, Tensor]) -> Iterator[None]:
    """Put other values in for some parameters for the block, then the ones that were there back.

    Blocks may be nested, and what was there returns after an exception too, and where a store moved or resized it in
    between. Works in place, so that flat buffers and optimizers stay as they are; whole pipelines use
    `ParameterStore.use`.

    Args:
        model: a Thinc model tree or a torch module.
        values: by the names of `named_parameters`, each of its parameter's shape.
    Raises:
        KeyError: an unknown name. ValueError: another shape. In both cases nothing has changed.
    """
    mine = named_parameters(model)
    for name, tensor in values.items():
        if mine[name].shape != tensor.shape:
            raise ValueError(f"'{name}' has shape {tuple(mine[name].shape)}, not {tuple(tensor.shape)}")
    kept = {name: mine[name].clone() for name in values}
    try:
        for name, tensor in values.items():
            mine[name].copy_(tensor)
        yield
    finally:
        there = named_parameters(model)  # in other memory where a store was refreshed in between
        for name in kept.keys() & there.keys():
            copy_common(kept[name], there[name])


def module_to_bytes(module: nn.Module) -> bytes:
    """Parameters and saved buffers as safetensors, sorted by name; equal modules are equal bytes."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(module.state_dict().items())}
    return bytes(save_safetensors({name: tensor.clone() for name, tensor in state.items()}))


def module_from_bytes(module: nn.Module, data: bytes) -> nn.Module:
    """Fill a module of the same build with what `module_to_bytes` wrote, on the device where it is.

    Raises:
        ModelFileError: the bytes are broken, or of a module with other parameters.
    """
    try:
        module.load_state_dict(load_safetensors(data))
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(
            f"The weights do not fit a {type(module).__name__}: {reason}",
            fix="Build the layer with the sizes it was saved with, or train again.",
        ) from error
    return module


def _module_to_attr(module: nn.Module, value: nn.Module, name: str, model: Model) -> bytes:
    return module_to_bytes(value)


def _module_from_attr(module: nn.Module, value: bytes, name: str, model: Model) -> nn.Module:
    return module_from_bytes(module, value)


serialize_attr.register(nn.Module, _module_to_attr)
deserialize_attr.register(nn.Module, _module_from_attr)


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
