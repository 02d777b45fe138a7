"""`frostline train` with everything that a reader, a freezing plan and a component may ask for, and what it leaves."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import frostline
from frostline.cli.main import run
from frostline.config import Config
from frostline.training.checking import find_faults
from tests.pipeline.tiny import make_docs
from tests.training.test_checking import filled, folder

__all__ = ["folder"]  # a fixture


def rich_config(folder: Path, kind: str) -> dict[str, Any]:
    config = filled(folder, kind)
    tagger, morphologizer = (config["components"][name]["model"] for name in ("tagger", "morphologizer"))
    tagger["embedding"] |= {
        "layer": "mix", "pooling": {"@poolings": "frostline.max.v1"},
        "grad_factor": {"@schedules": "frostline.warmup_linear.v1", "initial_rate": 1.0, "final_rate": 0.5},
    }  # fmt: skip
    morphologizer["embedding"] = {"@architectures": "frostline.AnnotationFeatures.v1", "columns": ["xpos"],
                                  "embedding": morphologizer["embedding"]}  # fmt: skip
    config["training"]["annotating_components"] += ["tagger"]
    config["training"]["replace_listeners"] = ["morphologizer"]
    config["training"]["freezing"] = {
        "lowest_layers": {"transformer": 0},
        "unfreezing": {"transformer": {"@schedules": "frostline.one_by_one.v1", "steps_each": 2}},
    }
    config["training"]["max_epochs"] = 3
    return config


@pytest.mark.parametrize("kind", ["listener", "annotating"])
def test_a_run_with_all_of_it_trains_saves_and_loads(folder: Path, kind: str, tmp_path: Path) -> None:
    config = rich_config(folder, kind)
    Config(config).to_disk(tmp_path / "my.cfg")
    assert find_faults(config) == []

    run(["train", str(tmp_path / "my.cfg"), "--output", str(tmp_path / "out"), "--quiet"])
    pipeline = frostline.load(tmp_path / "out" / "model-best")

    written = pipeline.config["components"]["morphologizer"]["model"]["embedding"]["embedding"]
    assert written["@architectures"] == "frostline.Independent.v1"
    assert pipeline.config["training"]["replace_listeners"] == []
    assert any(name == "tagger/token_head.output.weight" for name in pipeline.parameters.named_values)
    docs = list(pipeline.pipe([doc.without_annotations() for doc in make_docs()]))
    assert all(doc.xpos is not None and doc.upos is not None for doc in docs)
    source = load_file(folder / "encoder" / "model.safetensors")
    moved, kept = (
        load_file(tmp_path / "out" / "model-best" / part / "encoder" / "model.safetensors")
        for part in ("transformer", "morphologizer")
    )
    assert all(torch.equal(values, kept[name]) for name, values in source.items())
    still = [name for name, values in source.items() if torch.equal(values, moved[name])]
    assert sorted(still) == sorted(name for name in source if name.startswith("embeddings."))


CODE = """
from frostline.config import registry
from frostline.embedding.pooling import mean

SCALE = 1.0


@registry.poolings("test.scaled.v1")
def build_scaled():
    return lambda vectors, lengths: SCALE * mean(vectors, lengths)


class Stop:
    def started(self, plan): ...
    def stepped(self, result): ...
    def finished(self, message): ...
    def evaluated(self, record):
        if record.epoch == 1:
            raise KeyboardInterrupt


@registry.loggers("test.stop.v1")
def build_stop():
    return Stop()
"""


@pytest.mark.parametrize("is_changed", [False, True])
def test_an_interrupted_run_goes_on_unless_its_code_has_changed(
    folder: Path, is_changed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = filled(folder)
    config["components"]["tagger"]["model"]["embedding"]["pooling"] = {"@poolings": "test.scaled.v1"}
    config["training"] |= {"max_epochs": 2, "logger": {"@loggers": "test.stop.v1"}}
    Config(config).to_disk(tmp_path / "my.cfg")
    code = tmp_path / "mycode.py"
    code.write_text(CODE)
    command = ["train", str(tmp_path / "my.cfg"), "--output", str(tmp_path / "out"), "--code", str(code)]
    with pytest.raises(KeyboardInterrupt):
        run(command)
    capsys.readouterr()
    if is_changed:
        code.write_text(CODE.replace("SCALE = 1.0", "SCALE = 3.0"))

    with pytest.raises(KeyboardInterrupt) if is_changed else nullcontext():
        run(command)

    told = capsys.readouterr().err
    assert ("resuming from the checkpoint" in told) is not is_changed
    assert ("training starts anew: the code of mycode.py is not that of the checkpoint" in told) is is_changed
