"""Evaluating, saving, stopping, being interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from frostline.errors import ConfigError, TrainingError
from frostline.files import held
from frostline.tokens import Doc
from frostline.training.driver import Ending, Policy
from frostline.training.loop import StepResult
from frostline.training.schedules import piecewise
from tests.training.tiny_trainable import Scored, Silent, Tiny, make_docs, make_recipe, train_tiny


class WithScores(Tiny):
    """Is scored by a list instead of by its docs."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores = iter(scores)

    def evaluate(self, references: Iterable[Doc]) -> Scored:
        return Scored({"xpos_acc": next(self.scores)})


def rows(output: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def test_a_run_leaves_two_models_a_log_and_its_timing_and_no_checkpoint(tmp_path: Path) -> None:
    outcome = train_tiny(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "model-best", "model-last", "timing.json"]
    assert outcome.best_score > 0.5
    timing = json.loads((tmp_path / "timing.json").read_text())
    assert timing["n_words"] == outcome.n_words == 4 * sum(len(doc) for doc in make_docs(40))
    assert timing["bytes_on_disk"] > 0 and timing["words_per_s"] > 0 and timing["peak_memory_mib"] > 0


def test_the_log_has_the_fields_others_rely_on(tmp_path: Path) -> None:
    outcome = train_tiny(tmp_path)

    log = rows(tmp_path)
    assert list(log[0]) == ["step", "epoch", "words", "losses", "learn_rates", "grad_norm", "scores", "score",
                            "is_best"]  # fmt: skip
    assert log[0]["scores"].keys() == {"xpos_acc", "words_f"}
    assert [row["step"] for row in log] == [*range(5, outcome.n_steps, 5), outcome.n_steps]
    assert log[-1]["words"] == outcome.n_words


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    train_tiny(tmp_path / "a")
    train_tiny(tmp_path / "b")

    for name in ("log.jsonl", "model-best/tagger.safetensors", "model-last/tagger.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_tie_keeps_the_earlier_model(tmp_path: Path) -> None:
    outcome = train_tiny(tmp_path, pipeline=WithScores([0.5, 0.7, 0.7, 0.6]), policy=Policy())

    assert outcome.best_step == rows(tmp_path)[1]["step"]
    assert [row["is_best"] for row in rows(tmp_path)] == [True, True, False, False]


def test_patience_ends_the_run_after_steps_without_a_better_score(tmp_path: Path) -> None:
    outcome = train_tiny(tmp_path, pipeline=WithScores([0.5, 0.7, 0.7, 0.6, 0.5]),
                         recipe=make_recipe(max_epochs=0, dropout=make_recipe().dropout),
                         policy=Policy(eval_frequency=2, patience=5, max_steps=99))  # fmt: skip

    assert (outcome.ending, outcome.n_steps, outcome.best_step) == (Ending.PATIENCE, 10, 4)


def test_a_dropout_that_would_drop_everything_is_refused_before_the_first_step(tmp_path: Path) -> None:
    seen = Silent()
    with pytest.raises(ConfigError, match="at step 20") as caught:
        train_tiny(tmp_path, recipe=make_recipe(dropout=piecewise(boundaries=[20], values=[0.2, 1.0])), logger=seen)

    assert caught.value.where == "training.dropout"
    assert seen.steps == []


def test_max_steps_ends_the_run_with_an_evaluation(tmp_path: Path) -> None:
    outcome = train_tiny(tmp_path, policy=Policy(eval_frequency=5, max_steps=7))

    assert (outcome.ending, outcome.n_steps) == (Ending.MAX_STEPS, 7)
    assert [row["step"] for row in rows(tmp_path)] == [5, 7]


def test_without_a_frequency_each_epoch_ends_with_an_evaluation(tmp_path: Path) -> None:
    train_tiny(tmp_path, policy=Policy())

    assert [row["epoch"] for row in rows(tmp_path)] == [1, 2, 3, 4]


def test_averages_are_what_is_evaluated_and_what_is_saved(tmp_path: Path) -> None:
    pipeline = Tiny()
    seen: list[torch.Tensor] = []

    class Noting(Tiny):
        def evaluate(self, references: Iterable[Doc]) -> Scored:
            seen.append(self.tagger.weight.data.clone())
            return super().evaluate(references)

    pipeline = Noting()
    train_tiny(tmp_path, pipeline=pipeline, averages="mean")

    last = load_file(tmp_path / "model-last" / "tagger.safetensors")["weight"]
    assert torch.equal(last, seen[-1])
    assert not torch.equal(last, pipeline.tagger.weight.data)


def test_the_mean_is_that_of_all_steps(tmp_path: Path) -> None:
    weights: list[torch.Tensor] = []

    class Noting(Silent):
        def stepped(self, result: StepResult) -> None:
            weights.append(pipeline.tagger.weight.data.double().clone())

    pipeline = Tiny()
    train_tiny(tmp_path, pipeline=pipeline, averages="mean", logger=Noting(), policy=Policy(max_steps=6))

    last = load_file(tmp_path / "model-last" / "tagger.safetensors")["weight"]
    assert torch.allclose(last.double(), torch.stack(weights).mean(dim=0), atol=1e-6)


@pytest.mark.parametrize("error", [RuntimeError("the machine is tired"), KeyboardInterrupt()])
def test_what_interrupts_a_run_leaves_the_last_state_and_is_raised_again(tmp_path: Path, error: BaseException) -> None:
    class Breaks(Tiny):
        n = 0

        def update(self, *args: object, **kwargs: object) -> dict[str, float]:
            self.n += 1
            if self.n == 8:
                raise error
            return super().update(*args, **kwargs)

    pipeline = Breaks()
    with pytest.raises(type(error)):
        train_tiny(tmp_path, pipeline=pipeline, averages=None)

    last = load_file(tmp_path / "model-last" / "tagger.safetensors")["weight"]
    assert torch.equal(last, pipeline.tagger.weight.data)
    assert (tmp_path / "checkpoint" / "state.safetensors").is_file()


def test_the_best_model_stays_when_its_successor_can_not_be_written(tmp_path: Path) -> None:
    class DiskFull(WithScores):
        n = 0

        def to_disk(self, path: Path) -> None:
            self.n += 1
            if self.n == 2:
                raise OSError(28, "No space left on device")
            super().to_disk(path)

    with pytest.raises(OSError, match="No space"):
        train_tiny(tmp_path, pipeline=DiskFull([0.5, 0.7]), policy=Policy(eval_frequency=5))

    assert load_file(tmp_path / "model-best" / "tagger.safetensors")["weight"].shape == (3, 64)


def test_a_folder_that_another_training_writes_to_is_left_alone(tmp_path: Path) -> None:
    train_tiny(tmp_path, policy=Policy(max_steps=2))
    before = sorted(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    with held(tmp_path), pytest.raises(TrainingError, match="Another training") as caught:
        train_tiny(tmp_path, policy=Policy(max_steps=4))

    assert caught.value.where == str(tmp_path)
    assert sorted(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()) == before
    train_tiny(tmp_path, policy=Policy(max_steps=4))


def test_a_run_that_nothing_ends_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Nothing ever ends"):
        train_tiny(tmp_path, recipe=make_recipe(max_epochs=0))


def test_a_dev_corpus_that_gives_no_score_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="none of the scores"):
        train_tiny(tmp_path, policy=Policy(eval_frequency=2, score_weights={"las": 1.0}))


def test_a_broken_logger_does_not_hurt_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(Silent):
        def stepped(self, result: StepResult) -> None:
            raise ConnectionError("the tracking server is down")

    train_tiny(tmp_path, logger=Broken())

    assert capsys.readouterr().err.count("tracking server is down") == 1
    assert (tmp_path / "model-last").is_dir()
