"""Change the widths of a layer that has learnt: it grows with zeros, or loses its last rows and columns.

What stays is equal bit for bit. Every function says how each parameter changed; give that to
`ParameterStore.refresh`, and the optimizer's moments and the averages follow. A layer whose outputs should not change
in their last bits either must keep computing the old ones by themselves (token_head.py does): a wider matrix product
adds in another order.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from thinc.api import Model
from thinc.util import torch2xp, xp2torch
from torch import Tensor, nn

from frostline.layers.parameters import Identity
from frostline.layers.reindexing import Reindexing, reindexed

Changes: TypeAlias = dict[Identity, tuple[Reindexing, ...]]

_Shapes: TypeAlias = Mapping[str, tuple[str, ...]]  # parameter -> which width each of its dimensions is

_AFFINE: _Shapes = {"W": ("nO", "nI"), "b": ("nO",)}
_TABLE: _Shapes = {"E": ("nV", "nO")}
# The layers of Thinc that are known, by the module of their forward pass: a name can be changed, and layers that are
# not in this list give other shapes, or another meaning, to parameters of the same names.
_THINC: Mapping[str, _Shapes] = {
    "linear": _AFFINE, "clipped_linear": _AFFINE, "gelu": _AFFINE, "hard_swish": _AFFINE,
    "hard_swish_mobilenet": _AFFINE, "mish": _AFFINE, "relu": _AFFINE, "sigmoid": _AFFINE, "swish": _AFFINE,
    "softmax": _AFFINE, "multisoftmax": _AFFINE, "maxout": {"W": ("nO", "nP", "nI"), "b": ("nO", "nP")},
    "embed": _TABLE, "hashembed": _TABLE,
}  # fmt: skip
_FIXED = {  # (module, width that can't be changed) -> why not, and what to do
    ("multisoftmax", "n_out"): "its outputs are normalised in groups, and it is open which one grows; make a new one",
    ("hashembed", "n_in"): "a key's rows are its hash modulo their number, so all would be mixed up; make a new one",
}


def resize(layer: nn.Module | Model, *, n_in: int | None = None, n_out: int | None = None) -> Changes:
    """Set the input or output width of a layer in place.

    Args:
        layer: a torch Linear, Conv1d to Conv3d (without groups) or Embedding, whose weight is a parameter; of Thinc
            an affine layer (Linear, Softmax, Relu, ...), Maxout or Embed, of MultiSoftmax n_in, of HashEmbed n_out.
            Of an embedding, n_in is the number of rows.
        n_in, n_out: 1 or more; None leaves it.
    Returns:
        How each parameter changed.
    Raises:
        TypeError: a layer of another kind, or a width that is no whole number. ValueError: a width below 1, or a
            layer without values yet. Nothing has changed then.
    Another layer that holds the same parameter keeps its old widths: give each its own before.
    """
    n_in, n_out = _checked("n_in", n_in), _checked("n_out", n_out)
    if isinstance(layer, Model):
        return _resize_thinc(layer, n_in, n_out)
    return _resize_torch(layer, n_in, n_out)


def _checked(name: str, width: int | None) -> int | None:
    if width is None:
        return None
    if isinstance(width, bool) or not hasattr(width, "__index__"):
        raise TypeError(f"{name} is {width!r}, but must be a whole number")
    if width < 1:
        raise ValueError(f"{name} is {width}, but must be 1 or more")
    return operator.index(width)


def _resize_torch(module: nn.Module, n_in: int | None, n_out: int | None) -> Changes:
    names: dict[str, str]  # width -> attribute of the module
    dims: tuple[str, ...]  # of the weight
    if isinstance(module, nn.Linear):
        names, dims = {"n_in": "in_features", "n_out": "out_features"}, ("n_out", "n_in")
    elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        if module.groups != 1:
            raise TypeError(f"a convolution in {module.groups} groups has no single width")
        names, dims = {"n_in": "in_channels", "n_out": "out_channels"}, ("n_out", "n_in")
    elif isinstance(module, nn.Embedding):
        names, dims = {"n_in": "num_embeddings", "n_out": "embedding_dim"}, ("n_in", "n_out")
    else:
        raise TypeError(f"a {type(module).__name__} can't be resized: Linear, Conv1d to Conv3d and Embedding can")
    _check_parameters(module)
    wanted = {name: width for name, width in (("n_in", n_in), ("n_out", n_out)) if width is not None}
    padding = getattr(module, "padding_idx", None)
    if padding is not None and n_in is not None and padding >= n_in:
        raise ValueError(f"row {padding} is the padding's and can't be cut")
    changes: Changes = {}
    weight, bias = module.weight, getattr(module, "bias", None)
    assert isinstance(weight, nn.Parameter)
    _change(changes, weight, dims, wanted)
    if isinstance(bias, nn.Parameter):
        _change(changes, bias, ("n_out",), wanted)
    for name, width in wanted.items():
        setattr(module, names[name], width)
    return changes


def _check_parameters(module: nn.Module) -> None:
    """Raise where a layer computes with something else than a weight and a bias of its own, or has no values yet."""
    parameters = dict(module.named_parameters())
    others = sorted(parameters.keys() - {"weight", "bias"})
    if others or "weight" not in parameters:
        raise TypeError(
            f"this {type(module).__name__} can't be resized: it computes with {', '.join(others) or 'no weight'}. "
            "Take the parametrization off first (torch.nn.utils.parametrize.remove_parametrizations, or the "
            "remove_… function of what was put on it), and put it on again afterwards"
        )
    if any(map(nn.parameter.is_lazy, parameters.values())):
        raise ValueError(f"this {type(module).__name__} has no values yet: give it its first input, then resize it")


def _change(changes: Changes, parameter: nn.Parameter, dims: tuple[str, ...], wanted: dict[str, int]) -> None:
    steps = tuple(_steps(parameter.data, dims, wanted))
    if steps:
        parameter.grad = None  # of the old shape
        parameter.data = reindexed(parameter.data, steps)
        changes[id(parameter)] = steps


def _steps(values: Tensor, dims: tuple[str, ...], wanted: dict[str, int]) -> Iterator[Reindexing]:
    for dim, width in enumerate(dims):
        if width in wanted and wanted[width] != values.shape[dim]:
            yield Reindexing.to_size(dim, old=values.shape[dim], new=wanted[width])


def _resize_thinc(node: Model, n_in: int | None, n_out: int | None) -> Changes:
    module = node.attrs.get("torch_module")
    if isinstance(module, nn.Module):
        return _resize_torch(module, n_in, n_out)
    shapes = _shapes_of(node)
    kind = node._func.__module__.rpartition(".")[2]
    for name, width in (("n_in", n_in), ("n_out", n_out)):
        if width is not None and (kind, name) in _FIXED:
            raise TypeError(f"{name} of the layer '{node.name}' can't be changed: {_FIXED[kind, name]}")
    for name in shapes:
        if not node.has_param(name):
            raise ValueError(f"the layer '{node.name}' has no values yet: initialise it first, or set its widths")
    is_table = "E" in shapes
    given = (("nV" if is_table else "nI", n_in), ("nO", n_out))
    wanted = {name: width for name, width in given if width is not None}
    changes: Changes = {}
    values: dict[str, Any] = {}
    for name, dims in shapes.items():
        tensor = xp2torch(node.get_param(name))
        steps = tuple(_steps(tensor, dims, wanted))
        if steps:
            values[name] = torch2xp(reindexed(tensor, steps))
            changes[(id(node), name)] = steps
    node._dims.update({width: number for width, number in wanted.items() if width in node._dims})
    for name, array in values.items():  # set_dim refuses where there are parameters already
        node.set_param(name, array)
        node._params._grads.pop((node.id, name), None)  # of the old shape
    return changes


def _shapes_of(node: Model) -> _Shapes:
    """Which width each dimension of a layer's parameters is; TypeError for a layer that is not known."""
    package, _, kind = getattr(node._func, "__module__", "").rpartition(".")
    shapes = _THINC.get(kind, {}) if package == "thinc.layers" else {}
    if not shapes or set(node.param_names) != shapes.keys():
        names = ", ".join(node.param_names)
        why = f"its parameters ({names}) are not known" if names else "it has no parameters of its own"
        known = "Linear, Softmax, Maxout, Embed, HashEmbed and those of an affine map and an activation"
        raise TypeError(f"the layer '{node.name}' can't be resized: {why}. Of Thinc's, {known} can")
    return shapes
