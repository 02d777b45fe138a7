"""What stores and caches have of a batch, and the rest computed: the same numbers from wherever they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from frostline.embedding.cache import ActivationCache
from frostline.embedding.store import ActivationStore


def look_up(
    stores: Sequence[ActivationStore | ActivationCache],
    keys: Sequence[bytes],
    compute: Callable[[list[int]], tuple[Tensor, list[int]]],
) -> Tensor:
    """The numbers of a batch's docs, one behind the other; what is computed is offered to the caches.

    Args:
        stores: asked in this order.
        keys: of the docs.
        compute: for docs by their places in the batch (n_layers, n, width) float32, as a store would give it back, and
            how much of n is each doc's.
    Returns:
        (n_layers, n, width) float32, where it was computed, or on the CPU.
    """
    found = [_stored(stores, key) for key in keys]
    missing = [place for place, hit in enumerate(found) if hit is None]
    if not missing:
        return torch.cat([part for part in found if part is not None], dim=1)
    computed, lengths = compute(missing)
    for place, part in zip(missing, torch.split(computed, lengths, dim=1), strict=True):
        found[place] = part
        for store in stores:
            if isinstance(store, ActivationCache):
                store.put(keys[place], part.cpu().numpy())
    if len(missing) == len(keys):
        return computed
    return torch.cat([part.to(computed.device) for part in found if part is not None], dim=1)


def _stored(stores: Sequence[ActivationStore | ActivationCache], key: bytes) -> Tensor | None:
    for store in stores:
        hit = store.get(key)
        if hit is not None:
            return hit
    return None
