"""float16: small gradients survive, an overflow skips its step, and the scale is part of a checkpoint."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import torch

from frostline.embedding.encoder import Encoder
from frostline.errors import TrainingError
from frostline.layers.randomness import Clock
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.wiring import embedders_of
from frostline.training.averages import NoAverages
from frostline.training.checkpoint import Learner, Progress, resume, save_checkpoint
from frostline.training.loss_scale import ScaledOptimizer, with_loss_scale
from frostline.training.optimizer import build_adam
from tests.pipeline.tiny import examples_of, make_config, make_docs, make_encoder, make_pipeline


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


def made(encoder: Path, *, precision: str = "float16", grad_factor: float = 1.0, **options: object) -> Pipeline:
    settings = {"precision": precision}
    config = make_config(encoder, ["listener"], settings=settings, grad_factors=[grad_factor], **options)
    return make_pipeline(config, make_docs())


def encoders_of(pipeline: Pipeline) -> list[Encoder]:
    return [transformer.ready for transformer in embedders_of(pipeline)]


def add_gradients(pipeline: Pipeline, step: int = 0) -> None:
    pipeline.parameters.zero_gradients()
    pipeline.update([examples_of(make_docs())], dropout=0.0, clock=Clock(seed=0, step=step))


def gradients_of(pipeline: Pipeline) -> dict[str, torch.Tensor]:
    return {name: values.clone() for name, values in pipeline.parameters.named_gradients.items()}


def weights_of(pipeline: Pipeline) -> dict[str, bytes]:
    return {name: values.numpy().tobytes() for name, values in pipeline.parameters.named_values.items()}


def test_scaling_changes_no_bit_of_a_float32_gradient(encoder: Path) -> None:
    pipeline = made(encoder, precision="float32")
    add_gradients(pipeline)
    plain = gradients_of(pipeline)

    encoders_of(pipeline)[0].gradient_scale.factor = 2.0**10
    add_gradients(pipeline)

    assert all(torch.equal(plain[name], values) for name, values in gradients_of(pipeline).items())


def test_gradients_that_float16_would_lose_survive_by_scaling(encoder: Path) -> None:
    tiny_factor = 1e-6
    exact, lost, kept = (made(encoder, precision=p, grad_factor=tiny_factor) for p in ("float32", "float16", "float16"))
    encoders_of(kept)[0].gradient_scale.factor = 2.0**22

    found = []
    for pipeline in (exact, lost, kept):
        add_gradients(pipeline)
        of_encoder = {n: v for n, v in gradients_of(pipeline).items() if n.startswith("transformer/")}
        found.append(torch.cat([values.reshape(-1) for _, values in sorted(of_encoder.items())]))

    wanted, unscaled, scaled = found
    assert float((scaled - wanted).norm() / wanted.norm()) < 0.02
    assert float((unscaled - wanted).norm() / wanted.norm()) > 0.1


def test_an_overflow_moves_nothing_and_halves_the_scale_until_a_step_fits(
    encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = made(encoder)
    optimizer = ScaledOptimizer(build_adam(learn_rate=0.01), encoders_of(pipeline), factor=2.0**24)
    n_skipped = 0
    for step in range(20):
        before = weights_of(pipeline)
        add_gradients(pipeline, step)
        moved = optimizer.step(pipeline.parameters, step=step)
        if moved.grad_norm:
            break
        n_skipped += 1
        assert weights_of(pipeline) == before
        assert set(moved.learn_rates.values()) == {0.0}

    assert 0 < n_skipped < 20
    assert optimizer.factor == encoders_of(pipeline)[0].gradient_scale.factor == 2.0 ** (24 - n_skipped)
    assert weights_of(pipeline) != before
    assert "beyond float16" in capsys.readouterr().err


def test_the_scale_grows_after_steps_without_overflow(encoder: Path) -> None:
    pipeline = made(encoder)
    optimizer = ScaledOptimizer(build_adam(learn_rate=0.001), encoders_of(pipeline), factor=4.0, steps_between=3)

    factors = []
    for step in range(7):
        add_gradients(pipeline, step)
        optimizer.step(pipeline.parameters, step=step)
        factors.append(optimizer.factor)

    assert factors == [4.0, 4.0, 8.0, 8.0, 8.0, 16.0, 16.0]


def test_a_gradient_that_no_scale_mends_is_an_error(encoder: Path) -> None:
    pipeline = made(encoder)
    optimizer = ScaledOptimizer(build_adam(learn_rate=0.01), encoders_of(pipeline), factor=4.0)
    pipeline.parameters.zero_gradients()
    next(iter(pipeline.parameters.named_gradients.values())).fill_(float("inf"))

    assert [optimizer.step(pipeline.parameters, step=step).grad_norm for step in range(2)] == [0.0, 0.0]
    with pytest.raises(TrainingError, match="not a finite number"):
        optimizer.step(pipeline.parameters, step=2)


def test_a_run_that_goes_on_from_a_checkpoint_ends_in_the_same_bytes(encoder: Path, tmp_path: Path) -> None:
    def learner_of(pipeline: Pipeline) -> Learner:
        optimizer = ScaledOptimizer(
            build_adam(learn_rate=0.01), encoders_of(pipeline), factor=2.0**23, steps_between=2
        )
        return Learner(store=pipeline.parameters, optimizer=optimizer, averages=NoAverages())

    def go(pipeline: Pipeline, learner: Learner, start: int, end: int) -> None:
        for step in range(start, end):
            add_gradients(pipeline, step)
            learner.optimizer.step(pipeline.parameters, step=step)

    whole = made(encoder)
    learner = learner_of(whole)
    go(whole, learner, 0, 9)
    save_checkpoint(tmp_path, learner, Progress(), digest="x")
    go(whole, learner, 9, 16)

    resumed = made(encoder)
    again = learner_of(resumed)
    assert resume(tmp_path, again, digest="x").progress is not None
    go(resumed, again, 9, 16)

    assert weights_of(resumed) == weights_of(whole)
    assert again.optimizer.factor == learner.optimizer.factor != 2.0**23


@pytest.mark.parametrize(
    ("precision", "modes", "scaled"),
    [("float16", {}, True), ("bf16", {}, False), ("float32", {}, False),
     ("float16", {"transformer.*": "frozen"}, False)],
)  # fmt: skip
def test_only_encoders_that_are_trained_in_float16_are_scaled(
    encoder: Path, precision: str, modes: dict[str, str], scaled: bool
) -> None:
    pipeline = made(encoder, precision=precision, modes=modes)
    optimizer = with_loss_scale(build_adam(learn_rate=0.01), encoders_of(pipeline))

    assert isinstance(optimizer, ScaledOptimizer) is scaled
    assert (encoders_of(pipeline)[0].gradient_scale.factor != 1.0) is scaled


def test_an_encoder_that_thaws_later_is_scaled_from_the_start(encoder: Path) -> None:
    config = make_config(encoder, ["listener"], settings={"precision": "float16"})
    thaw = {"@schedules": "frostline.one_by_one.v1", "steps_each": 2, "first": 0}
    config["training"]["freezing"] = {"unfreezing": {"transformer": thaw}}
    pipeline = make_pipeline(config, make_docs())
    frozen = made(encoder, modes={"transformer.*": "frozen"})

    assert isinstance(with_loss_scale(build_adam(learn_rate=0.01), encoders_of(pipeline)), ScaledOptimizer)
    assert not isinstance(with_loss_scale(build_adam(learn_rate=0.01), encoders_of(frozen)), ScaledOptimizer)


def test_copies_of_copies_of_an_encoder_keep_their_true_gradients(encoder: Path) -> None:
    pipeline = made(encoder)
    add_gradients(pipeline)
    plain = pipeline.parameters.norm_of_gradients()

    for _ in range(4):
        gc.collect()
        pipeline.replace_listeners()
        encoders_of(pipeline)[0].gradient_scale.factor = 2.0**16
        add_gradients(pipeline)

        assert pipeline.parameters.norm_of_gradients() == pytest.approx(plain, rel=0.02)
