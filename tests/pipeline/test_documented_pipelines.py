"""The Python that docs/pipelines.md shows for a saved pipeline runs, and the pipeline has learnt by it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import frostline
from frostline.config import Config
from tests.pipeline.tiny import make_config, make_docs, make_encoder, make_pipeline

PAGE = Path(__file__).parents[2] / "docs" / "pipelines.md"


def test_a_saved_pipeline_learns_the_label_that_was_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    (program,) = (block for block in blocks if "to_disk" in block)
    pipeline = make_pipeline(make_config(make_encoder(tmp_path / "encoder"), ["listener"]), make_docs())
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "training/mine/model-best")
    monkeypatch.chdir(tmp_path)

    exec(compile(program, str(PAGE), "exec"), {})

    before, after = (frostline.load(f"training/mine/model-{name}") for name in ("best", "more"))
    assert before("ouch").xpos.values() != ["UH"]
    assert after("ouch").xpos.values() == ["UH"]
