"""Names, look-ups, and how a block becomes an object."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from thinc.api import Model

from frostline.config import fill_config, load_config, registry
from frostline.config.user_code import import_file
from frostline.errors import ConfigError


def test_inner_blocks_are_resolved_before_outer_ones() -> None:
    block = {"@optimizers": "test.Descent.v1", "learn_rate": {"@schedules": "test.Line.v1", "start": 4.0, "n_steps": 2}}

    resolved = registry.resolve({"optimizer": block, "note": "0345"})

    assert resolved["optimizer"]["learn_rate"](1) == 2.0
    assert resolved["note"] == "0345"


def test_a_block_by_itself_gives_its_object() -> None:
    assert registry.resolve({"@batchers": "test.Batches.v1", "n_words": 5}) == 5


def test_arguments_take_the_type_their_function_asks_for() -> None:
    path, limit = registry.resolve({"@readers": "test.Reader.v1", "path": "a/b"})
    optimizer = registry.resolve({"@optimizers": "test.Descent.v1", "learn_rate": 1, "betas": [0.5, 0.6]})

    assert path == Path("a/b")
    assert limit is None
    assert optimizer == {"learn_rate": 1.0, "betas": (0.5, 0.6), "kind": "a"}


def test_a_whole_training_section_resolves(config_file: Path) -> None:
    filled, _ = fill_config(load_config(config_file))

    training = registry.resolve(filled["training"], path="training")

    assert training["batcher"] == 100
    assert training["optimizer"]["learn_rate"](5) == 0.25
    assert training["max_epochs"] == 2


def test_a_component_is_made_by_its_factory_with_its_name() -> None:
    section = {"factory": "test_part", "model": {"@architectures": "test.Model.v1", "width": 4}, "scale": 2.0}

    part = registry.resolve_component("first", section, ignored="the factory does not take this")

    assert part == {"name": "first", "model": {"width": 4, "embedding": None, "settings": {}}, "scale": 2.0}


def test_all_faults_of_a_block_come_in_one_error() -> None:
    with pytest.raises(ConfigError) as caught:
        registry.resolve({"@schedules": "test.Line.v1", "n_steps": 2.5, "strat": 1}, path="training.rate")

    assert "3 faults" in caught.value.message
    assert "training.rate.start: A value is missing: line() needs it." in caught.value.message
    assert "training.rate.n_steps: This must be a whole number, not 2.5." in caught.value.message
    assert "training.rate.strat: line() takes no 'strat'. Did you mean 'start'?" in caught.value.message


def test_a_value_that_a_function_refuses_is_placed_in_the_config() -> None:
    with pytest.raises(ConfigError, match="at least one word") as caught:
        registry.resolve({"training": {"batcher": {"@batchers": "test.Batches.v1", "n_words": 0}}})

    assert caught.value.where == "training.batcher"


def test_an_argument_that_a_function_names_is_placed_in_the_config() -> None:
    @registry.batchers("test.Choosy.v1")
    def choosy(*, sizes: dict[str, int]) -> None:
        raise ConfigError("A size is too small.", where="sizes.small")

    with pytest.raises(ConfigError) as caught:
        registry.resolve({"@batchers": "test.Choosy.v1", "sizes": {"small": 0}}, path="training.batcher")

    assert caught.value.where == "training.batcher.sizes.small"


def test_an_unknown_name_names_the_nearest_and_the_place() -> None:
    with pytest.raises(ConfigError) as caught:
        registry.resolve({"@batchers": "test.Batchs.v1"}, path="training.batcher")

    assert caught.value.message == "There is no 'test.Batchs.v1' among the registered batchers."
    assert caught.value.where == "training.batcher.@batchers"
    assert (caught.value.fix or "").startswith("Did you mean 'test.Batches.v1'?")


def test_two_functions_in_one_block_are_refused() -> None:
    with pytest.raises(ConfigError, match="one registered function"):
        registry.resolve({"@batchers": "test.Batches.v1", "@readers": "test.Reader.v1"})


def test_layers_of_thinc_can_be_named() -> None:
    layer = registry.resolve({"@layers": "Linear.v1", "nO": 3, "nI": 2})

    assert isinstance(layer, Model)
    assert layer.get_dim("nO") == 3


def test_a_layer_knows_where_the_config_describes_it() -> None:
    block = {"@layers": "Linear.v1", "nO": 3, "nI": 2}

    layer = registry.resolve({"model": {"inner": block}}, path="components.tagger")["model"]["inner"]

    assert layer.attrs["config_path"] == "components.tagger.model.inner"


def test_a_function_that_takes_any_setting_gets_any() -> None:
    @registry.layers("test.Open.v1")
    def build(*, depth: int, **settings: Any) -> dict[str, Any]:
        return {"depth": depth, **settings}

    assert registry.resolve({"@layers": "test.Open.v1", "depth": 1, "heads": 2}) == {"depth": 1, "heads": 2}


def test_every_function_of_ours_is_versioned_documented_and_typed() -> None:
    for kind, namespace in registry.namespaces().items():
        for name in namespace.names():
            function = namespace.get(name)
            if not function.__module__.startswith("frostline.") or function.__module__.startswith("frostline_code"):
                continue
            if kind != "components":
                assert name.startswith("frostline.") and name.rpartition(".")[2].startswith("v"), f"{kind}: {name}"
            assert inspect.getdoc(function), f"{kind}: {name} has no docstring"
            for parameter in inspect.signature(function).parameters.values():
                assert parameter.annotation is not inspect.Parameter.empty, f"{kind}: {name}({parameter.name})"


def test_code_of_the_user_registers_functions(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from frostline.config import registry\n\n@registry.schedules('mine.v1')\ndef mine(*, start: float):\n"
        "    return start\n"
    )

    import_file(file)

    assert registry.resolve({"@schedules": "mine.v1", "start": 2}) == 2.0


BAD_CODE = [
    ("import frostline\nraise RuntimeError('no')\n", "fails: RuntimeError: no", ":2"),
    ("def broken(:\n", "fails: SyntaxError", ":1"),
    (None, "There is no Python file", None),
]


@pytest.mark.parametrize(("text", "message", "line"), BAD_CODE)
def test_code_of_the_user_that_fails_is_named_with_its_line(
    tmp_path: Path, text: str | None, message: str, line: str | None
) -> None:
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)

    with pytest.raises(ConfigError) as caught:
        import_file(file)

    assert message in caught.value.message
    assert caught.value.where == ("--code" if line is None else f"{file}{line}")
