"""The override that a misspelt option was meant to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from frostline.config import load_config
from frostline.config.suggesting import exact_override, near_override

EXACT = [
    ("training", "'training' is a section: set one of its keys, such as --training.max_epochs."),
    ("paths", "'paths' is a section: set one of its keys, such as --paths.train."),
    ("training.", "'training' is a section: set one of its keys, such as --training.max_epochs."),
    ("max_epochs", "Did you mean --training.max_epochs?"),
    ("max-epochs", "Did you mean --training.max_epochs?"),
    ("seed", "Did you mean --system.seed or --training.seed?"),
    ("learn_rate", "Did you mean --training.optimizer.learn_rate?"),
    ("optimizer.learn_rate", "Did you mean --training.optimizer.learn_rate?"),
    ("max_epoch", None),
    ("output", None),
]
NEAR = [
    ("max_epoch", "Did you mean --training.max_epochs?"),
    ("trainig", "'training' is a section: set one of its keys, such as --training.max_epochs."),
    ("lern_rate", "Did you mean --training.optimizer.learn_rate?"),
    ("qqqq", None),
]


@pytest.mark.parametrize(("name", "suggestion"), EXACT)
def test_a_section_or_a_key_without_its_section_is_named_in_full(
    config_file: Path, name: str, suggestion: str | None
) -> None:
    assert exact_override(name, load_config(config_file, interpolated=False)) == suggestion


@pytest.mark.parametrize(("name", "suggestion"), NEAR)
def test_the_nearest_section_or_key_is_named(config_file: Path, name: str, suggestion: str | None) -> None:
    assert near_override(name, load_config(config_file, interpolated=False)) == suggestion


def test_without_a_config_the_keys_of_our_own_sections_are_known() -> None:
    assert exact_override("max_epochs", {}) == "Did you mean --training.max_epochs?"
    assert (
        exact_override("training", {}) == "'training' is a section: set one of its keys, such as --training.max_epochs."
    )
    assert exact_override("learn_rate", {}) is None
