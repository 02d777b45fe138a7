"""Sharing changes no gradient: every way of reading gives what one plain torch graph of the same model gives."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from frostline.layers.randomness import Clock
from frostline.pipeline.pipeline import Pipeline
from frostline.tokens import Doc
from tests.pipeline.tiny import examples_of, make_config, make_docs, make_encoder, make_pipeline, reference_gradients

CLOCK = Clock(seed=0)
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


def divided(docs: Sequence[Doc], sizes: Sequence[int]) -> list[list[Doc]]:
    cuts = [sum(sizes[:index]) for index in range(len(sizes) + 1)]
    return [list(docs[start:end]) for start, end in pairwise(cuts)]


def gradients_of(pipeline: Pipeline, step: Sequence[Sequence[Doc]]) -> dict[str, torch.Tensor]:
    pipeline.parameters.zero_gradients()
    pipeline.update([examples_of(docs) for docs in step], dropout=0.0, clock=CLOCK)
    return {name: gradient.clone() for name, gradient in pipeline.parameters.named_gradients.items()}


def assert_same(ours: dict[str, torch.Tensor], reference: dict[str, torch.Tensor], owner: str = "transformer") -> None:
    checked = 0
    largest = max(expected.abs().max().item() for expected in reference.values())
    for name, expected in reference.items():
        group, _, parameter = name.partition("/")
        if group.startswith("encoder"):
            found = [g for key, g in ours.items() if key.startswith(f"{owner}/") and key.endswith(parameter)]
            assert len(found) == 1, f"{parameter} of {owner}: {len(found)} gradients"
            gradient = found[0]
        else:
            gradient = ours[name]
        worst = (gradient - expected).abs().max().item()
        if name.endswith("key.bias"):  # softmax does not see it: its gradient is zero but for rounding
            assert max(gradient.abs().max().item(), expected.abs().max().item()) <= 1e-6 * largest
        else:
            assert worst <= TOLERANCE * expected.abs().max().item(), f"{name}: off by {worst}"
        checked += 1
    assert checked > 20


@pytest.mark.parametrize("sizes", [[6], [1, 2, 3], [1, 1, 1, 1, 1, 1]], ids=["whole", "in three", "in six"])
@pytest.mark.parametrize("kind", ["listener", "annotating"])
def test_one_reader_sends_back_the_gradient_of_a_plain_graph(encoder: Path, kind: str, sizes: list[int]) -> None:
    docs = make_docs()
    pipeline = make_pipeline(make_config(encoder, [kind]), docs)

    gradients = gradients_of(pipeline, divided(docs, sizes))

    assert_same(gradients, reference_gradients(encoder, pipeline, docs, grad_factors=[1.0]))


@pytest.mark.parametrize("sizes", [[6], [2, 4], [3, 1, 2]], ids=["whole", "in two", "in three"])
@pytest.mark.parametrize("kinds", [["listener"] * 3, ["annotating"] * 3, ["listener", "annotating", "listener"]])
def test_three_readers_with_their_own_factors_send_back_the_gradient_of_a_plain_graph(
    encoder: Path, kinds: list[str], sizes: list[int]
) -> None:
    docs = make_docs()
    factors = [1.0, 0.25, 2.5]
    pipeline = make_pipeline(make_config(encoder, kinds, grad_factors=factors), docs)

    gradients = gradients_of(pipeline, divided(docs, sizes))

    assert_same(gradients, reference_gradients(encoder, pipeline, docs, grad_factors=factors))


def test_independent_transformers_get_the_gradients_of_plain_graphs_of_their_own(encoder: Path) -> None:
    docs = make_docs()
    pipeline = make_pipeline(make_config(encoder, ["independent", "independent"]), docs)

    gradients = gradients_of(pipeline, divided(docs, [2, 4]))

    reference = reference_gradients(encoder, pipeline, docs, grad_factors=[1.0, 1.0], shared=False)
    for number, owner in enumerate(("tagger", "morphologizer")):
        of_owner = {k: v for k, v in reference.items() if k.startswith((f"{owner}/", f"encoder-{number}/"))}
        assert_same(gradients, of_owner, f"{owner}.transformer")


def test_listener_and_annotating_give_the_same_bits(encoder: Path) -> None:
    docs = make_docs()
    listening = make_pipeline(make_config(encoder, ["listener", "listener"]), docs)
    annotating = make_pipeline(make_config(encoder, ["annotating", "annotating"]), docs)

    left, right = (gradients_of(pipeline, divided(docs, [2, 4])) for pipeline in (listening, annotating))

    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_reader_with_factor_zero_leaves_the_encoder_alone(encoder: Path) -> None:
    docs = make_docs()
    pipeline = make_pipeline(make_config(encoder, ["listener", "listener"], grad_factors=[1.0, 0.0]), docs)

    gradients = gradients_of(pipeline, [docs])

    assert_same(gradients, reference_gradients(encoder, pipeline, docs, grad_factors=[1.0, 0.0]))


@pytest.mark.parametrize("kind", ["listener", "annotating"])
def test_an_unfrozen_annotating_transformer_keeps_its_gradient_when_predictions_come_in_between(
    encoder: Path, kind: str
) -> None:
    docs = make_docs()
    pipeline = make_pipeline(make_config(encoder, [kind, kind]), docs)
    expected = gradients_of(pipeline, [docs])
    tagger = pipeline.components["tagger"]
    plain_update = tagger.update

    def update_after_predictions(examples, **options):  # type: ignore[no-untyped-def]
        pipeline.predict([example.predicted for example in examples])
        pipeline.predict([doc.without_annotations() for doc in docs[:3]])
        return plain_update(examples, **options)

    tagger.update = update_after_predictions  # type: ignore[method-assign]

    assert all(torch.equal(gradient, expected[name]) for name, gradient in gradients_of(pipeline, [docs]).items())


def test_the_detached_control_sends_nothing_back(encoder: Path) -> None:
    docs = make_docs()
    pipeline = make_pipeline(make_config(encoder, ["detached", "detached"]), docs)

    gradients = gradients_of(pipeline, [docs])

    assert not any(name.startswith("transformer/") for name in gradients)
    assert all(gradient.abs().max() > 0 for gradient in gradients.values())
