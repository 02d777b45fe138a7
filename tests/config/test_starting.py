"""The config that `frostline init config` writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from frostline.config import fill_config, load_config
from frostline.config.starting import PUBLISHERS, VARIANTS, starting_config
from frostline.errors import ConfigError, UsageError

pytest.importorskip("torch")


@pytest.mark.parametrize("publisher", PUBLISHERS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_a_complete_config_without_faults(variant: str, publisher: str, tmp_path: Path) -> None:
    file = tmp_path / "start.cfg"
    file.write_text(starting_config([publisher, "tagger", "morphologizer"], variant=variant, lang="en"))

    _, added = fill_config(load_config(file))

    assert added == []


def test_the_transformer_is_frozen_in_frozen_variants_only() -> None:
    frozen = starting_config(["transformer", "tagger"], variant="frozen-listener", lang="en")
    unfrozen = starting_config(["transformer", "tagger"], variant="unfrozen-listener", lang="en")

    assert 'transformer.* = "frozen"' in frozen.splitlines()
    assert 'transformer.* = "frozen"' not in unfrozen.splitlines()


def test_every_key_of_our_own_sections_has_a_comment() -> None:
    lines = starting_config(["transformer", "tagger"], variant="unfrozen-listener", lang="en").splitlines()
    start = lines.index("[training]")
    keys = [
        number for number in range(start, len(lines)) if re.match(r"(max|eval|patience|dropout)\w* = ", lines[number])
    ]

    assert len(keys) >= 4
    assert all(lines[number - 1].startswith("# ") for number in keys)


def test_references_are_kept_and_overrides_are_taken() -> None:
    text = starting_config(
        ["transformer", "tagger"], variant="unfrozen-listener", lang="en", overrides={"paths.train": "corpus/mine"}
    )

    assert 'train = "corpus/mine"' in text
    assert "path = ${paths.train}" in text


def test_an_unknown_variant_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        starting_config(["transformer", "tagger"], variant="frozen-listner", lang="en")

    assert caught.value.fix == "Did you mean 'frozen-listener'?"


def test_an_unknown_component_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no 'taggr' among the registered components") as caught:
        starting_config(["transformer", "taggr"], variant="frozen-listener", lang="en")

    assert (caught.value.fix or "").startswith("Did you mean 'tagger'?")


@pytest.mark.parametrize("components", [["tagger"], ["transformer"], []])
def test_a_pipeline_without_publisher_or_reader_is_refused(components: list[str]) -> None:
    with pytest.raises(UsageError, match="one publisher and at least one component"):
        starting_config(components, variant="frozen-listener", lang="en")
