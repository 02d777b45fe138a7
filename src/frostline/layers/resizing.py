"""Change the widths of a layer that has learnt: it grows with zeros, or loses its last rows and columns.

What stays is equal bit for bit. Every function says how each parameter changed; give that to
`ParameterStore.refresh`, and the optimizer's moments and the averages follow. A layer whose outputs should not change
in their last bits either must keep computing the old ones by themselves (token_head.py does): a wider matrix product
adds in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from thinc.api import Model
from thinc.util import torch2xp, xp2torch
from torch import Tensor, nn

from frostline.layers.parameters import Identity
from frostline.layers.reindexing import Reindexing, reindexed

Changes: TypeAlias = dict[Identity, tuple[Reindexing, ...]]

_THINC_SHAPES = {  # name and number of dimensions of a parameter -> which width each dimension is
    ("W", 2): ("nO", "nI"),  # Linear, Softmax, Relu, Gelu, Mish, Swish, ...
    ("W", 3): ("nO", "nP", "nI"),  # Maxout
    ("b", 1): ("nO",),
    ("b", 2): ("nO", "nP"),
    ("E", 2): ("nV", "nO"),  # Embed, HashEmbed
}
_THINC_REFUSED = ("lstm", "pytorch", "layernorm", "parametricattention", "sparse_linear")  # other shapes, same names


def resize(layer: nn.Module | Model, *, n_in: int | None = None, n_out: int | None = None) -> Changes:
    """Set the input or output width of a layer in place.

    Args:
        layer: a torch Linear, Conv1d to Conv3d (without groups) or Embedding; a layer of Thinc with weights W and b
            (Linear, Softmax, Maxout, Relu, ...) or E (Embed). Of an embedding, n_in is the number of rows.
        n_in, n_out: 1 or more; None leaves it.
    Returns:
        How each parameter changed.
    Raises:
        TypeError: a layer of another kind. ValueError: a width below 1, or a Thinc layer without values yet.
    """
    for name, width in (("n_in", n_in), ("n_out", n_out)):
        if width is not None and width < 1:
            raise ValueError(f"{name} is {width}, but must be 1 or more")
    if isinstance(layer, Model):
        return _resize_thinc(layer, n_in, n_out)
    return _resize_torch(layer, n_in, n_out)


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
    shapes: dict[str, tuple[str, ...]] = {}
    for name in node.param_names:
        if not node.has_param(name):
            raise ValueError(f"the layer '{node.name}' has no values yet: initialise it first, or set its widths")
        known = _THINC_SHAPES.get((name, node.get_param(name).ndim))
        if known is None or node.name.lower().startswith(_THINC_REFUSED):
            raise TypeError(f"the layer '{node.name}' can't be resized: its parameter {name} is not known")
        shapes[name] = known
    if not shapes:
        raise TypeError(f"the layer '{node.name}' can't be resized: it has no parameters")
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
