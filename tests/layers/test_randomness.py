"""Counted randomness: the same place in the run gives the same numbers, any other place others."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from frostline.layers.randomness import Clock, counted, numpy_generator, seed_for, torch_generator

CLOCK = Clock(seed=3, epoch=1, step=7)


def test_seeds_are_the_same_on_every_machine_and_in_every_version() -> None:
    assert seed_for(CLOCK, "tagger") == 754227077924161333


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.sampled_from(["tagger", "parser"]))
def test_every_part_of_the_place_counts(seed: int, epoch: int, step: int, module: str) -> None:
    clock = Clock(seed=seed, epoch=epoch, step=step)

    assert (seed_for(clock, module) == seed_for(CLOCK, "tagger")) == ((clock, module) == (CLOCK, "tagger"))


def test_generators_start_anew_each_time() -> None:
    first = torch.rand(4, generator=torch_generator(CLOCK, "tagger"))
    assert torch.equal(first, torch.rand(4, generator=torch_generator(CLOCK, "tagger")))
    assert numpy_generator(CLOCK, "tagger").random() == numpy_generator(CLOCK, "tagger").random()
    assert numpy_generator(CLOCK, "tagger").random() != numpy_generator(CLOCK, "parser").random()


def test_a_counted_block_draws_its_own_numbers_and_disturbs_no_others() -> None:
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)

    with counted(CLOCK, "tagger"):
        first = torch.nn.functional.dropout(torch.ones(32), 0.5)
        with counted(CLOCK, "parser"):
            torch.rand(3)
    after = torch.rand(2)
    with counted(CLOCK, "tagger"):
        second = torch.nn.functional.dropout(torch.ones(32), 0.5)

    assert torch.equal(after, expected)
    assert torch.equal(first, second)
