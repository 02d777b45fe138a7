"""Setting the process up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from frostline.errors import ConfigError
from frostline.training.randomness import set_up


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def test_threads_and_deterministic_algorithms_are_set() -> None:
    set_up(0, deterministic="strict", threads=1)

    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()


def test_the_same_seed_gives_the_same_start() -> None:
    set_up(5)
    first = torch.rand(3)
    set_up(5)

    assert torch.equal(first, torch.rand(3))


def test_an_unknown_level_names_the_right_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        set_up(0, deterministic="strct")

    assert caught.value.fix == "Did you mean 'strict'?"


@pytest.mark.parametrize(("seed", "threads"), [(-1, 0), (0, -1)])
def test_negative_numbers_are_refused(seed: int, threads: int) -> None:
    with pytest.raises(ConfigError, match="0 or more"):
        set_up(seed, threads=threads)
