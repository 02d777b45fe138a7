"""The encoder: Hugging Face's own numbers and gradients, and frozen numbers that depend on nothing but the window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from frostline.embedding.batches import fixed_length
from frostline.embedding.encoder import Encoder
from frostline.embedding.pieces import Pieces, PieceTable
from frostline.embedding.windows import Windows, plan_windows
from frostline.errors import ConfigError
from frostline.tokens import Doc
from tests.embedding.tiny import FAMILIES, WIDTH, plain_forward, random_pieces, tiny_encoder

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def windows_of(pieces: Pieces, *, window: int = 40, stride: int = 40) -> Windows:
    return plan_windows(pieces.n_pieces_of_doc, pieces.n_pieces_of_token, window=window, stride=stride)


def predict(encoder: Encoder, pieces: Pieces, windows: Windows, layers: tuple[int, ...] = (-1,)) -> torch.Tensor:
    with torch.no_grad():
        return encoder(pieces, windows, is_train=False, layers=layers, max_batch_pieces=64)


@pytest.mark.parametrize("family", FAMILIES)
def test_predictions_are_those_of_the_plain_model(family: str) -> None:
    encoder = tiny_encoder(family)
    pieces = random_pieces(encoder, [7, 0, 1, 23, 12, 12])

    vectors = predict(encoder, pieces, windows_of(pieces), layers=(-1, 0, 1))
    frozen = encoder.forward_frozen(pieces, windows_of(pieces), layers=(-1, 0, 1))

    docs = np.split(pieces.ids, np.cumsum(pieces.n_pieces_of_doc)[:-1])
    with torch.no_grad():
        for row, layer in enumerate((-1, 0, 1)):
            expected = torch.cat([plain_forward(encoder, ids, layer) for ids in docs if len(ids)])
            torch.testing.assert_close(vectors[row], expected, atol=2e-6, rtol=1e-5)
            torch.testing.assert_close(frozen[row], expected, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_the_plain_model(family: str) -> None:
    encoder = tiny_encoder(family)
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    pieces = random_pieces(encoder, [7, 30, 12])
    windows = windows_of(pieces, window=16, stride=12)
    weights = torch.randn(49, WIDTH, generator=torch.Generator().manual_seed(1))

    vectors = encoder(pieces, windows, is_train=False, max_batch_pieces=40)
    vectors[0].backward(weights)
    ours = {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}
    encoder.zero_grad()
    total, counts = torch.zeros(49, WIDTH), torch.zeros(49, 1)
    for first, n in zip(windows.first_piece.tolist(), windows.n_pieces.tolist(), strict=True):
        places = torch.arange(first, first + n)
        total = total.index_add(0, places, plain_forward(encoder, pieces.ids[first : first + n]))
        counts[places] += 1
    (total / counts).backward(weights)

    assert len(windows) == 5
    for name, parameter in encoder.named_parameters():
        if parameter.grad is not None:
            assert (ours[name] - parameter.grad).abs().max() <= 1e-5 * max(parameter.grad.abs().max(), 1e-3), name


def test_checkpointing_changes_no_gradient() -> None:
    pieces = random_pieces(tiny_encoder(), [7, 20])
    gradients = []
    for checkpointing in (False, True):
        encoder = tiny_encoder()
        encoder = Encoder(encoder.model, encoder.tokenizer, checkpointing=checkpointing)
        encoder(pieces, windows_of(pieces), is_train=True, seed=5).square().sum().backward()
        gradients.append([p.grad for p in encoder.parameters()])

    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True) if a is not None)


def test_where_windows_overlap_the_readings_are_averaged() -> None:
    encoder = tiny_encoder()
    pieces = random_pieces(encoder, [10])

    vectors = predict(encoder, pieces, windows_of(pieces, window=6, stride=2))[0]

    with torch.no_grad():
        readings = [plain_forward(encoder, pieces.ids[first : first + 6]) for first in (0, 2, 4)]
    torch.testing.assert_close(vectors[0], readings[0][0])
    torch.testing.assert_close(vectors[2], (readings[0][2] + readings[1][0]) / 2)
    torch.testing.assert_close(vectors[5], (readings[0][5] + readings[1][3] + readings[2][1]) / 3)


def test_dropout_is_a_function_of_the_seed_and_leaves_torchs_generator_alone() -> None:
    encoder = tiny_encoder()
    pieces = random_pieces(encoder, [9, 4])
    windows = windows_of(pieces)
    torch.manual_seed(3)
    state = torch.get_rng_state()

    first, second, other = (encoder(pieces, windows, is_train=True, seed=seed) for seed in (1, 1, 2))

    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_dropout_fires_in_training_only_and_the_mode_is_put_back() -> None:
    encoder = tiny_encoder()
    encoder.train()
    pieces = random_pieces(encoder, [9])
    windows = windows_of(pieces)

    a, b = (encoder(pieces, windows, is_train=False) for _ in range(2))
    frozen = encoder.forward_frozen(pieces, windows)

    assert torch.equal(a, b)
    torch.testing.assert_close(a, frozen)
    assert encoder.training
    assert not torch.equal(encoder(pieces, windows, is_train=True), a)


def test_an_exception_in_the_forward_puts_the_mode_back() -> None:
    encoder = tiny_encoder()
    encoder.train()
    pieces = random_pieces(encoder, [9])
    bad = Pieces(ids=pieces.ids + 10_000, n_pieces_of_token=pieces.n_pieces_of_token,
                 n_tokens_of_doc=pieces.n_tokens_of_doc, n_pieces_of_doc=pieces.n_pieces_of_doc)  # fmt: skip

    with pytest.raises(IndexError):
        encoder(bad, windows_of(bad), is_train=False)

    assert encoder.training


@pytest.mark.parametrize("is_train", [True, False])
def test_docs_without_pieces_give_no_vectors(is_train: bool) -> None:
    encoder = tiny_encoder()
    pieces = PieceTable(encoder.tokenizer).pieces_of([Doc.from_words([]), Doc.from_words([" ", "\t"])])

    assert encoder(pieces, windows_of(pieces), is_train=is_train).shape == (1, 0, WIDTH)
    assert encoder.forward_frozen(pieces, windows_of(pieces), layers=(0, -1)).shape == (2, 0, WIDTH)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_frozen_windows_numbers_depend_on_that_window_alone(precision: str) -> None:
    encoder = tiny_encoder(precision=precision)
    lengths = [1, 3, 6, 6, 7, 14, 14, 22, 30, 38, 62, 62, 5, 40, 19]
    docs = [random_pieces(encoder, [n], seed=seed) for seed, n in enumerate(lengths)]

    def together(order: list[int]) -> list[torch.Tensor]:
        batch = Pieces(
            ids=np.concatenate([docs[i].ids for i in order]),
            n_pieces_of_token=np.concatenate([docs[i].n_pieces_of_token for i in order]),
            n_tokens_of_doc=np.array([lengths[i] for i in order], dtype=np.int32),
            n_pieces_of_doc=np.array([lengths[i] for i in order], dtype=np.int32),
        )
        vectors = encoder.forward_frozen(batch, windows_of(batch, window=24, stride=9))
        return list(vectors.split([lengths[i] for i in order], dim=1))

    alone = [together([i])[0] for i in range(len(docs))]
    rng = np.random.default_rng(0)
    for _ in range(6):
        order = rng.integers(0, len(docs), size=rng.integers(1, 120)).tolist()
        for i, vectors in zip(order, together(order), strict=True):
            assert torch.equal(vectors, alone[i])


def test_a_full_batch_of_rows_without_padding_gives_the_same_numbers_as_one_row() -> None:
    encoder = tiny_encoder()
    pieces = random_pieces(encoder, [62] * 40)  # 62 and two special tokens: the padded length itself
    alone = random_pieces(encoder, [62] * 40)
    first = Pieces(ids=alone.ids[:62], n_pieces_of_token=alone.n_pieces_of_token[:62],
                   n_tokens_of_doc=alone.n_tokens_of_doc[:1], n_pieces_of_doc=alone.n_pieces_of_doc[:1])  # fmt: skip

    many = encoder.forward_frozen(pieces, windows_of(pieces, window=62, stride=62))
    one = encoder.forward_frozen(first, windows_of(first, window=62, stride=62))

    assert torch.equal(many[:, :62], one)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_real_encoders_frozen_numbers_depend_on_the_window_alone_with_two_threads(
    minilm: Path, precision: str
) -> None:
    encoder = Encoder.from_folder(minilm, precision=precision, transformer_settings={"num_hidden_layers": 2})
    rng = np.random.default_rng(1)
    lengths = [62, 60]
    ids = [rng.integers(1000, 30000, n) for n in lengths]

    def vectors_of(order: list[int]) -> list[torch.Tensor]:
        sizes = np.array([lengths[i] for i in order], dtype=np.int32)
        batch = Pieces(
            ids=np.concatenate([ids[i] for i in order]), n_pieces_of_token=np.ones(sizes.sum(), dtype=np.int32),
            n_tokens_of_doc=sizes, n_pieces_of_doc=sizes,
        )  # fmt: skip
        vectors = encoder.forward_frozen(batch, windows_of(batch, window=62, stride=62))
        return list(vectors.split(sizes.tolist(), dim=1))

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        alone = [vectors_of([i])[0] for i in range(len(ids))]
        for order in ([1, 0], [*[1] * 6, 0]):
            for i, vectors in zip(order, vectors_of(order), strict=True):
                assert torch.equal(vectors, alone[i])
    finally:
        torch.set_num_threads(before)


def test_predictions_follow_weights_that_move() -> None:
    encoder = tiny_encoder(precision="bf16")
    pieces = random_pieces(encoder, [9])
    before = predict(encoder, pieces, windows_of(pieces))

    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.data.mul_(1.5)  # as an optimizer on a flat buffer does: torch counts no new version
    after = predict(encoder, pieces, windows_of(pieces))

    assert not torch.equal(before, after)


def test_weights_promised_to_stay_are_converted_once() -> None:
    encoder = tiny_encoder(precision="bf16")
    pieces = random_pieces(encoder, [9])
    with encoder.fixed_weights():
        before = predict(encoder, pieces, windows_of(pieces))
        encoder.model.embeddings.word_embeddings.weight.data.mul_(2)
        within = predict(encoder, pieces, windows_of(pieces))
    after = predict(encoder, pieces, windows_of(pieces))

    assert torch.equal(before, within)
    assert not torch.equal(before, after)


@pytest.mark.parametrize("precision", ["bf16", "float16"])
def test_half_precision_is_near_and_comes_out_as_float32(precision: str) -> None:
    exact, half = tiny_encoder(), tiny_encoder(precision=precision)
    pieces = random_pieces(exact, [9, 20])

    wanted = predict(exact, pieces, windows_of(pieces))
    got = predict(half, pieces, windows_of(pieces))
    in_graph = half(pieces, windows_of(pieces), is_train=False)

    assert got.dtype == in_graph.dtype == torch.float32
    torch.testing.assert_close(got, wanted, atol=0.1, rtol=0.1)
    torch.testing.assert_close(in_graph, wanted, atol=0.1, rtol=0.1)
    assert all(parameter.dtype == torch.float32 for parameter in half.parameters())


def test_a_window_never_exceeds_the_models_positions() -> None:
    for family in ("bert", "roberta"):
        encoder = tiny_encoder(family)
        longest = encoder.max_content_pieces
        pieces = random_pieces(encoder, [longest])

        assert predict(encoder, pieces, windows_of(pieces, window=longest, stride=longest)).isfinite().all()
        assert encoder.forward_frozen(pieces, windows_of(pieces, window=longest, stride=longest)).isfinite().all()
        too_long = random_pieces(encoder, [longest + 1])
        with pytest.raises((RuntimeError, IndexError)):
            predict(encoder, too_long, windows_of(too_long, window=longest + 1, stride=1))


def test_an_unknown_precision_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="bf16"):
        tiny_encoder(precision="bf61")


@pytest.mark.parametrize("layers", [(), (3,), (-4,)])
def test_layers_that_are_not_there_are_refused(layers: tuple[int, ...]) -> None:
    encoder = tiny_encoder()
    pieces = random_pieces(encoder, [3])

    with pytest.raises(ValueError, match="hidden states are 0 to 2"):
        predict(encoder, pieces, windows_of(pieces), layers=layers)


def test_frozen_shapes_are_a_function_of_the_length_alone() -> None:
    lengths = [fixed_length(n, 2, 512) for n in range(1, 511)]

    assert all(padded >= n + 2 for n, padded in enumerate(lengths, start=1))
    assert lengths == sorted(lengths)
    assert max(lengths) == 512
    assert len(set(lengths)) <= 36
