"""Tuples, lists and dicts of tensors, nested as deep as you like: take the leaves out, put others in their places.

A leaf is anything that is no tuple, list or mapping, None among them. Knows nothing of layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def leaves_of(nest: Any) -> Iterator[Any]:
    """The leaves, in the order in which they are written; a leaf by itself is its own only one."""
    if isinstance(nest, Mapping):
        for inner in nest.values():
            yield from leaves_of(inner)
    elif isinstance(nest, tuple | list):
        for inner in nest:
            yield from leaves_of(inner)
    else:
        yield nest


def with_leaves(nest: Any, leaves: Iterator[Any]) -> Any:
    """A nest of the same shape with other leaves, taken from `leaves` in order; mappings come back as plain dicts."""
    if isinstance(nest, Mapping):
        return {key: with_leaves(inner, leaves) for key, inner in nest.items()}
    if isinstance(nest, tuple):
        inner = [with_leaves(part, leaves) for part in nest]
        return type(nest)(*inner) if hasattr(nest, "_fields") else tuple(inner)
    if isinstance(nest, list):
        return [with_leaves(part, leaves) for part in nest]
    return next(leaves)


def mapped(function: Callable[[Any], Any], nest: Any) -> Any:
    """The nest with `function` applied to every leaf."""
    return with_leaves(nest, map(function, leaves_of(nest)))
