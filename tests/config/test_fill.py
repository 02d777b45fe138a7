"""Defaults filled in, and every fault found with its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from frostline.config import Config, fill_config, load_config, parse_overrides
from frostline.errors import ConfigError


def test_every_default_is_filled_in_and_reported(config_file: Path) -> None:
    filled, added = fill_config(load_config(config_file))

    assert filled["training"]["optimizer"] == {
        "@optimizers": "test.Descent.v1",
        "learn_rate": {"@schedules": "test.Line.v1", "start": 0.5, "n_steps": 10},
        "betas": [0.9, 0.99],
        "kind": "a",
    }
    assert filled["components"]["one"]["scale"] == 1.0
    assert filled["corpora"]["train"]["limit"] is None
    assert filled["training"]["patience"] == 0
    assert {"training.optimizer.learn_rate.n_steps", "components.one.scale", "training.patience"} <= set(added)
    assert "training.max_epochs" not in added


def test_a_filled_config_has_nothing_left_to_fill(config_file: Path) -> None:
    filled, _ = fill_config(load_config(config_file))

    assert fill_config(filled) == (filled, [])


def test_a_filled_config_is_read_back_as_the_same(config_file: Path, tmp_path: Path) -> None:
    filled, _ = fill_config(load_config(config_file))
    (tmp_path / "filled.cfg").write_text(filled.to_str())

    assert fill_config(load_config(tmp_path / "filled.cfg")) == (filled, [])


def test_filling_leaves_the_given_config_alone(config_file: Path) -> None:
    config = load_config(config_file)
    before = config.copy()

    fill_config(config)

    assert config == before


def test_references_stay_when_the_config_is_not_interpolated(config_file: Path) -> None:
    filled, added = fill_config(load_config(config_file, interpolated=False))

    assert filled["corpora"]["train"]["path"] == "${paths.train}"
    assert filled["training"]["seed"] == "${system.seed}"
    assert "corpora.train.limit" in added


def test_the_seed_of_training_is_that_of_the_system_when_it_is_left_out(config_file: Path) -> None:
    text = config_file.read_text().replace("seed = ${system.seed}\n", "")
    config_file.write_text(text)

    assert fill_config(load_config(config_file))[0]["training"]["seed"] == 3


def test_a_config_without_training_gets_none(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_text('[corpora.train]\n@readers = "test.Reader.v1"\npath = "x"\n')

    assert "training" not in fill_config(load_config(file))[0]


# what is changed in the text, what the message holds, the config path it names, the line (0: any)
FAULTS: list[tuple[str, str, str, str]] = [
    (
        "max_epochs = 2",
        "max_epoch = 2",
        "[training] takes no 'max_epoch'. Did you mean 'max_epochs'?",
        "training.max_epoch",
    ),
    ("max_epochs = 2", 'max_epochs = "2"', 'This must be a whole number, not "2".', "training.max_epochs"),
    ("max_epochs = 2", "max_epochs = 2.5", "This must be a whole number, not 2.5.", "training.max_epochs"),
    ("max_epochs = 2", "max_epochs = true", "This must be a whole number, not true.", "training.max_epochs"),
    ("max_epochs = 2", "max_epochs = -1", "This must be greater than or equal to 0, not -1.", "training.max_epochs"),
    ("max_epochs = 2", "patience = -1", "This must be greater than or equal to 0, not -1.", "training.patience"),
    ("max_epochs = 2", "max_steps = -1", "This must be greater than or equal to 0, not -1.", "training.max_steps"),
    ("max_epochs = 2", "eval_frequency = -1", "This must be greater than or equal to 0, not -1.", "eval_frequency"),
    ("max_epochs = 2", "accumulate_gradient = 0", "This must be greater than or equal to 1, not 0.", "accumulate_grad"),
    ("max_epochs = 2", "dropout = 1.5", "This must be less than 1, not 1.5.", "training.dropout"),
    ("max_epochs = 2", "dropout = 1", "This must be less than 1, not 1.", "training.dropout"),
    ("max_epochs = 2", "dropout = -0.1", "This must be greater than or equal to 0, not -0.1.", "training.dropout"),
    ("max_epochs = 2", "dropout = NaN", "This must be", "training.dropout"),
    ("max_epochs = 2", "averages = 1.0", "not 1.0.", "training.averages"),
    ("max_epochs = 2", 'score_weights = {"las": NaN}', "This must be a finite number", "training.score_weights"),
    ("seed = 3", f"seed = {2**64}", "This must be less than", "system.seed"),
    ("seed = 3", "threads = -1", "This must be greater than or equal to 0, not -1.", "system.threads"),
    (
        "max_epochs = 2",
        'dropout = "much"',
        'This must be a number or a block that calls one of the registered schedules, not "much".',
        "training.dropout",
    ),
    ("seed = 3", 'device = "gpu"', 'This must be "auto", "cpu" or a GPU such as "cuda:0", not "gpu".', "system.device"),
    ("seed = 3", 'deterministic = "no"', 'This must be "yes" or "strict", not "no".', "system.deterministic"),
    ("[system]", "[sistem]", "A config has no section [sistem]. Did you mean 'system'?", "sistem"),
    ("start = 0.5", "", "A value is missing: line() needs it.", "training.optimizer.learn_rate.start"),
    ("start = 0.5", 'start = "x"', 'This must be a number, not "x".', "training.optimizer.learn_rate.start"),
    (
        "start = 0.5",
        "start = 0.5\nn_stps = 4",
        "line() takes no 'n_stps'. Did you mean 'n_steps'?",
        "training.optimizer.learn_rate.n_stps",
    ),
    (
        "test.Line.v1",
        "test.Lines.v1",
        "There is no 'test.Lines.v1' among the registered schedules. Did you mean 'test.Line.v1'?",
        "training.optimizer.learn_rate.@schedules",
    ),
    ("@schedules", "@schedule", "There is no registry 'schedule'. Did you mean 'schedules'?", "learn_rate.@schedule"),
    (
        "@batchers",
        "@readers",
        "Here goes one of the registered batchers, not of the readers.",
        "training.batcher.@readers",
    ),
    (
        '@batchers = "test.Batches.v1"\n',
        "",
        "This must be a block that calls one of the registered batchers",
        "training.batcher",
    ),
    ('factory = "test_part"', 'factory = "test_prat"', "Did you mean 'test_part'?", "components.one.factory"),
    ('factory = "test_part"', "", "A component needs a factory.", "components.one.factory"),
    ('factory = "test_part"', 'factory = "test_part"\nname = "x"', "The pipeline sets this", "components.one.name"),
    ('components = ["one"]', 'components = ["two"]', "There is no section [components.two].", "pipeline.components"),
    ('components = ["one"]', 'components = ["one", "one"]', "'one' is listed twice.", "pipeline.components"),
    ('components = ["one"]', "components = []", "This must not be empty.", "pipeline.components"),
    (
        'components = ["one"]',
        'components = ["one", 2]',
        "Item [1] of this must be a string, not 2.",
        "pipeline.components",
    ),
    (
        "max_epochs = 2",
        'frozen_components = ["on"]',
        "'on' is no component of the pipeline. Did you mean 'one'?",
        "training.frozen_components",
    ),
    (
        "width = 8",
        'width = 8\n\n[pipeline.modes]\none.* = "freeze"',
        'This must be "train", "frozen", "eval" or "sample", not "freeze".',
        "pipeline.modes",
    ),
    ("width = 8", "width = null", "This must be a whole number, not null.", "components.one.model.width"),
    ("path = ${paths.train}", "path = 5", "This must be a string, not 5.", "corpora.train.path"),
]


@pytest.mark.parametrize(("old", "new", "message", "path"), FAULTS)
def test_a_fault_is_named_with_its_path_and_line(
    config_file: Path, old: str, new: str, message: str, path: str
) -> None:
    text = config_file.read_text()
    assert old in text
    config_file.write_text(text.replace(old, new, 1))

    with pytest.raises(ConfigError) as caught:
        fill_config(load_config(config_file))

    told = f"{caught.value.where}: {caught.value.message} {caught.value.fix}"
    assert message in told
    assert path in told
    assert f"{config_file}:" in told


@pytest.mark.parametrize(("path", "where"), [
    ("paths.train", "paths.train (--paths.train on the command line)"),
    ("corpora.train.path", "corpora.train.path (--corpora.train.path on the command line)"),
    ("training.activations.one", "training.activations.one (--training.activations.one on the command line)"),
])  # fmt: skip
def test_an_empty_path_is_refused_rather_than_read_as_the_folder_it_is_started_in(
    config_file: Path, path: str, where: str
) -> None:
    with pytest.raises(ConfigError, match="path is empty") as caught:
        fill_config(load_config(config_file, parse_overrides([f"--{path}="])))

    assert where in str(caught.value)  # beside the corpus that refers to it
    assert "Name a file or folder" in str(caught.value)


def test_all_faults_are_named_at_once_each_with_its_line(config_file: Path) -> None:
    text = config_file.read_text().replace("max_epochs = 2", "max_epoch = 2").replace("width = 8", 'width = "8"')
    config_file.write_text(text)
    lines = text.splitlines()

    with pytest.raises(ConfigError, match="The config has 2 faults") as caught:
        fill_config(load_config(config_file))

    for faulty in ("max_epoch = 2", 'width = "8"'):
        assert f"{config_file}:{lines.index(faulty) + 1}" in caught.value.message


def test_a_missing_value_is_placed_at_its_section(config_file: Path) -> None:
    text = config_file.read_text().replace("width = 8\n", "")
    config_file.write_text(text)

    with pytest.raises(ConfigError) as caught:
        fill_config(load_config(config_file))

    line = text.splitlines().index("[components.one.model]") + 1
    assert caught.value.where == f"components.one.model.width ({config_file}:{line})"


def test_a_wrong_override_is_placed_on_the_command_line(config_file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        fill_config(load_config(config_file, {"training.max_epochs": "many"}))

    assert caught.value.where == "training.max_epochs (--training.max_epochs on the command line)"


@pytest.mark.parametrize("value", [0.2, {"@schedules": "test.Line.v1", "start": 0.2}])
def test_a_number_or_a_schedule_will_do_where_both_make_sense(config_file: Path, value: Any) -> None:
    filled, _ = fill_config(load_config(config_file, {"training.dropout": value}))

    assert filled["training"]["dropout"] == (value if isinstance(value, float) else {**value, "n_steps": 10})


@pytest.mark.parametrize(
    ("path", "value", "meant"),
    [
        ("training.on_out_of_memory", "half", "halve"),
        ("training.averages", "meann", "mean"),
        ("pipeline.modes", {"one.*": "forzen"}, "frozen"),
        ("training.optimizer.kind", "x", None),
    ],
)
def test_a_word_that_is_like_a_right_one_is_told_which(
    config_file: Path, path: str, value: Any, meant: str | None
) -> None:
    with pytest.raises(ConfigError) as error:
        fill_config(load_config(config_file, {path: value}))

    assert error.value.fix == (f"Did you mean '{meant}'?" if meant else 'Leave it out for the default, "a".')


@pytest.mark.parametrize(
    ("old", "new", "fix"),
    [("max_epochs = 2", "max_epochs = -1", "'max_epochs' means: 0: no limit."),
     ("max_epochs = 2", 'on_out_of_memory = "thirds"', "'on_out_of_memory' means: \"halve\" tries the step again "
      "in batches of half the docs, which is a matter of luck.")],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_told_what_it_is_for(config_file: Path, old: str, new: str, fix: str) -> None:
    config_file.write_text(config_file.read_text().replace(old, new))

    with pytest.raises(ConfigError) as caught:
        fill_config(load_config(config_file))

    assert caught.value.fix == fix


def test_the_example_configs_load_and_differ_in_what_they_say() -> None:
    folder = Path(__file__).resolve().parents[2] / "configs"

    def read(name: str) -> Config:
        return load_config(folder / f"{name}.cfg")

    def embedding(name: str) -> dict[str, Any]:
        found: dict[str, Any] = read(name)["components"]["tagger"]["model"]["embedding"]
        return found

    for name in ("frozen-listener", "frozen-annotating"):
        assert read(name)["pipeline"]["modes"] == {"transformer.*": "frozen"}
    for name in ("unfrozen-listener", "unfrozen-annotating", "unfrozen-detached", "unfrozen-independent"):
        assert not read(name)["pipeline"].get("modes")
    for name in ("frozen-annotating", "unfrozen-annotating", "unfrozen-detached"):
        assert read(name)["training"]["annotating_components"] == ["transformer"]
        assert embedding(name)["attached"] is (name != "unfrozen-detached")
    assert embedding("frozen-listener") == embedding("unfrozen-listener")
    private = embedding("unfrozen-independent")["transformer"]
    assert private == read("base")["components"]["transformer"]["model"]


def test_reading_a_config_imports_neither_torch_nor_thinc(config_file: Path) -> None:
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'thinc', 'transformers']))\n"
        "from frostline.config import load_config\n"
        f"load_config({str(config_file)!r})"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert result.returncode == 0, result.stderr
