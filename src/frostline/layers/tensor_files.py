"""Tensors to a safetensors file and from one, with errors that a user can mend; their bytes, checksummed."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, uint8

from frostline.digest import canonical_json
from frostline.errors import ModelFileError, TrainingError
from frostline.files import set_apart


def save_tensors(tensors: Mapping[str, Tensor], path: Path, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write contiguous tensors; TrainingError when the file can't be written."""
    try:
        with set_apart(path) as file:
            save_file(dict(tensors), file, metadata=None if metadata is None else dict(metadata))
    except (SafetensorError, OSError) as error:  # the library's own is no OSError
        told = error.strerror if isinstance(error, OSError) else re.sub(r' at path ".*"', "", str(error))
        reason = told or type(error).__name__  # without the library's name for a file that is gone by now
        raise TrainingError(
            f"The weights can't be written: {reason}", where=str(path), fix="Is the disk full, or the folder read-only?"
        ) from error


def checksum_of(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> str:
    """crc32, in hex, of contiguous tensors with their names, types and shapes, and of what is said about them."""
    checksum = zlib.crc32(canonical_json(dict(about)))
    for name, tensor in sorted(tensors.items()):
        checksum = zlib.crc32(canonical_json([name, str(tensor.dtype), list(tensor.shape)]), checksum)
        checksum = zlib.crc32(byte_view(tensor.detach().cpu()), checksum)
    return f"{checksum:08x}"


def byte_view(values: Tensor) -> memoryview:
    """The bytes of a contiguous tensor, without a copy; little-endian, as every platform that torch runs on is."""
    view: memoryview = values.reshape(-1).view(uint8).numpy().data
    return view


def check_finite(weights: Iterable[tuple[str, Tensor]], path: Path) -> None:
    """Refuse weights that hold NaN or an infinite number: all that they touch would be no number either.

    A sum is finite where each number is, unless very many are huge; it takes a tenth of the time of a look at each.

    Args:
        weights: by name, floating point.
        path: the file that they come from.
    Raises:
        ModelFileError: names the first tensor that does.
    """
    for name, values in weights:
        numbers = values.detach()
        if numbers.sum().isfinite():
            continue
        bad = numbers[~numbers.isfinite()]
        if bad.numel():
            what = "NaN" if bad[0].isnan() else "an infinite number"
            raise ModelFileError(
                f"The tensor '{name}' holds {what}, in {bad.numel()} of {numbers.numel()} places.",
                where=str(path),
                fix="Copy or fetch the file again; if it was saved so, its training had gone wrong before.",
            )
