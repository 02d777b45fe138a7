"""`frostline debug encoders`: what a pipeline's encoders are, and why their windows are laid out as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frostline.cli.main import run
from frostline.config import Config
from frostline.embedding.hub import save_encoder
from frostline.training.describing import describe_transformers
from tests.embedding.families import encoder_of
from tests.pipeline.tiny import make_config, make_docs, make_encoder, make_pipeline


def test_a_config_tells_of_its_shared_transformer(tmp_path: Path) -> None:
    config = make_config(make_encoder(tmp_path / "e"), ["listener"], settings={"window": 40, "stride": 40})

    facts = describe_transformers(config)

    assert list(facts) == ["transformer"]
    shared = facts["transformer"]
    assert (shared["family"], shared["width"], shared["hidden_states"]) == ("bert", 24, 3)
    assert (shared["rows"], shared["rows_reason"]) == ("packed", None)
    assert (shared["keeps_still_layers"], shared["keeps_still_layers_reason"]) == (True, None)
    assert (shared["window"], shared["stride"], shared["longest_window"]) == (40, 40, 62)


@pytest.mark.parametrize(("window", "stride", "cut"), [(254, 190, 46), (254, 254, 62), (62, 40, 40), (1000, 1, 1)])
def test_a_window_cut_by_the_encoders_positions_overlaps_by_the_same_share(
    tmp_path: Path, window: int, stride: int, cut: int
) -> None:
    settings = {"window": window, "stride": stride}
    config = make_config(make_encoder(tmp_path / "e"), ["listener"], settings=settings)

    shared = describe_transformers(config)["transformer"]

    assert (shared["window"], shared["stride"]) == (62, cut)


def test_private_transformers_are_named_after_their_components(tmp_path: Path) -> None:
    facts = describe_transformers(make_config(make_encoder(tmp_path / "e"), ["independent", "independent"]))

    assert list(facts) == ["tagger.transformer", "morphologizer.transformer"]


@pytest.mark.parametrize(
    ("family", "rows", "reason"),
    [("modernbert", "padded", "local"), ("deberta-v2", "padded", "attention"), ("fnet", "equal", "padding")],
)
def test_a_model_says_why_its_windows_are_not_packed(
    tmp_path: Path, family: str, rows: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save_encoder(encoder_of(family), tmp_path / "e")
    config = make_config(tmp_path / "e", ["listener"], settings={"transformer_settings": {}})
    pipeline = make_pipeline(config, make_docs())
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")

    run(["debug", "encoders", str(tmp_path / "model"), "--json"])
    facts = json.loads(capsys.readouterr().out)
    run(["debug", "encoders", str(tmp_path / "model")])

    assert (facts["transformer"], facts["rows"]) == ("transformer", rows)
    assert reason in facts["rows_reason"]
    assert facts["rows_reason"] in capsys.readouterr().out


def test_a_transformer_says_why_none_of_its_still_layers_is_kept(tmp_path: Path) -> None:
    save_encoder(encoder_of("albert"), tmp_path / "e")
    config = make_config(tmp_path / "e", ["listener"], settings={"transformer_settings": {}})

    facts = describe_transformers(config)["transformer"]

    assert not facts["keeps_still_layers"]
    assert "can't be told apart" in facts["keeps_still_layers_reason"]
