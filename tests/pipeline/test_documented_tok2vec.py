"""The config that docs/pipelines.md shows trains as it stands, and the same command twice gives the same bytes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import frostline
from frostline.config import fill_config, load_config
from frostline.corpora.store import write_corpus
from frostline.errors import ConfigError, ModelFileError
from frostline.pipeline.wiring import assemble
from frostline.training.checking import find_faults
from frostline.training.embedding import embed_corpora
from frostline.training.run import attach_stores, train
from frostline.vectors import Vectors, write_vectors
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

    assert find_faults(config) == []
    assert outcomes[0].best_score > 0.95
    pipeline = frostline.load(tmp_path / "one" / "model-best")
    assert pipeline.evaluate(make_docs()).metrics["xpos_acc"] > 0.95
    for file in sorted((tmp_path / "one" / "model-last").rglob("*")):
        other = tmp_path / "two" / file.relative_to(tmp_path / "one")
        assert file.is_dir() or file.read_bytes() == other.read_bytes(), file


def test_the_documented_vectors_fit_the_documented_tok2vec(corpus: Path, tmp_path: Path) -> None:
    write_vectors(Vectors(("the", "dog"), np.eye(2, dtype=np.float32)), tmp_path / "vectors")
    file = tmp_path / "tok2vec.cfg"
    text = documented_config("pipelines.md", "frostline.Subwords.v1").replace("[paths]", '[paths]\nvectors = "vectors"')
    file.write_text(text + "\n" + documented_config("vectors.md", "frostline.StaticVectors.v1"))
    overrides = {"paths.train": str(corpus), "paths.dev": str(corpus), "paths.vectors": str(tmp_path / "vectors")}
    config, _ = fill_config(load_config(file, {**overrides, "training.max_epochs": 1}))

    train(config, tmp_path / "out")

    doc = frostline.load(tmp_path / "out" / "model-last")("the dog")
    assert doc[0].vector.tolist() == [1.0, 0.0] and doc[0].similarity(doc) == pytest.approx(0.5**0.5)
    table = tmp_path / "vectors" / "vectors.safetensors"
    table.write_bytes(table.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ModelFileError, match="vectors were changed"):
        train(config, tmp_path / "other")


def test_stored_activations_are_a_transformers_business(corpus: Path, tmp_path: Path) -> None:
    file = tmp_path / "tok2vec.cfg"
    file.write_text(documented_config("pipelines.md", "frostline.Subwords.v1"))
    config, _ = fill_config(load_config(file, {"paths.train": str(corpus), "paths.dev": str(corpus)}))

    with pytest.raises(ConfigError, match="'tok2vec', but it is no transformer") as error:
        attach_stores(assemble(config), {"tok2vec": str(tmp_path)}, tmp_path / "cache")
    assert error.value.where == "training.activations.tok2vec"
    with pytest.raises(ConfigError, match="the pipeline has tok2vec"):
        embed_corpora(config, [corpus], tmp_path / "embedded")
