"""What is wrong with a config is found before any work, all of it at once, each fault with its config path."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from frostline.cli.main import run
from frostline.config import Config, registry
from frostline.corpora.store import write_corpus
from frostline.errors import ConfigError, CorpusError, ModelFileError
from frostline.training.checking import check_training, find_faults
from tests.pipeline.tiny import make_config, make_docs, make_encoder

LISTENER = "components.tagger.model.embedding"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder and two corpora."""
    folder = tmp_path_factory.mktemp("checking")
    make_encoder(folder / "encoder")
    for name in ("train", "dev"):
        write_corpus(make_docs(), folder / name)
    return folder


def filled(folder: Path, kind: str = "listener", changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A whole config; `changes` sets values by config path, and None takes them away."""
    config = make_config(folder / "encoder", [kind, kind])
    config["system"] = {"seed": 0, "threads": 1, "deterministic": "yes", "device": "cpu"}
    config["corpora"] = {name: {"@readers": "frostline.Corpus.v1", "path": str(folder / name)}
                         for name in ("train", "dev")}  # fmt: skip
    config["training"] |= {
        "max_epochs": 1, "max_steps": 0, "patience": 0, "dropout": 0.1, "score_weights": {},
        "batcher": {"@batchers": "frostline.batch_by_words.v1", "n_words": 50},
        "optimizer": {"@optimizers": "frostline.Adam.v1", "learn_rate": 0.01},
    }  # fmt: skip
    for path, value in (changes or {}).items():
        *parents, key = path.split(".")
        section = config
        for parent in parents:
            section = section[parent]
        section[key] = value
    return config


def told(config: dict[str, Any]) -> dict[str, str]:
    """Config path → message of everything that was found."""
    return {finding.fault.path: finding.fault.message for finding in find_faults(config)}


@pytest.mark.parametrize("kind", ["listener", "annotating", "independent"])
def test_a_config_that_can_be_trained_has_no_fault(folder: Path, kind: str) -> None:
    assert find_faults(filled(folder, kind)) == []


def rising(value: float) -> dict[str, Any]:
    return {"@schedules": "frostline.piecewise.v1", "boundaries": [5], "values": [0.0, value]}


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"components.transformer.model.window": 0}, "components.transformer.model.window", "window is 0"),
    ({"components.transformer.model.precision": "fp8"}, "components.transformer.model.precision", "'fp8' is no"),
    (
        {"components.transformer.model.transformer_settings": {"hidden_droput_prob": 0.1}},
        "components.transformer.model.transformer_settings",
        "hidden_droput_prob",
    ),
    ({f"{LISTENER}.layer": 9}, f"{LISTENER}.layer", "Layer 9 is asked for"),
    ({f"{LISTENER}.publisher": "transfomer"}, f"{LISTENER}.publisher", "no such publisher"),
    ({f"{LISTENER}.pooling": "maen"}, f"{LISTENER}.pooling", "no pooling"),
    ({f"{LISTENER}.@architectures": "frostline.Lisener.v1"}, f"{LISTENER}.@architectures", "frostline.Lisener.v1"),
    ({"components.tagger.factory": "taggre"}, "components.tagger.factory", "'taggre'"),
    ({"pipeline.tokenizer.lang": "de"}, "pipeline.tokenizer.lang", "English only"),
    ({"pipeline.modes": {"transfomer.*": "frozen"}}, "pipeline.modes.transfomer.*", "matches no module"),
    ({"pipeline.modes": {"transformer.model.encoder.layer.9.*": "frozen"}},
     "pipeline.modes.transformer.model.encoder.layer.9.*", "matches no module"),
    ({"corpora.dev.n_sentences": 0}, "corpora.dev.n_sentences", "less than one sentence"),
    ({"training.batcher.n_words": 0}, "training.batcher.n_words", "at least one word"),
    ({"training.optimizer.learn_rate": -1.0}, "training.optimizer.learn_rate", "must be 0 or more"),
    ({"training.optimizer.eps": -1.0}, "training.optimizer.eps", "eps is -1.0"),
    ({"training.dropout": rising(1.0)}, "training.dropout", "at step 5"),
    ({"training.score_weights": {"upos": 1.0}}, "training.score_weights", "'upos'"),
    ({"training.max_epochs": 0}, "training", "Nothing ever ends"),
    ({f"{LISTENER}.grad_factor": {"@schedules": "frostline.piecewise.v1", "boundaries": [3], "values": [0.0]}},
     f"{LISTENER}.grad_factor", "1 boundaries need 2 values"),
    ({"training.freezing": {"lowest_layers": {"transformer": 3}}}, "training.freezing.lowest_layers.transformer",
     "it has 2"),
    ({"training.freezing": {"lowest_layers": {"tagger": 1}}}, "training.freezing.lowest_layers.tagger",
     "no transformer"),
    ({"training.freezing": {"unfreezing": {"transformer": {"@schedules": "frostline.one_by_one.v1", "steps_each": 0}}}},
     "training.freezing.unfreezing.transformer.steps_each", "steps_each is 0"),
    ({"training.frozen_components": ["tagger"]}, "training.frozen_components", "drift away"),
    ({"training.replace_listeners": ["transformer"]}, "training.replace_listeners", "reads no publisher"),
    (
        {
            "training.max_epochs": 0,
            "training.patience": 9,
            f"{LISTENER}.grad_factor": {"@schedules": "frostline.warmup_linear.v1", "initial_rate": 1.0},
        },
        "training",
        "has no length",
    ),
    (
        {
            "training.max_epochs": 0,
            "training.patience": 9,
            "training.optimizer.learn_rate": {"@schedules": "frostline.warmup_linear.v1", "initial_rate": 0.1},
        },
        "training",
        "has no length",
    ),
]


@pytest.mark.parametrize(("changes", "path", "message"), FAULTS, ids=[fault[2] for fault in FAULTS])
def test_what_only_constructors_know_is_found_with_its_config_path(
    folder: Path, changes: dict[str, Any], path: str, message: str
) -> None:
    found = find_faults(filled(folder, changes=changes))

    assert [finding.fault.path for finding in found] == [path]
    assert message in found[0].fault.message
    assert found[0].fault.fix
    assert not found[0].is_absence


@pytest.mark.parametrize("kind", ["listener", "independent"])
def test_patterns_for_modules_that_an_encoder_has_are_no_fault(folder: Path, kind: str) -> None:
    owner = "transformer" if kind == "listener" else "tagger.transformer"
    ends = ("*", "model.*", "model.encoder.layer.1.*", "model.*.query", "model.encoder.layer.[01].attention.*")
    config = filled(folder, kind, {"pipeline.modes": {f"{owner}.{end}": "frozen" for end in ends}})

    assert find_faults(config) == []

    config["pipeline"]["modes"][f"{owner}.model.pooler"] = "frozen"
    assert list(told(config)) == [f"pipeline.modes.{owner}.model.pooler"]
    config["pipeline"]["modes"] = {f"{owner}.model.encoder.layer.9.*": "frozen"}
    assert find_faults(config)[0].fault.fix == f"'{owner}.model.encoder.layer' has 0, 1."


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not installed")
def test_targets_of_adapters_are_checked_without_weights(folder: Path) -> None:
    model = "components.transformer.model"
    right = {f"{model}.adapter": {"rank": 2, "targets": ["query"]}}
    lora = {"pipeline.modes": {"transformer.model.*lora_A*": "frozen"}}

    assert find_faults(filled(folder, changes={**right, **lora})) == []
    assert told(filled(folder, changes=lora)) == {
        "pipeline.modes.transformer.model.*lora_A*": "The pattern 'transformer.model.*lora_A*' matches no module of "
        "the pipeline."
    }
    assert list(told(filled(folder, changes={f"{model}.adapter": {"targets": ["quary"]}}))) == [
        f"{model}.adapter.targets"
    ]


def test_every_block_that_fails_is_found_also_one_beside_another(folder: Path) -> None:
    faulty = {"@architectures": "frostline.Listener.v1", "pooling": "maen"}
    config = filled(folder, changes={
        "components.transformer.model.window": 0, f"{LISTENER}.pooling": "maen",
        "components.morphologizer.model": {"first": faulty, "second": faulty},
        "training.batcher.n_words": 0, "training.optimizer.learn_rate": rising(-1.0),
    })  # fmt: skip

    assert list(told(config)) == [
        "components.transformer.model.window", f"{LISTENER}.pooling", "components.morphologizer.model.first.pooling",
        "components.morphologizer.model.second.pooling", "training.batcher.n_words",
        "training.optimizer.learn_rate.values",
    ]  # fmt: skip


def test_an_independent_reader_that_holds_no_transformer_is_named(folder: Path) -> None:
    config = filled(folder, "independent", {f"{LISTENER}.transformer": {"@layers": "Linear.v1", "nO": 2, "nI": 2}})

    assert told(config) == {f"{LISTENER}.transformer": "The layer 'linear' publishes no activations."}


def test_a_corpus_and_an_encoder_that_are_not_here_are_told_apart_from_faults(folder: Path, tmp_path: Path) -> None:
    changes = {"components.transformer.model.source": "none", "corpora.dev.path": str(tmp_path / "none")}

    found = find_faults(filled(folder, changes=changes))

    assert [finding.fault.path for finding in found] == ["components.transformer.model.source", "corpora.dev"]
    assert all(finding.is_absence for finding in found)
    assert str(tmp_path / "none") in found[1].fault.message


def test_the_only_thing_that_is_missing_keeps_the_kind_of_its_error(folder: Path) -> None:
    with pytest.raises(CorpusError):
        check_training(filled(folder, changes={"corpora.dev.path": "none"}))
    with pytest.raises(ModelFileError) as caught:
        check_training(filled(folder, changes={"components.transformer.model.source": "none"}))

    assert caught.value.where == "components.transformer.model.source"


def test_a_corpus_that_a_training_does_not_read_may_be_absent(folder: Path) -> None:
    config = filled(folder, changes={"corpora.test": {"@readers": "frostline.Corpus.v1", "path": "none"}})

    check_training(config)

    assert [finding.fault.path for finding in find_faults(config) if finding.is_absence] == ["corpora.test"]


def put_dev(tmp_path: Path, *columns: str, bare_first: int = 0) -> str:
    """A dev corpus with some annotations only, on all docs but the first ones."""
    docs = [doc.without_annotations() for doc in make_docs()]
    for bare, doc in list(zip(docs, make_docs(), strict=True))[bare_first:]:
        for column in columns:
            bare.set_column(column, doc.column(column))
    write_corpus(docs, tmp_path / "other")
    return str(tmp_path / "other")


def test_a_dev_corpus_that_can_not_be_scored_is_found_before_training(folder: Path, tmp_path: Path) -> None:
    path = put_dev(tmp_path, "upos")
    changes = {"corpora.dev.path": path, "training.score_weights": {"xpos_acc": 1.0, "lemma_acc": 0.5, "upos_acc": 0.0}}

    (found,) = find_faults(filled(folder, changes=changes))

    assert found.fault.path == "corpora.dev" and not found.is_absence
    assert f"The dev corpus '{path}' gives none of the scores that choose the best model" in found.fault.message
    assert "(xpos_acc, lemma_acc): it gives upos_acc only." in found.fault.message
    assert "set training.score_weights to upos_acc" in (found.fault.fix or "")


@pytest.mark.parametrize("weights", [{}, {"xpos_acc": 1.0}])
def test_a_dev_corpus_without_any_annotation_is_found_before_training(
    folder: Path, tmp_path: Path, weights: dict[str, float]
) -> None:
    file = tmp_path / "my.cfg"
    changes = {"corpora.dev.path": put_dev(tmp_path), "training.score_weights": weights}
    file.write_text(Config(filled(folder, changes=changes)).to_str())

    for command in (["train", str(file), "--output", str(tmp_path / "out")], ["debug", "config", str(file)]):
        with pytest.raises(ConfigError, match="it has no annotation that is scored") as caught:
            run(command)
        assert (caught.value.where or "").startswith(f"corpora.dev ({file}:")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("changes", [{}, {"corpora.dev.limit": 0}])
def test_an_empty_dev_corpus_is_found_before_training(folder: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    write_corpus([], tmp_path / "empty")

    (found,) = find_faults(filled(folder, changes={"corpora.dev.path": str(tmp_path / "empty"), **changes}))

    assert "has no words to score a model on" in found.fault.message
    assert found.fault.fix


@pytest.mark.parametrize("weights", [{}, {"xpos_acc": 1.0}, {"xpos_acc/NNS": 1.0}, {"lemma_acc": 1.0, "upos_acc": 0.1}])
def test_one_doc_with_one_of_the_scores_is_enough(folder: Path, tmp_path: Path, weights: dict[str, float]) -> None:
    changes = {"corpora.dev.path": put_dev(tmp_path, "xpos", "upos", bare_first=4), "training.score_weights": weights}

    assert find_faults(filled(folder, changes=changes)) == []


def test_scores_that_no_component_predicts_are_found_before_training(folder: Path, tmp_path: Path) -> None:
    docs = make_docs()
    for doc in docs:
        doc.lemmas = doc.words
    write_corpus(docs, tmp_path / "other")
    file = tmp_path / "my.cfg"
    changes = {"corpora.dev.path": str(tmp_path / "other"), "training.score_weights": {"lemma_acc": 1.0}}
    file.write_text(Config(filled(folder, changes=changes)).to_str())

    with pytest.raises(ConfigError, match="No component predicts what the scores") as caught:
        run(["train", str(file), "--output", str(tmp_path / "out")])

    assert str(caught.value.where).startswith(f"training.score_weights ({file}:")
    assert "lemma_acc" in caught.value.message
    assert "feats_acc" in (caught.value.fix or "")
    assert not (tmp_path / "out" / "log.jsonl").exists()


def test_a_logger_is_not_built(folder: Path) -> None:
    @registry.loggers("test.Unwilling.v1")
    def unwilling() -> None:
        raise AssertionError("a run was started")

    assert find_faults(filled(folder, changes={"training.logger": {"@loggers": "test.Unwilling.v1"}})) == []


def test_training_names_all_faults_before_it_writes_anything(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "my.cfg"
    changes = {"components.transformer.model.stride": 0, "corpora.dev.path": "none"}
    file.write_text(Config(filled(folder, changes=changes)).to_str())

    with pytest.raises(ConfigError, match="3 faults") as caught:
        run(["train", str(file), "--output", str(tmp_path / "out"), "--training.batcher.n_words", "0"])

    lines = file.read_text().splitlines()
    for path, line in (("components.transformer.model.stride", "stride = 0"), ("corpora.dev", "[corpora.dev]")):
        assert f"{path} ({file}:{lines.index(line) + 1}): " in caught.value.message
    assert "training.batcher.n_words (--training.batcher.n_words on the command line): " in caught.value.message
    assert not (tmp_path / "out").exists()


def test_debug_config_names_faults_and_warns_of_what_is_not_here(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my.cfg"
    file.write_text(Config(filled(folder, changes={"corpora.dev.path": "none"})).to_str())

    run(["debug", "config", str(file)])
    assert "warning: corpora.dev" in capsys.readouterr().err

    with pytest.raises(ConfigError, match="window is 0") as caught:
        run(["debug", "config", str(file), "--components.transformer.model.window", "0"])
    assert (caught.value.where or "").startswith("components.transformer.model.window (--components")


def test_debug_config_looks_at_pretraining_too(tmp_path: Path) -> None:
    file = tmp_path / "my.cfg"
    file.write_text("[pretraining]\nwidth = 128\nn_heads = 5\n")

    with pytest.raises(ConfigError, match="can't be divided among 5 heads"):
        run(["debug", "config", str(file)])
