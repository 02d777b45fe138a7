"""Find the weights that a function of somebody else's holds where no gathering of parameters would see them.

Looked at are the function's closure, its defaults, the globals it names, the object it is a method of, and what lies
in these. A tensor that wants no gradient is a constant, and allowed.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from thinc.api import Model
from torch import nn

MOST_LOOKED_AT = 1000  # objects; functions that name half a library are given up on
_OF_OTHERS = ("torch", "numpy", "thinc", "transformers", "frostline")  # packages whose functions hold no weights


def weights_in(function: Any) -> str | None:
    """The name of the kind of object that holds weights in `function`; None where there is none."""
    seen: dict[int, Any] = {}  # the objects too, so that no id is used twice
    pending = [function]
    while pending and len(seen) < MOST_LOOKED_AT:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        if _holds_weights(one):
            return type(one).__name__
        pending += _held_by(one)
    return None


def _holds_weights(one: Any) -> bool:
    if isinstance(one, nn.Module):
        return any(True for _ in one.parameters())
    if isinstance(one, Model):
        return any(node.param_names or isinstance(node.attrs.get("torch_module"), nn.Module) for node in one.walk())
    return isinstance(one, torch.Tensor) and one.requires_grad


def _held_by(one: Any) -> Iterator[Any]:
    if isinstance(one, MethodType):
        yield from (one.__self__, one.__func__)
    elif isinstance(one, functools.partial):
        yield from (one.func, *one.args, *one.keywords.values())
    elif isinstance(one, FunctionType):
        if (one.__module__ or "").partition(".")[0] not in _OF_OTHERS:
            yield from (*(one.__defaults__ or ()), *(one.__kwdefaults__ or {}).values())
            for cell in one.__closure__ or ():
                with suppress(ValueError):  # a cell that nothing has been put into
                    yield cell.cell_contents
            yield from (one.__globals__[name] for name in _names_in(one.__code__) if name in one.__globals__)
    elif isinstance(one, Mapping):
        yield from one.values()
    elif isinstance(one, list | tuple | set | frozenset):
        yield from one
    elif not isinstance(one, type | ModuleType | torch.Tensor | nn.Module | Model):
        yield from _attributes_of(one)


def _names_in(code: CodeType) -> Iterator[str]:
    """The globals that a function's code names, those of functions inside of it too; attributes are none."""
    yield from (one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names_in(inner)


def _attributes_of(one: Any) -> Iterable[Any]:
    """What lies in an object, and what it can do."""
    if type(one).__module__.partition(".")[0] in (*_OF_OTHERS, "builtins"):
        return
    yield from getattr(one, "__dict__", {}).values()
    yield from (inner for inner in vars(type(one)).values() if isinstance(inner, FunctionType))
