"""Overlays, overrides and references."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from confection import Config as ThincConfig
from hypothesis import given
from hypothesis import strategies as st

from frostline.config import Config, load_config, parse_overrides
from frostline.config.loading import OverrideText, overlay
from frostline.errors import ConfigError, UsageError


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_a_config_reads_as_thinc_reads_it(config_file: Path) -> None:
    text = config_file.read_text().replace("[components.one]", "[components]\n\n[components.one]", 1)
    text = text.replace("[corpora.train]", "[corpora]\n\n[corpora.train]", 1)  # Thinc wants every parent's header

    assert load_config(config_file) == ThincConfig().from_str(text)


def test_an_overlay_changes_single_keys_of_its_base(tmp_path: Path, config_file: Path) -> None:
    above = write(tmp_path, "above.cfg", '[extends]\nbase = "small.cfg"\n\n[training]\nmax_epochs = 5\n')

    config = load_config(above)

    assert config["training"]["max_epochs"] == 5
    assert config["training"]["batcher"] == {"@batchers": "test.Batches.v1", "n_words": 100}
    assert "extends" not in config


def test_an_overlay_may_extend_an_overlay_in_another_folder(tmp_path: Path, config_file: Path) -> None:
    (tmp_path / "inner").mkdir()
    write(tmp_path, "middle.cfg", '[extends]\nbase = "small.cfg"\n\n[system]\nseed = 7\n')
    top = write(tmp_path / "inner", "top.cfg", '[extends]\nbase = "../middle.cfg"\n\n[paths]\ntrain = "elsewhere"\n')

    config = load_config(top)

    assert config["training"]["seed"] == 7
    assert config["corpora"]["train"]["path"] == "elsewhere"


def test_a_block_that_calls_another_function_replaces_the_base_block() -> None:
    base = {"learn_rate": {"@schedules": "a", "warmup": 3}, "beta": 1}

    assert overlay(base, {"learn_rate": {"@schedules": "b"}}) == {"learn_rate": {"@schedules": "b"}, "beta": 1}
    assert overlay(base, {"learn_rate": {"@schedules": "a"}}) == base
    assert overlay(base, {"learn_rate": {"warmup": 4}})["learn_rate"] == {"@schedules": "a", "warmup": 4}
    assert overlay(base, {"learn_rate": 0.1})["learn_rate"] == 0.1


def test_configs_that_extend_each_other_are_refused_with_the_whole_circle(tmp_path: Path) -> None:
    write(tmp_path, "b.cfg", '[extends]\nbase = "a.cfg"\n')
    first = write(tmp_path, "a.cfg", '[extends]\nbase = "b.cfg"\n')

    with pytest.raises(ConfigError, match=r"circle: .*a\.cfg -> .*b\.cfg -> .*a\.cfg") as caught:
        load_config(first)

    assert caught.value.where == f"{tmp_path / 'b.cfg'}:2"


def test_a_missing_base_is_named_with_the_line_that_asks_for_it(tmp_path: Path, config_file: Path) -> None:
    file = write(tmp_path, "a.cfg", '\n[extends]\nbase = "smal.cfg"\n')

    with pytest.raises(ConfigError, match=r"There is no config '.*smal\.cfg'") as caught:
        load_config(file)

    assert caught.value.where == f"{file}:3"
    assert caught.value.fix == "Did you mean 'small.cfg'?"


BAD_TEXTS = [
    ("[a]\nb = 1\nb = 2\n", 3, "key 'b' stands in the file twice"),
    ("[a]\nb = 1\n[a]\nc = 1\n", 3, "section stands in the file twice"),
    ("b = 1\n[a]\n", 1, "before the first [section]"),
    ("[a]\nb = 1\njust words\n", 3, "neither a [section] nor a line 'key = value'"),
    ("[a]\nb = [1, 2\n", 2, "not valid JSON"),
    ('[a]\nb = "c\n', 2, "not valid JSON"),
    ("[a]\nb = 'c'\n", 2, 'double quotes: write "c"'),
    ("[a]\nb = 1  # one\n", 2, "A comment can't follow a value"),
    ('[a]\n"b" = 1\n', 2, "A key is written without quotes"),
    ("[a]\nb = 1\n[a.b]\nc = 1\n", 3, "is a section here, but its parent gives it a value too"),
    ("[a..b]\nc = 1\n", 1, "no name of a section"),
]


@pytest.mark.parametrize(("text", "line", "message"), BAD_TEXTS)
def test_a_faulty_line_is_named_with_its_number(tmp_path: Path, text: str, line: int, message: str) -> None:
    file = write(tmp_path, "bad.cfg", text)

    with pytest.raises(ConfigError) as caught:
        load_config(file)

    assert message in caught.value.message
    assert f"{file}:{line}" in (caught.value.where or "")


def test_all_faulty_lines_are_named_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, "bad.cfg", "[a]\nb = [1\nc = 'd'\n")

    with pytest.raises(ConfigError, match="2 faults") as caught:
        load_config(file)

    assert f"{file}:2" in caught.value.message
    assert f"{file}:3" in caught.value.message


REFERENCES: list[tuple[str, Any]] = [
    ("${a.n}", 5),
    ("${a:n}", 5),
    ('"${a.n}"', "5"),
    ('"no. ${a.n}"', "no. 5"),
    ("dir/${a.s}", "dir/0345"),
    ("${a.s}", "0345"),
    ("[${a.n}, 6]", [5, 6]),
    ('["${a.s}", "x${a.n}"]', ["0345", "x5"]),
    ('{"k": ${a.n}, "s": "${a.s}"}', {"k": 5, "s": "0345"}),
    ("${a.none}", None),
    ("${a.inner}", {"deep": True}),
    ("${a.inner.deep}", True),
    ("${beside}", 1),
    ("${a.chain}", 5),
    ("${a.quote}", 'say "hi"'),
    ('"${a.quote}!"', 'say "hi"!'),
    ("${system.seed}", 0),  # left out, but it has a default
    ("cost $5", "cost $5"),
    ('"^a$$"', "^a$"),
]


@pytest.mark.parametrize(("written", "value"), REFERENCES)
def test_a_reference_stands_for_what_it_refers_to(tmp_path: Path, written: str, value: Any) -> None:
    text = (
        '[a]\nn = 5\ns = "0345"\nnone = null\nchain = ${a.n}\nquote = "say \\"hi\\""\n\n[a.inner]\ndeep = true\n\n'
        f"[b]\nbeside = 1\nx = {written}\n"
    )

    found = load_config(write(tmp_path, "a.cfg", text))["b"]["x"]

    assert found == value
    assert type(found) is type(value)


def test_a_section_that_is_referred_to_is_copied(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "a.cfg", "[a]\nb = 1\n\n[c]\nd = ${a}\ne = ${a}\n"))

    config["c"]["d"]["b"] = 2

    assert config["a"] == config["c"]["e"] == {"b": 1}


BAD_REFERENCES = [
    ("${a.nn}", "${a.nn} refers to nothing", "Did you mean 'a.n'?"),
    ("${env.HOME}", "${env.HOME} refers to nothing", "Environment variables are not read; give the value with --b.x."),
    ("${b.x}", "circle: b.x -> b.x", None),
    ("${b.y}", "circle: b.y -> b.x -> b.y", None),
    ("${b}", "circle: b -> b.y -> b.x -> b", None),
    ('"in ${a.inner} text"', "is a section and can't stand within a text", None),
    ("[${a.n}", "not valid JSON once its references are replaced: [5", None),
]


@pytest.mark.parametrize(("written", "message", "fix"), BAD_REFERENCES)
def test_a_reference_that_leads_nowhere_is_named_with_its_line(
    tmp_path: Path, written: str, message: str, fix: str | None
) -> None:
    file = write(tmp_path, "a.cfg", f"[a]\nn = 5\n\n[a.inner]\nm = 1\n\n[b]\ny = ${{b.x}}\nx = {written}\n")

    with pytest.raises(ConfigError) as caught:
        load_config(file)

    assert message in str(caught.value)
    assert fix is None or fix in str(caught.value)
    assert f"{file}:" in str(caught.value)


def test_an_override_is_seen_by_the_references_to_it(config_file: Path) -> None:
    config = load_config(config_file, {"paths.train": "elsewhere", "system.seed": 9})

    assert config["corpora"]["train"]["path"] == "elsewhere"
    assert config["training"]["seed"] == 9


TYPED = [
    ("--paths.train", "0345", "paths.train", "0345"),
    ("--paths.train", "2024", "paths.train", "2024"),  # text stays text, whatever it looks like
    ("--paths.train", "true", "paths.train", "true"),
    ("--paths.train", '"quoted"', "paths.train", "quoted"),
    ("--paths.train", "null", "paths.train", None),
    ("--paths.train", "a=b", "paths.train", "a=b"),
    ("--training.max_epochs", "12", "training.max_epochs", 12),
    ("--training.dropout", "0.25", "training.dropout", 0.25),
    ("--training.patience", "-1", "training.patience", -1),
    ("--training.seed", "4", "training.seed", 4),  # the config has a reference there
    ("--pipeline.components", '["one", "two"]', "pipeline.components", ["one", "two"]),
    ("--pipeline.modes.one.layers.0-3", "frozen", "pipeline.modes", {"one.layers.0-3": "frozen"}),
    ("--training.score_weights.las/nsubj", "0.5", "training.score_weights", {"las/nsubj": 0.5}),
    ("--training.optimizer.learn_rate.n_steps", "5", "training.optimizer.learn_rate.n_steps", 5),
    ("--components.one.model.settings.p", "0.1", "components.one.model.settings", {"p": 0.1}),
    ("--system.device", "auto", "system.device", "auto"),
    ("--training.batcher.n_words", "${system.seed}", "training.batcher.n_words", 3),
]


@pytest.mark.parametrize(("option", "text", "path", "value"), TYPED)
@pytest.mark.parametrize("joined", [True, False])
def test_an_override_has_the_type_of_what_it_overrides(
    config_file: Path, option: str, text: str, path: str, value: Any, joined: bool
) -> None:
    arguments = [f"{option}={text}"] if joined else [option, text]

    found: Any = load_config(config_file, parse_overrides(arguments))
    for part in path.split("."):
        found = found[part]

    assert found == value
    assert type(found) is type(value)


NEW_COMPONENT = (
    "A new component belongs into a file: write [components.second] there, and [extends] with base = \"…\" to lay it "
    "over this config."
)
UNKNOWN = [
    ("training.max_epoch", "Did you mean 'training.max_epochs'?"),
    ("trainig.max_epochs", "Did you mean 'training.max_epochs'?"),
    ("paths.trian", "Did you mean 'paths.train'?"),
    ("components.on.model.width", "Did you mean 'components.one.model.width'?"),
    ("training.max_epochs.x", "Set --training.max_epochs itself."),
    ("corpora.tran.path", "Did you mean 'corpora.train.path'?"),
    ("system.sed", "Did you mean 'system.seed'?"),
    ("components.second", NEW_COMPONENT),
    ("components.second.model.width", NEW_COMPONENT),
]


@pytest.mark.parametrize(("path", "fix"), UNKNOWN)
def test_an_override_of_nothing_names_the_nearest_key(config_file: Path, path: str, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(config_file, {path: 1})

    assert caught.value.where == f"--{path}"
    assert caught.value.fix == fix


SECTIONS_AS_VALUES = [
    ("training.batcher", "Set one of its keys, such as --training.batcher.n_words."),
    ("corpora.train", "Set one of its keys, such as --corpora.train.path."),
    ("components.one", "Set one of its keys, such as --components.one.model.width."),
    ("training", "Set one of its keys, such as --training.max_epochs."),
]


@pytest.mark.parametrize(("path", "fix"), SECTIONS_AS_VALUES)
def test_a_value_for_a_section_is_answered_with_one_of_its_keys(config_file: Path, path: str, fix: str) -> None:
    with pytest.raises(ConfigError, match=f"'{path}' is a section, which 3 can't replace") as caught:
        load_config(config_file, {path: 3})

    assert caught.value.where == f"--{path}"
    assert caught.value.fix == fix


def test_a_number_may_replace_a_section_where_both_make_sense(config_file: Path) -> None:
    for path in ("training.optimizer.learn_rate", "training.dropout"):
        assert load_config(config_file, {path: 0.5})["training"]


BAD_OVERRIDES = [
    (["word"], "Unexpected argument 'word'"),
    (["--output", "x"], "no option '--output'"),
    (["--training."], "no option '--training.'"),
    (["--training.seed"], "has no value"),
    (["--training.seed", "--system.seed", "1"], "has no value"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_OVERRIDES)
def test_what_is_no_override_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_overrides(arguments)


def test_a_misspelt_option_names_the_nearest_one() -> None:
    with pytest.raises(UsageError) as caught:
        parse_overrides(["--otput", "x"], options=["--output", "--quiet"])

    assert "Did you mean '--output'?" in (caught.value.fix or "")


names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(st.tuples(names, names), values, max_size=4), st.data())
def test_overrides_are_read_back_as_they_were_typed(typed: dict[tuple[str, str], str], data: st.DataObject) -> None:
    arguments: list[str] = []
    for (section, key), text in typed.items():
        joined = text.startswith("--") or data.draw(st.booleans())
        arguments += [f"--{section}.{key}={text}"] if joined else [f"--{section}.{key}", text]

    assert parse_overrides(arguments) == {f"{section}.{key}": text for (section, key), text in typed.items()}


@given(values)
def test_text_given_for_text_stays_as_it_was_typed(typed: str) -> None:
    from frostline.config.loading import with_overrides

    config = Config({"paths": {"train": "corpus"}}, is_interpolated=False)

    found = with_overrides(config, {"paths.train": OverrideText(typed)})["paths"]["train"]

    try:
        meant = json.loads(typed)
    except ValueError:
        meant = typed
    assert found == (meant if isinstance(meant, str | dict) or meant is None else typed)


plain_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | plain_text.filter(lambda text: "${" not in text and "$$" not in text),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(st.dictionaries(names, json_values, min_size=1, max_size=4))
def test_what_a_config_is_written_as_is_read_back_as_the_same(section: dict[str, Any]) -> None:
    from frostline.config.text import parse_text

    written = Config({"a": section}).to_str()

    assert parse_text(written, name="a.cfg").data == {"a": section}
