"""Encoders of many families give Hugging Face's own numbers and gradients, whatever layout they can bear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from frostline.embedding.encoder import Encoder
from frostline.embedding.hub import save_encoder
from frostline.embedding.pieces import Pieces, PieceTable
from frostline.embedding.windows import Windows, plan_windows
from frostline.errors import ConfigError
from frostline.tokens import Doc
from tests.embedding.families import FAMILIES, KNOWN, encoder_of
from tests.embedding.tiny import TEXT, plain_forward

DOCS = [Doc.from_words(words) for words in (TEXT[:9], TEXT[9:10], TEXT[10:18], ["don't", "Ünïcode"], TEXT[30:33])]
TOLERANCE = 1e-5  # of the largest number
ASKED_FOR = ("bert", "roberta", "deberta-v2", "electra", "albert", "distilbert", "xlm-roberta", "modernbert")


def pieces_of(encoder: Encoder) -> Pieces:
    return PieceTable(encoder.tokenizer).pieces_of(DOCS)


def windows_of(pieces: Pieces, *, window: int, stride: int) -> Windows:
    return plan_windows(pieces.n_pieces_of_doc, pieces.n_pieces_of_token, window=window, stride=stride)


def expected_of(encoder: Encoder, pieces: Pieces, windows: Windows) -> torch.Tensor:
    """(n_pieces, width): each window by itself through the plain model, overlapping ones averaged."""
    total, counts = torch.zeros(len(pieces), encoder.width), torch.zeros(len(pieces), 1)
    for first, n in zip(windows.first_piece.tolist(), windows.n_pieces.tolist(), strict=True):
        places = torch.arange(first, first + n)
        total = total.index_add(0, places, plain_forward(encoder, pieces.ids[first : first + n]))
        counts[places] += 1
    return total / counts


def assert_near(found: torch.Tensor, expected: torch.Tensor, *, largest: Any = None) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= TOLERANCE * float(largest or expected.abs().max())


def test_the_families_that_matter_most_are_known_to_this_transformers() -> None:
    assert set(ASKED_FOR) <= set(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_the_layout_is_the_fastest_that_the_family_bears_and_says_why_it_is_not_faster(name: str) -> None:
    layout = encoder_of(name).layout

    assert layout.rows.value == FAMILIES[name].rows
    assert FAMILIES[name].reason in layout.reason
    assert bool(layout.reason) == (layout.rows.value != "packed")


@pytest.mark.parametrize(("window", "stride"), [(60, 60), (12, 7)], ids=["single", "overlapping"])
@pytest.mark.parametrize("name", KNOWN)
def test_numbers_are_those_of_the_plain_model(name: str, window: int, stride: int) -> None:
    encoder = encoder_of(name)
    pieces = pieces_of(encoder)
    windows = windows_of(pieces, window=window, stride=stride)

    with torch.no_grad():
        expected = expected_of(encoder, pieces, windows)
        predicted = encoder(pieces, windows, is_train=False, max_batch_pieces=70)
    in_graph = encoder(pieces, windows, is_train=True, max_batch_pieces=70)
    frozen = encoder.forward_frozen(pieces, windows)

    assert (len(windows) == len(DOCS)) == (window == 60)
    for vectors in (predicted, in_graph.detach(), frozen):
        assert_near(vectors[0], expected)


@pytest.mark.parametrize("name", KNOWN)
def test_gradients_are_those_of_the_plain_model_with_and_without_checkpointing(name: str) -> None:
    encoder = encoder_of(name)
    pieces = pieces_of(encoder)
    windows = windows_of(pieces, window=12, stride=7)
    weights = torch.randn(len(pieces), encoder.width, generator=torch.Generator().manual_seed(1))

    expected_of(encoder, pieces, windows).backward(weights)
    expected = {key: value.grad.clone() for key, value in encoder.named_parameters() if value.grad is not None}
    kinds = [encoder]
    if getattr(encoder.model, "supports_gradient_checkpointing", False):
        kinds.append(encoder_of(name, checkpointing=True))

    largest = max(gradient.abs().max() for gradient in expected.values())
    for one in kinds:
        one.zero_grad()
        one(pieces, windows, is_train=True, max_batch_pieces=70)[0].backward(weights)
        found = {key: value.grad for key, value in one.named_parameters() if value.grad is not None}
        assert found.keys() == expected.keys()
        for key, gradient in expected.items():
            assert_near(found[key], gradient, largest=max(gradient.abs().max(), 1e-3 * largest))


@pytest.mark.parametrize("name", KNOWN)
def test_a_saved_encoder_is_the_same_one(name: str, tmp_path: Path) -> None:
    encoder = encoder_of(name)
    pieces = pieces_of(encoder)
    windows = windows_of(pieces, window=12, stride=7)

    save_encoder(encoder, tmp_path / "encoder")
    again = Encoder.from_folder(tmp_path / "encoder")

    assert again.digest() == encoder.digest()
    assert again.layout == encoder.layout
    assert PieceTable(again.tokenizer).pieces_of(DOCS).ids.tolist() == pieces.ids.tolist()
    assert torch.equal(again.forward_frozen(pieces, windows), encoder.forward_frozen(pieces, windows))


@pytest.mark.parametrize("name", KNOWN)
def test_a_frozen_windows_numbers_do_not_depend_on_the_others(name: str) -> None:
    encoder = encoder_of(name)
    table = PieceTable(encoder.tokenizer)

    def numbers_of(docs: list[Doc]) -> list[torch.Tensor]:
        pieces = table.pieces_of(docs)
        vectors = encoder.forward_frozen(pieces, windows_of(pieces, window=12, stride=5))
        return list(vectors.split(pieces.n_pieces_of_doc.tolist(), dim=1))

    together = numbers_of([*DOCS, *reversed(DOCS), *DOCS])

    for index, doc in enumerate(DOCS):
        (alone,) = numbers_of([doc])
        for place in (index, 2 * len(DOCS) - 1 - index, 2 * len(DOCS) + index):
            assert alone.numpy().tobytes() == together[place].contiguous().numpy().tobytes()


FLOAT32_ONLY = ("deberta", "fnet")  # their own code fills masks with float32's numbers, or has no kernel


@pytest.mark.parametrize("name", FLOAT32_ONLY)
def test_an_encoder_that_knows_float32_only_says_so(name: str) -> None:
    encoder = encoder_of(name, precision="bf16")
    pieces = pieces_of(encoder)

    with pytest.raises(ConfigError, match=f"A {name} encoder does not compute in bf16"):
        encoder.forward_frozen(pieces, windows_of(pieces, window=12, stride=7))  # here FNet stops
        encoder(pieces, windows_of(pieces, window=12, stride=7), is_train=True)  # here DeBERTa


@pytest.mark.parametrize("precision", ["bf16", "float16"])
@pytest.mark.parametrize("name", [name for name in KNOWN if name not in FLOAT32_ONLY])
def test_half_precision_is_near_in_prediction_and_in_training(name: str, precision: str) -> None:
    exact, half = encoder_of(name), encoder_of(name, precision=precision)
    pieces = pieces_of(exact)
    windows = windows_of(pieces, window=12, stride=7)

    wanted = exact.forward_frozen(pieces, windows)
    predicted = half.forward_frozen(pieces, windows)
    in_graph = half(pieces, windows, is_train=True)
    half.gradient_scale.factor = 8.0
    half(pieces, windows, is_train=True).square().mean().backward()

    for vectors in (predicted, in_graph.detach()):
        assert vectors.dtype == torch.float32
        assert float((vectors - wanted).norm() / wanted.norm()) < 0.05
    gradients = [parameter.grad for parameter in half.parameters() if parameter.grad is not None]
    assert gradients
    assert all(gradient.dtype == torch.float32 and gradient.isfinite().all() for gradient in gradients)
