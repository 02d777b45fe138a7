"""The config that docs/pipelines.md shows trains as it stands, and the same command twice gives the same bytes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import frostline
from frostline.config import fill_config, load_config
from frostline.corpora.store import write_corpus
from frostline.training.run import train
from tests.pipeline.tiny import make_docs

DOCS = Path(__file__).parents[2] / "docs"


def documented_config(page: str, marker: str) -> str:
    """The block of a page that has `marker` in it."""
    blocks = re.findall(r"```ini\n(.*?)```", (DOCS / page).read_text(encoding="utf8"), flags=re.DOTALL)
    (found,) = (block for block in blocks if marker in block)
    return found


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_corpus(make_docs() * 4, tmp_path / "corpus")
    return tmp_path / "corpus"


def test_the_documented_tok2vec_trains_loads_and_repeats_itself(corpus: Path, tmp_path: Path) -> None:
    file = tmp_path / "tok2vec.cfg"
    file.write_text(documented_config("pipelines.md", "frostline.Subwords.v1"))
    overrides = {"paths.train": str(corpus), "paths.dev": str(corpus), "training.max_epochs": 12}
    overrides |= {"training.batcher.n_words": 20, "training.optimizer.learn_rate.warmup_steps": 5}
    config, _ = fill_config(load_config(file, overrides))

    outcomes = [train(config, tmp_path / name) for name in ("one", "two")]

    assert outcomes[0].best_score > 0.95
    pipeline = frostline.load(tmp_path / "one" / "model-best")
    assert pipeline.evaluate(make_docs()).metrics["xpos_acc"] > 0.95
    for file in sorted((tmp_path / "one" / "model-last").rglob("*")):
        other = tmp_path / "two" / file.relative_to(tmp_path / "one")
        assert file.is_dir() or file.read_bytes() == other.read_bytes(), file
