"""What is printed while a run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from frostline.training.loggers import ConsoleLogger, EvaluationRecord, Plan
from frostline.training.loop import StepResult

PLAN = Plan(output=Path("out"), n_steps=200, max_epochs=2, n_docs=30, n_parameters=1000, n_trainable=10, start_step=0)


def step(number: int) -> StepResult:
    return StepResult(epoch=0, step=number, n_words=500, losses={"tagger": 1.25}, learn_rates={"tagger": 0.1},
                      grad_norm=1.0, dropout=0.1, ends_epoch=False)  # fmt: skip


def record(number: int, *, is_best: bool = True) -> EvaluationRecord:
    return EvaluationRecord(step=number, epoch=1, words=500, losses={"tagger": 1.25, "morphologizer": 0.5},
                            learn_rates={"tagger": 0.1}, grad_norm=1.0, score=0.5, is_best=is_best,
                            scores={"xpos_acc": 0.75, "upos_acc": 0.25, "ents_p": 0.1, "words_f": 1.0})  # fmt: skip


class Watch:
    """A clock that is put forward by hand."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_an_evaluation_is_a_row_under_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch()
    logger = ConsoleLogger(clock=watch)
    logger.started(PLAN)
    watch.seconds = 10.0
    logger.stepped(step(100))
    logger.evaluated(record(100))
    logger.evaluated(record(101, is_best=False))

    _, header, row, second = capsys.readouterr().err.splitlines()
    assert header.split() == ["epoch", "step", "tagger", "morphologizer", "xpos_acc", "upos_acc", "score", "words/s",
                              "left"]  # fmt: skip
    assert row.split() == ["1", "100", "1.250", "0.500", "75.00", "25.00", "50.00", "50", "0:10", "best"]
    assert not second.endswith("best")


def test_off_a_terminal_progress_is_a_plain_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch()
    logger = ConsoleLogger(clock=watch)
    logger.started(PLAN)
    capsys.readouterr()

    for number in range(1, 91):
        watch.seconds = float(number)
        logger.stepped(step(number))

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "  epoch 1 step 30/200 · loss tagger 1.250 · 500 words/s · 2:50 left"
    assert len(lines) == 3


def test_without_progress_only_rows_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch()
    logger = ConsoleLogger(progress=False, clock=watch)
    logger.started(PLAN)
    capsys.readouterr()
    watch.seconds = 100.0

    logger.stepped(step(1))

    assert capsys.readouterr().err == ""
