"""A tok2vec publishes as a transformer does: same ways of reading, same gradients as a plain graph, same guarantees."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import frostline
from frostline.config import Config
from frostline.errors import ConfigError
from frostline.layers.randomness import Clock
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.wiring import assemble
from frostline.tokens import Doc
from frostline.training.optimizer import build_adam
from tests.pipeline.tiny import examples_of, make_config, make_docs, make_pipeline
from tests.pipeline.tok2vec import WIDTH, plain_gradients, plain_states, tok2vec, with_tok2vec

CLOCK = Clock(seed=0)
TOLERANCE = 1e-5
NOWHERE = Path("nowhere")


def pipeline_of(kinds: Sequence[str], *, tok2vec: dict[str, Any] | None = None, **options: Any) -> Pipeline:
    return make_pipeline(with_tok2vec(make_config(NOWHERE, kinds, **options), **(tok2vec or {})), make_docs())


def gradients_of(pipeline: Pipeline, sizes: Sequence[int], *, dropout: float = 0.0) -> dict[str, torch.Tensor]:
    docs, cuts = make_docs(), [sum(sizes[:index]) for index in range(len(sizes) + 1)]
    pipeline.parameters.zero_gradients()
    step = [examples_of(docs[start:end]) for start, end in pairwise(cuts)]
    pipeline.update(step, dropout=dropout, clock=CLOCK)
    return {name: gradient.clone() for name, gradient in pipeline.parameters.named_gradients.items()}


def assert_near(ours: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == expected.keys()
    for name, gradient in expected.items():
        worst, largest = (ours[name] - gradient).abs().max().item(), gradient.abs().max().item()
        assert worst <= TOLERANCE * largest, f"{name}: off by {worst} of {largest}"


def trained(kind: str, *, n_steps: int = 3, tok2vec: dict[str, Any] | None = None, **options: Any) -> Pipeline:
    pipeline = pipeline_of([kind, kind], tok2vec=tok2vec, **options)
    docs, optimizer = make_docs(), build_adam(learn_rate=0.01)
    for step in range(n_steps):
        pipeline.parameters.zero_gradients()
        pipeline.update([examples_of(docs[:3]), examples_of(docs[3:])], dropout=0.1, clock=Clock(seed=0, step=step))
        optimizer.step(pipeline.parameters, step=step)
    return pipeline


def weights_of(pipeline: Pipeline) -> dict[str, bytes]:
    return {name: values.numpy().tobytes() for name, values in pipeline.parameters.named_values.items()}


@pytest.mark.parametrize("sizes", [[6], [1, 2, 3]], ids=["whole", "in three"])
@pytest.mark.parametrize("kinds", [["listener"] * 3, ["annotating"] * 3, ["listener", "annotating", "listener"]])
def test_readers_with_their_own_factors_send_back_the_gradient_of_a_plain_graph(
    kinds: list[str], sizes: list[int]
) -> None:
    factors = [1.0, 0.25, 2.5]
    pipeline = pipeline_of(kinds, grad_factors=factors)

    gradients = gradients_of(pipeline, sizes)

    assert len(gradients) == 4 + 4 + 8 + 6
    assert_near(gradients, plain_gradients(pipeline, make_docs(), grad_factors=factors))


def test_independent_tok2vecs_get_the_gradients_of_plain_graphs_of_their_own() -> None:
    pipeline = pipeline_of(["independent", "independent"])

    gradients = gradients_of(pipeline, [2, 4])

    owners = ["tagger.tok2vec", "morphologizer.tok2vec"]
    assert_near(gradients, plain_gradients(pipeline, make_docs(), grad_factors=[1.0, 1.0], owners=owners))


@pytest.mark.parametrize(("window", "layer"), [(0, -1), (2, -1), (1, 0), (1, 1), (1, -2)])
def test_every_hidden_state_can_be_read_with_its_gradient(window: int, layer: int) -> None:
    config = with_tok2vec(make_config(NOWHERE, ["listener"]), window=window)
    config["components"]["tagger"]["model"]["embedding"]["layer"] = layer
    pipeline = make_pipeline(config, make_docs())

    gradients = gradients_of(pipeline, [6])

    expected = plain_gradients(pipeline, make_docs(), grad_factors=[1.0], layer=layer, window=window)
    for name, gradient in gradients.items():
        if name not in expected:
            assert not gradient.any(), name
    assert_near({name: gradients[name] for name in expected}, expected)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_listener_and_annotating_trainings_end_in_the_same_bytes(dropout: float) -> None:
    listening, annotating = (trained(kind, tok2vec={"dropout": dropout}) for kind in ("listener", "annotating"))

    assert weights_of(listening) == weights_of(annotating)
    assert weights_of(listening) != weights_of(pipeline_of(["listener", "listener"]))


def test_dropout_is_a_function_of_the_step_and_falls_in_training_only() -> None:
    pipeline = pipeline_of(["listener"], tok2vec={"dropout": 0.5})

    first, again = gradients_of(pipeline, [6]), gradients_of(pipeline, [6])
    without = gradients_of(pipeline_of(["listener"]), [6])

    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], without[name]) for name in first)
    predicted = [pipeline.publishers["transformer"].embedder.compute(make_docs(), is_train=False) for _ in range(2)]
    assert torch.equal(predicted[0].pieces, predicted[1].pieces)


@pytest.mark.parametrize("kind", ["listener", "annotating", "independent", "detached"])
def test_a_saved_pipeline_comes_back_bit_for_bit(kind: str, tmp_path: Path) -> None:
    pipeline = trained(kind)
    pipeline.config = Config(pipeline.config)
    expected = [doc.xpos for doc in pipeline.pipe(doc.without_annotations() for doc in make_docs())]

    pipeline.to_disk(tmp_path / "one")
    loaded = frostline.load(tmp_path / "one")
    loaded.to_disk(tmp_path / "two")

    assert weights_of(loaded) == weights_of(pipeline)
    assert [doc.xpos for doc in loaded.pipe(doc.without_annotations() for doc in make_docs())] == expected
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)


@pytest.mark.parametrize(
    "modes", [{"transformer.*": "frozen"}, {"transformer.embed.*": "frozen"}, {"transformer.encode.*": "frozen"}]
)
@pytest.mark.parametrize("kind", ["listener", "annotating"])
def test_what_is_frozen_does_not_move_by_a_bit(kind: str, modes: dict[str, str]) -> None:
    before, after = weights_of(pipeline_of([kind, kind], modes=modes)), weights_of(trained(kind, modes=modes))

    prefix = next(iter(modes)).removesuffix(".*").replace("transformer.", "transformer/")
    moved = {name for name in after if after[name] != before[name]}

    frozen = {name for name in after if name.startswith(prefix)}
    assert len(frozen) >= 8
    assert moved == set(after) - frozen


@pytest.mark.parametrize(("kind", "moves"), [("listener", True), ("annotating", True), ("detached", False)])
def test_a_tok2vec_moves_unless_nobody_teaches_it(kind: str, moves: bool) -> None:
    before, after = weights_of(pipeline_of([kind, kind])), weights_of(trained(kind))

    moved = [name for name in after if name.startswith("transformer/") and after[name] != before[name]]
    assert bool(moved) is moves


def test_activations_on_the_docs_are_those_of_the_plain_model() -> None:
    pipeline = pipeline_of(["annotating"])
    docs = [doc.without_annotations() for doc in make_docs()]

    list(pipeline.pipe(docs, keep_activations=True))

    weights = {k.partition("/")[2]: v for k, v in pipeline.parameters.named_values.items() if k.startswith("transf")}
    (expected,) = plain_states(weights, docs)[-1:]
    found = torch.cat([doc.activations["transformer"].tokens() for doc in docs])
    assert found.shape == (sum(map(len, docs)), WIDTH)
    assert torch.allclose(found, expected, atol=1e-5)


def test_predictions_in_between_cost_the_step_no_gradient() -> None:
    pipeline = pipeline_of(["annotating", "annotating"])
    expected = gradients_of(pipeline, [6])
    tagger = pipeline.components["tagger"]
    plain_update = tagger.update

    def update_after_predictions(examples: Any, **options: Any) -> float:
        pipeline.predict([example.predicted for example in examples])
        return plain_update(examples, **options)

    tagger.update = update_after_predictions  # type: ignore[method-assign]

    assert all(torch.equal(gradient, expected[name]) for name, gradient in gradients_of(pipeline, [6]).items())


def two_publishers(second_reads: str) -> dict[str, Any]:
    config = with_tok2vec(make_config(NOWHERE, ["listener", "listener"]))
    parts = config["components"]
    parts["near"] = {"factory": "tok2vec", "model": tok2vec(depth=1)}
    parts["morphologizer"]["model"]["embedding"]["publisher"] = second_reads
    config["pipeline"]["components"] = ["transformer", "tagger", "near", "morphologizer"]
    return config


@pytest.mark.parametrize(("asked", "taught"), [("*", {"transformer", "near"}), ("transformer", {"transformer"})])
def test_with_several_publishers_a_listener_reads_the_one_it_names_or_the_nearest(asked: str, taught: set[str]) -> None:
    pipeline = make_pipeline(two_publishers(asked), make_docs())

    gradients = gradients_of(pipeline, [6])

    with_gradient = {name.partition("/")[0] for name, gradient in gradients.items() if gradient.abs().max() > 0}
    assert with_gradient - {"tagger", "morphologizer"} == taught
    assert pipeline.components["morphologizer"].model.layers[0].attrs["reading"].source.name == (
        "near" if asked == "*" else "transformer"
    )


def test_bf16_is_near_float32_and_learns() -> None:
    exact, rounded = pipeline_of(["listener"]), pipeline_of(["listener"], tok2vec={"precision": "bf16"})

    one, other = gradients_of(exact, [6]), gradients_of(rounded, [6])

    for name, gradient in one.items():
        assert (gradient - other[name]).norm() <= 0.1 * gradient.norm(), name
    assert rounded.publishers["transformer"].embedder.compute(make_docs(), is_train=False).pieces.dtype == torch.float32


def test_docs_without_tokens_pass_through() -> None:
    pipeline = pipeline_of(["listener", "listener"])

    docs = list(pipeline.pipe(["the dog walks", "", "  "]))

    assert [len(doc) for doc in docs] == [3, 0, 0]
    assert docs[0].xpos is not None
    assert next(pipeline.pipe([Doc.from_words([])])).xpos is not None


FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("embed", {"width": 0}, "width is 0"), ("embed", {"rows": [1, 2, 3]}, "4 attributes, but 3 numbers"),
    ("embed", {"attributes": ["norm", "norm", "a", "b"]}, "named twice"),
    ("embed", {"attributes": ["norm", "shap", "prefix", "suffix"]}, "'shap' is no attribute"),
    ("embed", {"dropout": 1.0}, "dropout is 1.0"), ("embed", {"n_hashes": 0}, "n_hashes is 0"),
    ("embed", {"rows": [1, 2, 3, 0]}, "rows is 0"), ("encode", {"depth": 0}, "depth is 0"),
    ("encode", {"window": -1}, "window is -1"), ("encode", {"n_pieces": 0}, "n_pieces is 0"),
]  # fmt: skip


@pytest.mark.parametrize(("block", "settings", "message"), FAULTS, ids=[message for _, _, message in FAULTS])
def test_settings_that_make_no_sense_are_refused_with_their_place(
    block: str, settings: dict[str, Any], message: str
) -> None:
    config = with_tok2vec(make_config(NOWHERE, ["listener"]))
    config["components"]["transformer"]["model"][block].update(settings)

    with pytest.raises(ConfigError, match=message) as error:
        assemble(config)

    assert error.value.where == f"components.transformer.model.{block}.{next(iter(settings))}"
    assert error.value.fix


def test_parts_of_different_widths_are_refused() -> None:
    config = with_tok2vec(make_config(NOWHERE, ["listener"]))
    config["components"]["transformer"]["model"]["encode"]["width"] = 8

    with pytest.raises(ConfigError, match="The embedding is 16 wide, the encoder 8") as error:
        assemble(config)

    assert error.value.where == "components.transformer.model.encode"


def test_a_layer_that_the_tok2vec_lacks_is_named_with_the_reader_that_asks_for_it() -> None:
    config = with_tok2vec(make_config(NOWHERE, ["listener"]))
    config["components"]["tagger"]["model"]["embedding"]["layer"] = 3

    with pytest.raises(ConfigError, match="Layer 3 is asked for, but the encoder's hidden states are 0 to 2") as error:
        make_pipeline(config, make_docs())

    assert error.value.where == "components.tagger.model.embedding.layer"
