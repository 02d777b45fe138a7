"""The generator: order, sub-batches, the ends of epochs, bad numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from frostline.corpora.batching import epoch_order
from frostline.errors import TrainingError
from frostline.layers.randomness import Clock
from frostline.tokens import Example
from frostline.training.averages import NoAverages
from frostline.training.loop import Position, Recipe, StepResult, count_steps, train_steps
from tests.training.tiny_trainable import Tiny, make_adam, make_docs, make_recipe


class Watching(Tiny):
    """Remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[list[str]]] = []
        self.clocks: list[Clock] = []

    def update(self, step: Sequence[Sequence[Example]], *, dropout: float, clock: Clock) -> dict[str, float]:
        self.seen.append([[example.reference.doc_id for example in batch] for batch in step])
        self.clocks.append(clock)
        assert all(example.predicted.xpos is None for batch in step for example in batch)
        return super().update(step, dropout=dropout, clock=clock)


def steps_of(pipeline: Tiny, recipe: Recipe, position: Position | None = None) -> list[StepResult]:
    adam = make_adam()
    adam.bind(total_steps=100)
    return list(train_steps(pipeline, make_docs(20), optimizer=adam, averages=NoAverages(), recipe=recipe,
                            position=position or Position()))  # fmt: skip


def test_every_epoch_visits_all_docs_in_its_own_counted_order() -> None:
    pipeline = Watching()

    results = steps_of(pipeline, make_recipe(max_epochs=2))

    ids = [name for step in pipeline.seen for batch in step for name in batch]
    expected = [f"d{i}" for epoch in (0, 1) for i in epoch_order(20, seed=1, epoch=epoch)]
    assert ids == expected
    assert [r.step for r in results if r.ends_epoch] == [results[len(results) // 2 - 1].step, results[-1].step]
    assert sum(r.n_words for r in results) == 2 * sum(len(doc) for doc in make_docs(20))


def test_the_clock_counts_epochs_and_steps() -> None:
    pipeline = Watching()

    results = steps_of(pipeline, make_recipe(max_epochs=2))

    assert pipeline.clocks == [Clock(seed=1, epoch=r.epoch, step=r.step - 1) for r in results]


def test_a_step_is_as_many_batches_as_asked_for_and_the_last_what_is_left() -> None:
    pipeline = Watching()

    steps_of(pipeline, make_recipe(max_epochs=1, accumulate_gradient=3))

    sizes = [len(step) for step in pipeline.seen]
    assert set(sizes[:-1]) == {3}
    assert 1 <= sizes[-1] <= 3


def test_a_run_goes_on_in_the_middle_of_an_epoch() -> None:
    whole, rest = Watching(), Watching()
    results = steps_of(whole, make_recipe(max_epochs=2))
    first_of_second_epoch = next(r.step for r in results if r.epoch == 1)

    position = Position(epoch=1, step=first_of_second_epoch + 1, step_in_epoch=2)
    steps_of(rest, make_recipe(max_epochs=2), position)

    assert rest.seen == whole.seen[first_of_second_epoch + 1 :]
    assert rest.clocks == whole.clocks[first_of_second_epoch + 1 :]


def test_frozen_weights_do_not_move_by_a_bit_and_the_others_do() -> None:
    pipeline = Tiny()
    frozen, moving = pipeline.encoder.weight.clone(), pipeline.tagger.weight.clone()

    steps_of(pipeline, make_recipe(max_epochs=1))

    assert torch.equal(pipeline.encoder.weight, frozen)
    assert not torch.equal(pipeline.tagger.weight, moving)


def test_a_loss_that_is_no_number_names_component_and_step() -> None:
    class Broken(Tiny):
        def update(self, step: Sequence[Sequence[Example]], *, dropout: float, clock: Clock) -> dict[str, float]:
            return {"tagger": float("nan")} if clock.step == 2 else super().update(step, dropout=dropout, clock=clock)

    with pytest.raises(TrainingError, match="loss of 'tagger' is nan at step 2"):
        steps_of(Broken(), make_recipe())


def test_an_empty_corpus_is_an_error() -> None:
    with pytest.raises(TrainingError, match="no docs"):
        next(train_steps(Tiny(), [], optimizer=make_adam(), averages=NoAverages(), recipe=make_recipe(),
                         position=Position()))  # fmt: skip


@pytest.mark.parametrize(("max_epochs", "max_steps", "expected"), [(0, 0, None), (0, 7, 7), (3, 7, 7)])
def test_the_length_of_a_run_is_limited_by_steps(max_epochs: int, max_steps: int, expected: int | None) -> None:
    assert count_steps(make_docs(20), make_recipe(max_epochs=max_epochs), max_steps=max_steps) == expected


def test_the_length_of_a_run_is_epochs_times_steps() -> None:
    n_steps = len(steps_of(Tiny(), make_recipe(max_epochs=1)))

    assert count_steps(make_docs(20), make_recipe(max_epochs=3)) == 3 * n_steps
