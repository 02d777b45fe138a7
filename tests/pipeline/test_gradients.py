"""Sharing changes no gradient: every way of reading gives what one plain torch graph of the same model gives."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from frostline.layers.randomness import Clock
from frostline.pipeline.pipeline import Pipeline
from frostline.tokens import Doc
from frostline.training.optimizer import build_adam
from tests.pipeline.plain_reference import plain_gradients, rows_covering_pairs
from tests.pipeline.tiny import examples_of, make_config, make_docs, make_encoder, make_pipeline, reference_gradients
from tests.pipeline.tok2vec import plain_states, with_tok2vec

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


FACTORS = {
    "reading": ("listener", "annotating", "both", "independent"),
    "pooling": ("mean", "max", "sum", "first", "last"),
    "layer": (1, -1, "mix"),
    "frozen": ("nothing", "lowest", "encoder", "waiting"),
    "sizes": ((6,), (2, 4), (1, 2, 3)),
    "windows": ("whole", "overlapping"),
}
FREEZING = {
    "lowest": {"lowest_layers": {"transformer": 1}},
    "waiting": {"unfreezing": {"transformer": 1}},  # the last layer moves, the others wait
}


def covered_pipeline(encoder: Path, row: dict[str, Any]) -> Pipeline:
    kinds = {"both": ["listener", "annotating"]}.get(row["reading"], [row["reading"]] * 2)
    windows = {"window": 4, "stride": 2} if row["windows"] == "overlapping" else {}
    modes = {"*transformer*": "frozen"} if row["frozen"] == "encoder" else {}
    config = make_config(encoder, kinds, settings=windows, modes=modes)
    for component in config["components"].values():
        embedding = component["model"].get("embedding")
        if embedding is not None:
            embedding.update({"pooling": row["pooling"], "layer": row["layer"]})
            embedding.get("transformer", {}).update(windows)
    if row["frozen"] in FREEZING and row["reading"] != "independent":
        config["training"]["freezing"] = FREEZING[row["frozen"]]
    pipeline = make_pipeline(config, make_docs())
    with torch.no_grad():
        for name, values in pipeline.parameters.named_values.items():
            if name.endswith((".weights", ".gamma")):
                values.copy_(torch.linspace(0.3, 1.1, len(values)))
    return pipeline


@pytest.mark.parametrize("row", rows_covering_pairs(FACTORS), ids=lambda row: "-".join(map(str, row.values())))
def test_all_ways_of_reading_and_freezing_give_the_gradients_of_a_plain_graph(
    encoder: Path, row: dict[str, Any]
) -> None:
    docs = make_docs()
    pipeline = covered_pipeline(encoder, row)
    windows = {"window": 4, "stride": 2} if row["windows"] == "overlapping" else {}
    before = {name: values.clone() for name, values in pipeline.parameters.named_values.items()}

    ours = gradients_of(pipeline, divided(docs, row["sizes"]))

    reference = plain_gradients(encoder, pipeline, docs, pooling=row["pooling"], layer=row["layer"], **windows)
    largest = max(gradient.abs().max().item() for gradient in reference.values())
    for name, gradient in ours.items():
        worst, scale = (gradient - reference[name]).abs().max().item(), reference[name].abs().max().item()
        if name.endswith("key.bias"):  # softmax does not see it: its gradient is zero but for rounding
            assert max(gradient.abs().max().item(), scale) <= 1e-6 * largest
        else:
            assert worst <= TOLERANCE * scale, f"{name}: off by {worst}, largest {scale}"
    build_adam(learn_rate=0.01).step(pipeline.parameters, step=0)
    frozen = before.keys() - ours.keys()
    is_partly = row["frozen"] in FREEZING and row["reading"] != "independent"
    assert len(frozen) == {"encoder": 37 * (1 + (row["reading"] == "independent"))}.get(row["frozen"], 21 * is_partly)
    assert all(torch.equal(values, before[name]) for name, values in pipeline.parameters.named_values.items()
               if name in frozen)  # fmt: skip


def test_unfrozen_and_annotating_learns_from_the_training_batch_whatever_is_predicted_in_between(encoder: Path) -> None:
    docs = make_docs()
    config = make_config(encoder, ["annotating", "listener", "annotating"])
    config["training"]["annotating_components"] += ["tagger", "morphologizer"]
    pipeline = make_pipeline(config, docs)
    optimizer = build_adam(learn_rate=0.01)
    start = {name: values.clone() for name, values in pipeline.parameters.named_values.items()}

    for number, component in enumerate(pipeline.components.values()):
        plain_update = component.update

        def interleaved(examples, plain_update=plain_update, number=number, **options):  # type: ignore[no-untyped-def]
            pipeline.predict([example.predicted for example in examples])  # the step's own docs
            pipeline.predict([doc.without_annotations() for doc in docs[number:]])  # others
            loss = plain_update(examples, **options)
            list(pipeline.pipe(["the dog walks"], keep_activations=True))
            return loss

        component.update = interleaved  # type: ignore[method-assign]

    for step, sizes in enumerate(([6], [2, 4], [1, 2, 3])):
        reference = plain_gradients(encoder, pipeline, docs)
        largest = max(gradient.abs().max().item() for gradient in reference.values())
        gradients = gradients_of(pipeline, divided(docs, sizes))
        pipeline.predict([doc.without_annotations() for doc in docs])
        for name, gradient in gradients.items():
            scale = 0.1 * largest if name.endswith("key.bias") else reference[name].abs().max().item()
            assert (gradient - reference[name]).abs().max().item() <= TOLERANCE * scale, name
        optimizer.step(pipeline.parameters, step=step)
    moved = [name for name, values in pipeline.parameters.named_values.items() if not torch.equal(values, start[name])]
    assert len([name for name in moved if name.startswith("transformer/")]) > 30


TOK2VEC_FACTORS = {
    "reading": ("listener", "annotating", "both", "independent"),
    "pooling": ("mean", "max", "sum", "first", "last"),
    "layer": (0, -1, "mix"),
    "frozen": ("nothing", "embed", "all"),
    "sizes": ((6,), (2, 4), (1, 2, 3)),
}


@pytest.mark.parametrize("row", rows_covering_pairs(TOK2VEC_FACTORS), ids=lambda row: "-".join(map(str, row.values())))
def test_all_ways_of_reading_a_tok2vec_give_the_gradients_of_a_plain_graph(row: dict[str, Any]) -> None:
    docs = make_docs()
    kinds = {"both": ["listener", "annotating"]}.get(row["reading"], [row["reading"]] * 2)
    config = with_tok2vec(make_config(Path("nowhere"), kinds))
    owned = row["reading"] == "independent"
    everything = "*.tok2vec*" if owned else "transformer*"
    pattern = {"nothing": None, "embed": "*embed*", "all": everything}[row["frozen"]]
    config["pipeline"]["modes"] = {pattern: "frozen"} if pattern else {}
    for component in config["components"].values():
        if "embedding" in component["model"]:
            component["model"]["embedding"].update({"pooling": row["pooling"], "layer": row["layer"]})
    pipeline = make_pipeline(config, docs)
    before = {name: values.clone() for name, values in pipeline.parameters.named_values.items()}

    ours = gradients_of(pipeline, divided(docs, row["sizes"]))

    reference = plain_tok2vec_gradients(pipeline, docs, layer=row["layer"])
    for name, gradient in ours.items():
        expected = reference.get(name, torch.zeros_like(gradient))
        worst, scale = (gradient - expected).abs().max().item(), expected.abs().max().item()
        assert worst <= TOLERANCE * scale, f"{name}: off by {worst}, largest {scale}"
    build_adam(learn_rate=0.01).step(pipeline.parameters, step=0)
    after = pipeline.parameters.named_values
    still = [name for name in before if torch.equal(before[name], after[name])]
    assert [name for name in before if name not in ours and name not in still] == []
    n_frozen = {"nothing": 0, "embed": 8, "all": 16}[row["frozen"]] * (2 if owned else 1)
    assert len(before) - len(ours) == n_frozen


def plain_tok2vec_gradients(pipeline: Pipeline, docs: Sequence[Doc], *, layer: int | str) -> dict[str, torch.Tensor]:
    """As plain_reference.plain_gradients, for tok2vecs, whose tokens are their pieces."""
    leaves = {name: values.clone().requires_grad_() for name, values in pipeline.parameters.named_values.items()}
    losses = []
    for name, component in pipeline.components.items():
        owner = f"{next(iter(pipeline.publishers), f'{name}.tok2vec')}/"
        own = {key.removeprefix(owner): value for key, value in leaves.items() if key.startswith(owner)}
        states = torch.stack(plain_states(own, docs))
        of_name = {key: value for key, value in leaves.items() if key.startswith(f"{name}/")}
        if layer == "mix":
            shares = torch.softmax(_ending(of_name, ".weights"), dim=0)[:, None, None]
            vectors = (shares * states).sum(dim=0) * _ending(of_name, ".gamma")
        else:
            vectors = states[int(layer)]
        scores, start = vectors @ _ending(of_name, "output.weight").T + _ending(of_name, "output.bias"), 0
        for column in component.columns:
            labels = component.labels[column]
            gold = torch.tensor([labels.index(value) for doc in docs for value in doc.column(column).values()])
            losses.append(torch.nn.functional.cross_entropy(scores[:, start : start + len(labels)], gold))
            start += len(labels)
    torch.autograd.backward(losses)
    return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


def _ending(values: dict[str, torch.Tensor], end: str) -> torch.Tensor:
    (found,) = [value for name, value in values.items() if name.endswith(end)]
    return found
