"""`frostline debug model` shows where frozen ground ends, of a config and of a saved model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.tiny import make_config, make_docs, make_pipeline
from tests.training.test_checking import filled, folder
from thinc.api import Linear, chain

from frostline.cli.main import run
from frostline.config import Config, load_config
from frostline.errors import ConfigError
from frostline.layers.module_tree import tree_of
from frostline.pipeline.inventory import as_table, inventory

__all__ = ["folder"]  # a fixture


@pytest.fixture
def config_file(folder: Path, tmp_path: Path) -> Path:
    config = filled(folder, changes={"training.freezing": {"lowest_layers": {"transformer": 1}}})
    Config(config).to_disk(tmp_path / "my.cfg")
    return tmp_path / "my.cfg"


def rows_of(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, Any]]:
    run(["debug", "model", *words, "--json"])
    return {row["module"]: row for row in json.loads(capsys.readouterr().out)}


def test_what_a_run_computes_once_only_is_told(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["debug", "model", str(config_file)])
    told = capsys.readouterr()
    run(["debug", "model", str(config_file), "--training.freezing.lowest_layers", '{"transformer": 0}'])

    assert "transformer: hidden state 1 never moves" in told.out + told.err
    assert "never moves" not in "".join(capsys.readouterr())


def test_of_a_config_modules_of_one_fate_are_one_row(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(capsys, str(config_file))

    embeddings, layer = rows["transformer.model.embeddings"], rows["transformer.model.encoder.layer.1"]
    assert (embeddings["mode"], embeddings["moves"], embeddings["groups"]) == ("frozen", False, [])
    assert (layer["mode"], layer["moves"]) == ("train", True)
    assert layer["groups"] == ["transformer/weights", "transformer/biases"]
    assert layer["bytes"] == 4 * layer["parameters"]
    assert rows["tagger"]["parameters"] == 25 * 10
    assert set(rows) == {"transformer.model.embeddings", "transformer.model.encoder.layer.0",
                         "transformer.model.encoder.layer.1", "tagger", "morphologizer"}  # fmt: skip


def test_overrides_and_all_rows(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(capsys, str(config_file), "--all", "--training.freezing.lowest_layers", '{"transformer": 0}')

    assert rows["transformer.model.encoder.layer.0.attention.self.query"]["moves"] is True
    assert rows["transformer.model.embeddings.word_embeddings"]["moves"] is False
    assert sum(row["parameters"] for row in rows.values()) > 10_000


def test_a_pattern_that_matches_nothing_is_an_error(config_file: Path) -> None:
    config = load_config(config_file)
    config["pipeline"]["modes"] = {"transformer.model.encoder.layer.7": "frozen"}
    config.to_disk(config_file)

    with pytest.raises(ConfigError, match="matches no module"):
        run(["debug", "model", str(config_file)])


@pytest.mark.parametrize(
    ("override", "where"),
    [
        (("--training.frozen_components", '["tagger"]'), "training.frozen_components"),
        (("--pipeline.modes.nobody*", "frozen"), "pipeline.modes.nobody*"),
        (("--components.transformer.model.adapter", '{"targets": ["quary"]}'),
         "components.transformer.model.adapter.targets"),
        (("--components.tagger.model.embedding.layer", "9"), "components.tagger.model.embedding.layer"),
    ],
    ids=["drift", "pattern", "adapter", "layer"],
)  # fmt: skip
def test_faults_say_where_the_config_has_them(config_file: Path, override: tuple[str, str], where: str) -> None:
    if "adapter" in where:
        pytest.importorskip("peft")
    with pytest.raises(ConfigError) as error:
        run(["debug", "model", str(config_file), *override])

    assert error.value.where == f"{where} ({override[0]} on the command line)"


def test_several_faults_say_each_where_the_config_has_it(config_file: Path) -> None:
    overrides = [f"--components.{name}.model.embedding.publisher" for name in ("tagger", "morphologizer")]

    with pytest.raises(ConfigError) as error:
        run(["debug", "model", str(config_file), overrides[0], "nobody", overrides[1], "nobody"])
    assert all(f"({override} on the command line)" in error.value.message for override in overrides)


def test_of_a_saved_model_it_is_a_table(config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = load_config(config_file)["components"]["transformer"]["model"]["source"]
    config = make_config(Path(source), ["listener", "independent"], modes={"transformer.*": "frozen"})
    pipeline = make_pipeline(config, make_docs())
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")

    run(["debug", "model", str(tmp_path / "model")])

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["module", "parameters", "mode", "moves", "optimizer", "group", "bytes"]
    assert [line.split()[0] for line in lines[1:]] == ["transformer", "tagger", "morphologizer", "all"]
    assert lines[1].split()[2:5] == ["frozen", "no", "-"]
    assert "morphologizer.transformer/weights" in lines[3]


def test_layers_of_thinc_are_rows_too(folder: Path) -> None:
    pipeline = make_pipeline(make_config(folder / "encoder", ["listener"]), make_docs())
    model = chain(Linear(nI=2, nO=3), Linear(nI=3, nO=2))
    model.layers[0].initialize()
    model.layers[1].initialize()
    pipeline.freezing.trees["thinc"] = tree_of(model)

    rows = {row.module: row for row in inventory(pipeline)}

    assert rows["thinc"].parameters == 9 + 8
    assert as_table(list(rows.values()))[-1].startswith("all")
