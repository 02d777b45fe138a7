"""Which device new pipelines are put on."""

from __future__ import annotations

import torch

from frostline.errors import UsageError

_chosen = "cpu"


def chosen_device() -> str:
    """The device in torch's notation that `require_gpu` or `prefer_gpu` chose; "cpu" before."""
    return _chosen


def require_gpu(number: int = 0) -> None:
    """Put the pipelines built or loaded from now on on a GPU.

    Raises:
        UsageError: torch sees no such GPU.
    """
    global _chosen
    n_gpus = torch.cuda.device_count()
    if number >= n_gpus:
        raise UsageError(
            f"GPU {number} was asked for, but torch {torch.__version__} sees {n_gpus or 'none'}.",
            fix="Install a build of torch for your GPU, choose another number, or run without --gpu.",
        )
    _chosen = f"cuda:{number}"


def prefer_gpu(number: int = 0) -> bool:
    """As `require_gpu`, but stay on the CPU where there is no such GPU; says whether a GPU was chosen."""
    global _chosen
    if number < torch.cuda.device_count():
        _chosen = f"cuda:{number}"
        return True
    _chosen = "cpu"
    return False


def device_of(name: str) -> str:
    """The device for `system.device`: "auto" is a GPU where there is one, "" what was chosen in this process."""
    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    return name or _chosen
