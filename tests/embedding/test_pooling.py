"""Pooling: the numbers and gradients of a loop over tokens."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frostline.config import registry
from frostline.embedding.hidden_weights import weights_in
from frostline.embedding.listener import reading_of
from frostline.embedding.pooling import BY_MODE, Pooling, pool
from frostline.errors import ConfigError

ORACLES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "mean": lambda vectors: vectors.mean(0),
    "max": lambda vectors: vectors.max(0).values,
    "sum": lambda vectors: vectors.sum(0),
    "first": lambda vectors: vectors[0],
    "last": lambda vectors: vectors[-1],
}
MODES = sorted(BY_MODE)


def by_loop(vectors: torch.Tensor, n_pieces_of_token: list[int], mode: str) -> torch.Tensor:
    rows, start = [], 0
    for n in n_pieces_of_token:
        rows.append(ORACLES[mode](vectors[start : start + n]) if n else vectors.new_zeros(vectors.shape[1]))
        start += n
    return torch.stack(rows) if rows else vectors.new_zeros((0, vectors.shape[1]))


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(0, 5), max_size=12), dtype=st.sampled_from([torch.int32, torch.int64]))
def test_numbers_and_gradients_are_those_of_a_loop(mode: str, lengths: list[int], dtype: torch.dtype) -> None:
    vectors = torch.randn(sum(lengths), 3, generator=torch.Generator().manual_seed(1), requires_grad=True)
    weights = torch.randn(len(lengths), 3, generator=torch.Generator().manual_seed(2))

    tokens = pool(vectors, torch.tensor(lengths, dtype=dtype), mode=mode)
    expected = by_loop(vectors, lengths, mode)

    torch.testing.assert_close(tokens, expected)
    if sum(lengths):
        (gradient,) = torch.autograd.grad((tokens * weights).sum(), vectors)
        (wanted,) = torch.autograd.grad((expected * weights).sum(), vectors)
        torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize("mode", MODES)
def test_a_token_without_pieces_is_a_vector_of_zeros(mode: str) -> None:
    tokens = pool(torch.full((2, 3), -5.0), torch.tensor([0, 2, 0]), mode=mode)

    assert tokens[0].tolist() == tokens[2].tolist() == [0.0, 0.0, 0.0]
    assert (tokens[1] != 0).all()


@pytest.mark.parametrize("mode", MODES)
def test_tokens_of_one_piece_each_are_handed_through(mode: str) -> None:
    vectors = torch.randn(4, 3)

    assert pool(vectors, torch.tensor([1, 1, 1, 1]), mode=mode) is vectors


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_registered(mode: str) -> None:
    assert registry.poolings.get(f"frostline.{mode}.v1")() is BY_MODE[mode]


def test_a_registered_pooling_is_found_by_its_name() -> None:
    @registry.poolings("tests.doubled_mean.v1")
    def build() -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        return lambda vectors, lengths: 2 * BY_MODE["mean"](vectors, lengths)

    assert pool(torch.ones(2, 1), torch.tensor([2]), mode="tests.doubled_mean.v1").tolist() == [[2.0]]


def test_an_unknown_mode_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="'mean'"):
        pool(torch.ones(1, 1), torch.tensor([1]), mode="maen")


LINEAR = torch.nn.Linear(3, 3)


def in_closure() -> Pooling:
    linear = torch.nn.Linear(3, 3)
    return lambda vectors, lengths: BY_MODE["mean"](linear(vectors), lengths)


def in_globals() -> Pooling:
    def of_global(vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return BY_MODE["mean"](torch.stack([LINEAR(vector) for vector in vectors]), lengths)

    return of_global


def in_an_object() -> Pooling:
    class Holder:
        def __init__(self) -> None:
            self.layers = {"first": [torch.nn.Linear(3, 3)]}

        def pool(self, vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            return BY_MODE["mean"](self.layers["first"][0](vectors), lengths)

    return Holder().pool


def in_a_partial() -> Pooling:
    def weighted(weight: torch.Tensor, vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return BY_MODE["mean"](vectors * weight, lengths)

    return functools.partial(weighted, torch.nn.Parameter(torch.ones(1)))


@pytest.mark.parametrize("build", [in_closure, in_globals, in_an_object, in_a_partial])
@pytest.mark.parametrize("by_name", [False, True])
def test_a_pooling_that_holds_weights_is_refused(build: Callable[[], Pooling], by_name: bool) -> None:
    registry.poolings("tests.weighty.v1")(build)
    pooling = "tests.weighty.v1" if by_name else {"@poolings": "tests.weighty.v1"}

    with pytest.raises(ConfigError, match=r"holds weights \((Linear|Parameter)\)") as error:
        registry.resolve({"@architectures": "frostline.Listener.v1", "pooling": pooling}, path="m")
    assert error.value.where == "m.pooling"


def test_a_pooling_may_hold_constants_and_call_itself() -> None:
    scale, inner = torch.full((1,), 2.0), torch.nn.Dropout(0.0)

    def scaled(vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return BY_MODE["mean"](inner(vectors) * scale, lengths) if len(vectors) else scaled(vectors, lengths)

    registry.poolings("tests.constant.v1")(lambda: scaled)
    made = registry.resolve({"@architectures": "frostline.Listener.v1", "pooling": "tests.constant.v1"}, path="m")

    assert reading_of(made) is not None
    assert [name for name, pooling in {**BY_MODE, "scaled": scaled}.items() if weights_in(pooling)] == []
    assert pool(torch.ones(2, 1), torch.tensor([2]), mode="tests.constant.v1").tolist() == [[2.0]]


def test_an_attribute_is_not_taken_for_a_global_of_its_name() -> None:
    factors = SimpleNamespace(LINEAR=2.0)

    def scaled(vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return BY_MODE["mean"](vectors * factors.LINEAR, lengths)

    assert weights_in(scaled) is None


def test_numbers_of_pieces_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="3 pieces, but 2"):
        pool(torch.ones(2, 1), torch.tensor([1, 2]), mode="mean")
