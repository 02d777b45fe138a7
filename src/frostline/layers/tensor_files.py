"""Tensors to a safetensors file, with an error that a user can mend when the disk refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from frostline.errors import TrainingError
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
