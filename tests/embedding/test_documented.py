"""The Python of docs/transformers.md runs, and does what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import frostline
from frostline.cli.main import run
from frostline.config import Config
from frostline.corpora.store import write_corpus
from frostline.embedding.store import open_activations
from frostline.errors import ConfigError, TrainingError
from frostline.pipeline.pipeline import Pipeline
from frostline.tokens import Doc
from frostline.training.embedding import embed_corpora
from tests.embedding.families import FAMILIES
from tests.pipeline.tiny import make_config, make_docs, make_encoder, make_pipeline
from tests.pipeline.tok2vec import tok2vec
from tests.training.test_checking import filled, folder

__all__ = ["folder"]  # a fixture

PAGE = Path(__file__).parents[2] / "docs" / "transformers.md"


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the page's blocks define, run one after another."""
    found: dict[str, Any] = {}
    exec(compile(program(), str(PAGE), "exec"), found)
    return found


def program() -> str:
    """All Python of the page."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S))


def with_rules(config: dict[str, Any], ends: list[str]) -> dict[str, Any]:
    """A config with the page's component of rules before the transformer."""
    config["components"]["sentences"] = {"factory": "sentence_rules", "ends": ends}
    config["pipeline"]["components"].insert(0, "sentences")
    config["training"]["annotating_components"].append("sentences")
    return config


@pytest.fixture(scope="module")
def pipeline(names: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    source = make_encoder(tmp_path_factory.mktemp("encoder"))
    config = make_config(source, ["annotating"], settings={"windows": {"@windows": "with_neighbours.v1"}})
    config["components"]["transformer"]["annotation_setters"] = {"likeness": {"@annotation_setters": "likeness.v1"}}
    return make_pipeline(with_rules(config, ["dog"]), make_docs())


def test_the_getter_gives_each_sentence_its_neighbours(names: dict[str, Any]) -> None:
    doc = make_docs()[4]
    doc.sent_starts = [1, 0, 1, 0, 1, 0, 1]

    assert names["build_with_neighbours"]()([doc]) == [[(0, 4), (0, 6), (2, 7), (4, 7)]]


def test_the_getter_fails_where_nobody_has_marked_sentences(names: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="nobody has marked any in the doc 'doc-4'") as caught:
        names["build_with_neighbours"]()([make_docs()[4]])

    assert "docs/transformers.md" in str(caught.value.fix)


def test_sentences_that_rules_find_are_windows_in_training_and_prediction(folder: Path, tmp_path: Path) -> None:
    (config,) = re.findall(r"^```ini\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    Config(filled(folder)).to_disk(tmp_path / "my.cfg")
    (tmp_path / "my_code.py").write_text(program())
    trained = {}
    for name, change in {"ends": '"the", "dog", "walks"', "whole": '"no-word"'}.items():
        (tmp_path / f"{name}.cfg").write_text(config.replace('"."', change))
        run(["train", str(tmp_path / f"{name}.cfg"), "--code", str(tmp_path / "my_code.py"), "--quiet",
             "--output", str(tmp_path / name)])  # fmt: skip
        trained[name] = frostline.load(tmp_path / name / "model-best")

    doc = trained["ends"](Doc.from_words(["the", "dog", "walks", "cats", "run"]))

    assert doc.sentences() == [(0, 1), (1, 2), (2, 3), (3, 5)]
    assert doc.xpos is not None
    weights = [pipeline.parameters.named_values["tagger/output.weight"] for pipeline in trained.values()]
    assert not torch.equal(*weights)


def test_embedded_docs_are_cut_by_what_the_rules_find_not_by_what_the_corpus_says(
    names: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    config, docs = with_rules(filled(folder), ["dog"]), make_docs()
    config["components"]["transformer"]["model"]["windows"] = {"@windows": "with_neighbours.v1"}
    for doc in docs:
        doc.sent_starts = [1] * len(doc)
    write_corpus(docs, tmp_path / "corpus")

    embed_corpora(config, [tmp_path / "corpus"], tmp_path / "embedded")

    pipeline, stored = make_pipeline(config, docs), open_activations(tmp_path / "embedded")
    bare = [doc.without_annotations() for doc in docs if len(doc)]
    pipeline.predict(bare, before="transformer")
    keys = pipeline.publishers["transformer"].embedder.read(bare).keys()
    assert all(stored.get(key) is not None for key in keys)


def test_windows_that_may_depend_on_a_component_with_weights_are_not_embedded_by_a_config(
    names: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    config = filled(folder)
    config["components"]["transformer"]["model"]["windows"] = {"@windows": "with_neighbours.v1"}
    config["components"]["first"] = {"factory": "tok2vec", "model": tok2vec()}
    config["components"]["tagger"]["model"]["embedding"]["publisher"] = "first"
    config["pipeline"]["components"] = ["first", "tagger", "transformer", "morphologizer"]

    with pytest.raises(ConfigError, match="may depend on what 'tagger' predicts") as caught:
        embed_corpora(config, [], tmp_path / "embedded")

    assert caught.value.where == "components.transformer.model.windows"


def test_the_setter_writes_a_likeness_and_the_pieces_can_be_read(pipeline: Pipeline, names: dict[str, Any]) -> None:
    docs = list(pipeline.pipe([doc.without_annotations() for doc in make_docs()], keep_activations=True))

    assert docs[0].cats["like-the-first"] == pytest.approx(1.0)
    assert all(-1.0 <= doc.cats["like-the-first"] < 1.0 for doc in docs[1:])
    for doc in docs:
        norms = names["first_layers_norms"](doc)
        assert len(norms) == len(doc)
        assert min(norms) > 0


def test_pieces_are_shown_as_the_text_has_them(pipeline: Pipeline, names: dict[str, Any]) -> None:
    doc = pipeline(Doc.from_words(["the", "dogs", "walked"]))

    assert names["pieces_as_written"](pipeline, doc) == ["the", "dog", "s", "walk", "ed"]


def test_the_page_names_every_layout_that_the_tests_know() -> None:
    rows = dict(re.findall(r"^\| (packed|padded|equal): [^|]*\| ([^|]*)", PAGE.read_text(encoding="utf-8"), re.M))
    written = {
        "bert": "BERT", "roberta": "RoBERTa", "xlm-roberta": "XLM-R", "camembert": "CamemBERT", "electra": "ELECTRA",
        "albert": "ALBERT", "distilbert": "DistilBERT", "deberta-v2": "DeBERTa", "deberta": "DeBERTa", "t5": "T5",
        "modernbert": "ModernBERT", "ernie": "ERNIE", "mpnet": "MPNet", "roformer": "RoFormer", "rembert": "RemBERT",
        "mobilebert": "MobileBERT", "convbert": "ConvBERT", "fnet": "FNet", "xlnet": "XLNet", "xlm": "XLM",
        "nomic_bert": "Nomic", "gpt2": "GPT-2", "llama": "Llama",
    }  # fmt: skip

    assert {name for name in FAMILIES if written[name] not in rows[FAMILIES[name].rows]} == set()
