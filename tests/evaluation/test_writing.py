"""metrics.json, documents.arrow and timing.json: their fields, their bytes, and what a failure leaves behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest

from frostline.evaluation import Scores, Timing, score_docs, write_evaluation
from frostline.tokens import Doc

TIMING = Timing(seconds=1.23456, words_per_s=1000.0, n_words=1234, threads=2, precision="float32", device="cpu")


def evaluated() -> Scores:
    reference = Doc.from_words(["a", "b"], xpos=["X", "Y"], doc_id="d1#0", group="web")
    return score_docs([reference], [Doc.from_words(["a", "b"], xpos=["X", "X"])]).weighted()


def test_the_three_files_have_the_agreed_fields(tmp_path: Path) -> None:
    write_evaluation(tmp_path / "dev", evaluated(), TIMING, seed=3)

    metrics = json.loads((tmp_path / "dev" / "metrics.json").read_text())
    assert metrics == {"xpos_acc": 0.5, "xpos_acc/X": 1.0, "xpos_acc/Y": 0.0, "score": 0.5}
    assert json.loads((tmp_path / "dev" / "timing.json").read_text()) == {
        "seconds": 1.235,
        "words_per_s": 1000.0,
        "peak_memory_mib": None,
        "peak_gpu_mib": None,
        "n_words": 1234,
        "n_parameters": None,
        "bytes_on_disk": None,
        "threads": 2,
        "precision": "float32",
        "device": "cpu",
    }
    with pa.memory_map(str(tmp_path / "dev" / "documents.arrow")) as source:
        rows = pa.ipc.open_file(source).read_all().to_pylist()
    assert rows == [
        {"document": "d1", "group": "web", "metric": "xpos_acc", "n_correct": 1, "n_gold": 2, "n_system": 2, "seed": 3}
    ]


def test_equal_scores_give_equal_bytes_whatever_the_clock_says(tmp_path: Path) -> None:
    write_evaluation(tmp_path / "one", evaluated(), TIMING, seed=0)
    write_evaluation(tmp_path / "two", evaluated(), Timing(seconds=99.0), seed=0)

    for name in ("metrics.json", "documents.arrow"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_failing_rename_leaves_the_old_files_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_evaluation(tmp_path, evaluated(), TIMING)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_evaluation(tmp_path, evaluated(), Timing(seconds=2.0))

    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
