"""Packed rows: the numbers and gradients of windows in rows of their own, and no padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from frostline.embedding.batches import Run, SpecialTokens
from frostline.embedding.encoder import Encoder
from frostline.embedding.layouts import Layout, Rows
from frostline.embedding.packed import packed_batches, window_attention
from frostline.embedding.pieces import Pieces
from frostline.embedding.windows import Windows, plan_windows
from tests.embedding.tiny import FAMILIES, WIDTH, random_pieces, tiny_encoder

PACKING = tuple(name for name in FAMILIES if name not in ("deberta-v2", "modernbert"))


def windows_of(pieces: Pieces, *, window: int = 40, stride: int = 40) -> Windows:
    return plan_windows(pieces.n_pieces_of_doc, pieces.n_pieces_of_token, window=window, stride=stride)


@pytest.mark.parametrize("family", FAMILIES)
def test_encoders_with_local_or_relative_positions_are_not_packed(family: str) -> None:
    assert (tiny_encoder(family).layout.rows is Rows.PACKED) == (family in PACKING)


@pytest.mark.parametrize("family", PACKING)
def test_packing_changes_no_gradient(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tiny_encoder(family)
    pieces = random_pieces(encoder, [7, 30, 0, 12, 12])
    windows = windows_of(pieces, window=16, stride=12)
    weights = torch.randn(61, WIDTH, generator=torch.Generator().manual_seed(1))

    def gradients() -> dict[str, torch.Tensor]:
        encoder.zero_grad()
        encoder(pieces, windows, is_train=False, max_batch_pieces=60)[0].backward(weights)
        return {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}

    packed = gradients()
    monkeypatch.setattr(encoder, "layout", Layout(rows=Rows.PADDED))
    padded = gradients()

    assert packed.keys() == padded.keys()
    largest = max(float(gradient.abs().max()) for gradient in padded.values())
    for name, gradient in padded.items():
        assert float((packed[name] - gradient).abs().max()) <= 1e-5 * max(float(gradient.abs().max()), 1e-3 * largest)


def test_dropout_in_packed_attention_has_the_gradient_of_finite_differences() -> None:
    runs = (Run(start=0, n_windows=2, length=3), Run(start=6, n_windows=1, length=2))
    generator = torch.Generator().manual_seed(0)
    states = [torch.randn((1, 2, 8, 4), dtype=torch.float64, generator=generator).requires_grad_() for _ in range(3)]

    def attend(*inputs: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)  # the same mask in every call
        return window_attention(*inputs, runs, scale=0.5, dropout=0.4)

    assert torch.autograd.gradcheck(attend, states)


def test_a_packed_row_holds_whole_windows_and_nothing_else() -> None:
    special = SpecialTokens(prefix=(1,), suffix=(2,), pad_id=0)
    windows = Windows(first_piece=np.array([0, 2, 5]), n_pieces=np.array([2, 3, 2]))

    (row,) = packed_batches(np.arange(10, 17), windows, special, max_batch_pieces=100, first_position=0)

    assert row.ids.tolist() == [[1, 12, 13, 14, 2, 1, 10, 11, 2, 1, 15, 16, 2]]
    assert row.position_ids is not None
    assert row.position_ids.tolist() == [[0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 1, 2, 3]]
    assert row.runs is not None
    assert [(run.start, run.n_windows, run.length) for run in row.runs] == [(0, 1, 5), (5, 2, 4)]


def test_rows_stay_within_the_limit_but_hold_a_window_at_least() -> None:
    special = SpecialTokens(prefix=(1,), suffix=(2,), pad_id=0)
    windows = Windows(first_piece=np.array([0, 9, 11]), n_pieces=np.array([9, 2, 2]))

    rows = list(packed_batches(np.arange(13), windows, special, max_batch_pieces=8, first_position=0))

    assert [row.ids.shape for row in rows] == [(1, 11), (1, 8)]


def test_the_real_encoder_is_packed(minilm: Path) -> None:
    assert Encoder.from_folder(minilm).layout.rows is Rows.PACKED
