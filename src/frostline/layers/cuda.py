"""Thinc's own layers on a GPU: they compute with CuPy, in memory of torch's pool.

Our layers are torch's and need none of this. Where a pipeline has layers of Thinc's, their arrays are views of torch's
tensors and back (DLPack, no copy), and what CuPy asks for itself comes from torch's caching allocator: neither library
runs out of memory while the other holds free pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from thinc.api import Model, use_ops

from frostline.errors import UsageError

_allocator: Any = None  # CuPy keeps no reference of its own


@contextmanager
def thinc_on(device: torch.device) -> Iterator[None]:
    """Let the Thinc layers that are built within the block compute where `device` is.

    Without CuPy they are built for the CPU; `check_layers` tells whether that matters.
    """
    if device.type != "cuda" or not has_cupy():
        yield
        return
    import cupy

    share_memory()
    with cupy.cuda.Device(device.index or 0), use_ops("cupy"):
        yield


def has_cupy() -> bool:
    """Whether CuPy is installed and finds a GPU."""
    try:
        import cupy

        return bool(cupy.cuda.runtime.getDeviceCount())
    except Exception:  # an ImportError, or whatever a driver that does not fit makes of it
        return False


def share_memory() -> None:
    """Let CuPy take its memory from torch's caching allocator from now on."""
    global _allocator
    if _allocator is None:
        import cupy

        _allocator = cupy.cuda.PythonFunctionAllocator(_allocate, _free)
        cupy.cuda.set_allocator(_allocator.malloc)


def _allocate(n_bytes: int, device: int) -> int:
    import cupy

    return int(torch.cuda.caching_allocator_alloc(n_bytes, device, cupy.cuda.get_current_stream().ptr))


def _free(address: int, device: int) -> None:
    torch.cuda.caching_allocator_delete(address)  # type: ignore[no-untyped-call]


def check_layers(models: Iterable[Model], device: torch.device) -> None:
    """Raise UsageError where there are parameters of Thinc's own on a GPU that CuPy can't reach."""
    if device.type != "cuda" or has_cupy():
        return
    for model in models:
        for node in model.walk():
            if node.param_names:
                raise UsageError(
                    f"The layer '{node.name}' is one of Thinc's, which computes on a GPU with CuPy, and there is none.",
                    fix="pip install 'frostline[cuda]', or stay on the CPU.",
                )
