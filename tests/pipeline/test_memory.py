"""What bounds memory in training and evaluation changes no result."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from frostline.embedding.hub import save_encoder
from frostline.errors import ConfigError
from frostline.layers.randomness import Clock
from frostline.pipeline.pipeline import Pipeline
from frostline.tokens import Doc
from tests.embedding.families import encoder_of
from tests.pipeline.tiny import examples_of, make_config, make_docs, make_encoder, make_pipeline

DROPOUT = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.1}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


def gradients_of(pipeline: Pipeline) -> dict[str, torch.Tensor]:
    pipeline.parameters.zero_gradients()
    pipeline.update([examples_of(make_docs())], dropout=0.1, clock=Clock(seed=3))
    return {name: values.clone() for name, values in pipeline.parameters.named_gradients.items()}


@pytest.mark.parametrize("kind", ["listener", "annotating", "independent"])
def test_gradient_checkpointing_changes_no_bit_of_a_gradient(encoder: Path, kind: str) -> None:
    found = []
    for checkpointing in (False, True):
        config = make_config(encoder, [kind])
        block = config["components"]["tagger"]["model"]["embedding"].get("transformer")
        block = block or config["components"]["transformer"]["model"]
        block |= {"gradient_checkpointing": checkpointing, "transformer_settings": DROPOUT}
        found.append(gradients_of(make_pipeline(config, make_docs())))

    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert sum(bool(values.any()) for name, values in found[0].items() if "transformer" in name) > 20


def test_gradient_checkpointing_outlives_the_replacing_of_listeners(encoder: Path) -> None:
    found = []
    for checkpointing in (False, True):
        settings = {"gradient_checkpointing": checkpointing, "transformer_settings": DROPOUT}
        pipeline = make_pipeline(make_config(encoder, ["listener", "listener"], settings=settings), make_docs())
        pipeline.replace_listeners("tagger")
        found.append(gradients_of(pipeline))

    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert sum(bool(values.any()) for name, values in found[0].items() if "transformer" in name) > 20


def test_an_encoder_that_cannot_compute_its_layers_twice_says_so_with_the_configs_place(tmp_path: Path) -> None:
    save_encoder(encoder_of("mpnet"), tmp_path / "e")
    settings = {"gradient_checkpointing": True, "transformer_settings": {}}

    with pytest.raises(ConfigError, match="mpnet encoder can't compute its layers twice") as error:
        make_pipeline(make_config(tmp_path / "e", ["listener"], settings=settings), make_docs())
    assert str(error.value.where).endswith("gradient_checkpointing")


@pytest.mark.parametrize("budget", [1, 7, 40, 10_000])
def test_the_budget_of_padded_pieces_changes_gradients_by_no_more_than_rounding(encoder: Path, budget: int) -> None:
    whole = gradients_of(make_pipeline(make_config(encoder, ["listener"]), make_docs()))

    settings = {"max_batch_pieces": budget}
    divided = gradients_of(make_pipeline(make_config(encoder, ["listener"], settings=settings), make_docs()))

    largest = max(float(values.abs().max()) for values in whole.values())
    assert all(float((divided[name] - values).abs().max()) <= 1e-5 * largest for name, values in whole.items())


def test_an_evaluation_holds_few_docs_at_a_time(encoder: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["annotating"]), make_docs())
    alive: list[int] = []

    def stream() -> Iterator[Doc]:
        for number in range(40):
            if number % 10 == 9:
                gc.collect()
                alive.append(sum(type(one) is Doc for one in gc.get_objects()))
            yield from make_docs()[:2]

    scores = pipeline.evaluate(stream(), batch_words=30)

    assert scores.n_docs == 80
    assert max(alive) - min(alive) <= 20
