"""A step that does not fit the memory ends the run with an advice, or is computed in halves with the same gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from frostline.embedding.encoder import Encoder
from frostline.errors import ConfigError, TrainingError
from frostline.layers.randomness import Clock
from frostline.pipeline.fitting import Fitting
from frostline.pipeline.pipeline import Pipeline
from frostline.tokens import Doc, Example
from frostline.training.checking import check_luck
from frostline.training.out_of_memory import Updates, is_out_of_memory
from tests.pipeline.tiny import make_config, make_docs, make_encoder, make_pipeline

CLOCK = Clock(seed=0, step=4)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


def made(encoder: Path, kind: str = "listener") -> Pipeline:
    return make_pipeline(make_config(encoder, [kind, kind]), make_docs())


def batch() -> list[Example]:
    return [Example(doc.without_annotations(), doc) for doc in make_docs()]


def small_memory(
    monkeypatch: pytest.MonkeyPatch, max_pieces: int, error: Callable[[], Exception], *, in_training: bool = True
) -> list[int]:
    """Let the encoder run out of memory on more pieces, in training or outside; the sizes it was asked for."""
    asked: list[int] = []
    forward = Encoder.forward

    def limited(self: Encoder, pieces: Any, windows: Any, *, is_train: bool, **settings: Any) -> torch.Tensor:
        if is_train is in_training:
            asked.append(len(pieces))
            if len(pieces) > max_pieces:
                raise error()
        return forward(self, pieces, windows, is_train=is_train, **settings)

    monkeypatch.setattr(Encoder, "forward", limited)
    return asked


def gradients_of(pipeline: Pipeline, updates: Updates, **settings: Any) -> dict[str, torch.Tensor]:
    updates.compute(pipeline, settings.pop("batches", None) or [batch()], dropout=0.0, clock=CLOCK)
    return {name: values.clone() for name, values in pipeline.parameters.named_gradients.items()}


def no_memory() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize("kind", ["listener", "annotating", "independent"])
def test_halves_have_the_gradient_of_the_whole(
    encoder: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = made(encoder, kind)
    whole = gradients_of(pipeline, Updates("fail"))
    asked = small_memory(monkeypatch, 16, no_memory)

    halved = gradients_of(pipeline, Updates("halve"))

    assert asked[0] > 16
    assert all(n <= 16 for n in asked[-2:])
    largest = max(float(values.abs().max()) for values in whole.values())
    for name, values in whole.items():
        limit = 1e-5 * max(float(values.abs().max()), 1e-3 * largest)
        assert float((halved[name] - values).abs().max()) <= limit, name
    assert "did not fit the memory" in capsys.readouterr().err


def test_what_a_failed_try_has_added_is_forgotten(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = made(encoder)
    two = [batch()[:1], batch()[1:]]  # the first fits and adds its gradient, the second does not
    whole = gradients_of(pipeline, Updates("fail"), batches=two)
    small_memory(monkeypatch, 20, no_memory)

    halved = gradients_of(pipeline, Updates("halve"), batches=[batch()[:1], batch()[1:]])

    largest = max(float(values.abs().max()) for values in whole.values())
    assert all(float((halved[name] - values).abs().max()) <= 1e-5 * largest for name, values in whole.items())


def test_later_steps_begin_with_batches_that_fit(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = made(encoder)
    asked = small_memory(monkeypatch, 16, no_memory)
    updates = Updates("halve")

    gradients_of(pipeline, updates)
    asked.clear()
    gradients_of(pipeline, updates)

    assert asked
    assert all(n <= 16 for n in asked)


def test_by_default_the_run_ends_and_says_what_helps(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = made(encoder)
    asked = small_memory(monkeypatch, 16, no_memory)

    with pytest.raises(TrainingError, match="a batch of 20 words, at step 4") as error:
        gradients_of(pipeline, Updates("fail"))
    assert error.value.where == "training.on_out_of_memory"
    assert "gradient_checkpointing" in str(error.value.fix)
    assert len(asked) == 1


def test_a_single_doc_that_does_not_fit_ends_the_run(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = made(encoder)
    small_memory(monkeypatch, 3, no_memory)

    with pytest.raises(TrainingError, match="a batch of one doc") as error:
        gradients_of(pipeline, Updates("halve"))
    assert "shorter docs" in str(error.value.fix)


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 9 bytes"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("out of memory"), False),
        (KeyboardInterrupt(), False),
    ],
    ids=str,
)
def test_errors_of_memory_are_told_from_others(
    encoder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, is_it: bool
) -> None:
    assert is_out_of_memory(error) is is_it
    if isinstance(error, Exception):
        pipeline = made(encoder)
        small_memory(monkeypatch, 16, lambda: error)
        if is_it:
            gradients_of(pipeline, Updates("halve"))
        else:
            with pytest.raises(type(error), match=str(error)):
                gradients_of(pipeline, Updates("halve"))


def test_an_evaluation_in_halves_has_the_scores_of_the_whole_and_says_so_once(
    encoder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = made(encoder, "annotating")
    whole = pipeline.evaluate(make_docs())
    asked = small_memory(monkeypatch, 12, no_memory, in_training=False)
    pipeline.config["training"]["on_out_of_memory"] = "halve"

    halved = pipeline.evaluate(make_docs())
    n_asked = len(asked)
    again = pipeline.evaluate(make_docs())

    assert halved.metrics == whole.metrics == again.metrics
    assert asked[0] > 12
    assert all(n <= 12 for n in asked[n_asked:])  # it remembers
    assert capsys.readouterr().err.count("a batch of the evaluation did not fit the memory") == 1
    assert not any(doc.activations for doc in make_docs())


@pytest.mark.parametrize(("policy", "max_pieces", "advice"), [("fail", 12, '"halve"'), ("halve", 3, "shorter docs")])
def test_an_evaluation_that_does_not_fit_says_what_helps(
    encoder: Path, monkeypatch: pytest.MonkeyPatch, policy: str, max_pieces: int, advice: str
) -> None:
    pipeline = made(encoder)
    pipeline.config["training"]["on_out_of_memory"] = policy
    small_memory(monkeypatch, max_pieces, no_memory, in_training=False)

    with pytest.raises(TrainingError, match="a batch of the evaluation, of") as error:
        pipeline.evaluate(make_docs())
    assert error.value.where == "training.on_out_of_memory"
    assert advice in str(error.value.fix)


def test_other_errors_of_an_evaluation_stay_what_they_are(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = made(encoder)
    small_memory(monkeypatch, 3, lambda: ValueError("shapes differ"), in_training=False)

    with pytest.raises(ValueError, match="shapes differ"):
        pipeline.evaluate(make_docs())


def test_an_evaluation_ends_where_what_does_not_fit_is_one_doc_beside_an_empty_one() -> None:
    asked: list[int] = []

    def predict(docs: Sequence[Doc]) -> None:
        asked.append(len(docs))
        assert len(asked) < 3
        raise no_memory()

    with pytest.raises(TrainingError, match="of 1 words"):
        list(Fitting().predicted([Doc.from_words(["the"]), Doc.from_words([])], predict, policy="halve"))


def test_a_strict_run_may_not_depend_on_whether_memory_runs_out() -> None:
    halving = {"training": {"on_out_of_memory": "halve"}}

    check_luck(halving | {"system": {"deterministic": "yes"}})
    check_luck({"training": {"on_out_of_memory": "fail"}, "system": {"deterministic": "strict"}})
    with pytest.raises(ConfigError, match="luck") as error:
        check_luck(halving | {"system": {"deterministic": "strict"}})
    assert error.value.where == "training.on_out_of_memory"
