"""Tensors on disk: what can't be written is an error that a user can mend."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from frostline.errors import TrainingError
from frostline.layers.tensor_files import save_tensors


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    save_tensors({"a": torch.arange(3.0)}, tmp_path / "x.safetensors", metadata={"format": "pt"})

    assert load_file(tmp_path / "x.safetensors")["a"].tolist() == [0.0, 1.0, 2.0]


def test_a_file_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="can't be written") as caught:
        save_tensors({"a": torch.zeros(1000)}, tmp_path / "gone" / "x.safetensors")

    assert caught.value.where == str(tmp_path / "gone" / "x.safetensors")
    assert "disk full" in (caught.value.fix or "")
    assert ".tmp" not in caught.value.message  # the library's own name for the unfinished file
