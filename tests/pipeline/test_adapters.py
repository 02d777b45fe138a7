"""Low-rank adapters learn while the encoder under them stands still, and are saved beside it without pickle."""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import frostline
from frostline.config import Config
from frostline.embedding.adapters import adapter_settings
from frostline.errors import ConfigError, ModelFileError
from frostline.layers.randomness import Clock
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.wiring import assemble
from frostline.tokens import Doc
from frostline.training.optimizer import build_adam
from tests.pipeline.tiny import examples_of, make_config, make_docs, make_encoder, make_pipeline

ADAPTER = {"rank": 2, "targets": ["query", "value"]}
needs_peft = pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not installed")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


def adapted(encoder: Path, kind: str = "listener", **adapter: Any) -> dict[str, Any]:
    config = make_config(encoder, [kind, kind])
    for component in config["components"].values():
        for block in (component["model"], component["model"].get("embedding", {}).get("transformer", {})):
            if "source" in block:
                block["adapter"] = {**ADAPTER, **adapter}
    return config


def embedded(pipeline: Pipeline, docs: list[Doc]) -> torch.Tensor:
    """What the tagger's head sees, (n_tokens, width)."""
    with ExitStack() as stack:
        for publisher in pipeline.publishers.values():
            stack.enter_context(publisher.publishing(docs, is_train=False, annotating=True))
        seen: torch.Tensor = pipeline.components["tagger"].model.layers[0].predict(docs)
        return seen


@needs_peft
@pytest.mark.parametrize("kind", ["listener", "annotating", "independent"])
def test_adapters_learn_and_the_encoder_stands_still(encoder: Path, kind: str, tmp_path: Path) -> None:
    pipeline = make_pipeline(adapted(encoder, kind), make_docs())
    plain = make_pipeline(make_config(encoder, [kind] * 2), make_docs())
    docs = [doc.without_annotations() for doc in make_docs()]
    assert torch.equal(embedded(pipeline, docs), embedded(plain, docs))
    before = {name: values.clone() for name, values in pipeline.parameters.named_values.items()}
    optimizer = build_adam(learn_rate=0.05)
    for step in range(3):
        pipeline.parameters.zero_gradients()
        pipeline.update([examples_of(make_docs())], dropout=0.0, clock=Clock(seed=0, step=step))
        optimizer.step(pipeline.parameters, step=step)

    moved = [n for n, values in pipeline.parameters.named_values.items() if not torch.equal(values, before[n])]
    of_encoder = [name for name in moved if "transformer/" in name]
    assert len(of_encoder) == 8 * (1 + (kind == "independent"))
    assert all(".lora_" in name for name in of_encoder)
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")
    loaded = frostline.load(tmp_path / "model")
    assert torch.equal(embedded(loaded, docs), embedded(pipeline, docs))
    files = {file.suffix for file in (tmp_path / "model").rglob("*") if file.is_file()}
    assert files <= {".json", ".safetensors", ".cfg", ".txt"}
    owner = "tagger" if kind == "independent" else "transformer"
    (weights,) = (tmp_path / "model" / owner).rglob("adapter_model*")
    base, source = load_file(weights.parents[1] / "model.safetensors"), load_file(encoder / "model.safetensors")
    assert base.keys() == source.keys()
    assert all(torch.equal(base[name], source[name]) for name in base)
    pipeline.to_disk(tmp_path / "model")  # over itself


@needs_peft
@pytest.mark.parametrize(("modes", "freezing", "moving"), [
    ({}, {"lowest_layers": {"transformer": 1}}, 4), ({}, {"unfreezing": {"transformer": 1}}, 4),
    ({"transformer.*": "frozen"}, {}, 0), ({"transformer.model.*lora_A*": "frozen"}, {}, 4),
])  # fmt: skip
def test_what_freezes_layers_freezes_their_adapters(
    encoder: Path, modes: dict[str, str], freezing: dict[str, Any], moving: int
) -> None:
    config = adapted(encoder)
    config["pipeline"]["modes"], config["training"]["freezing"] = modes, freezing

    pipeline = make_pipeline(config, make_docs())

    named = [name for name in pipeline.parameters.named_gradients if name.startswith("transformer/")]
    assert len(named) == moving
    assert all(".lora_" in name for name in named)


@needs_peft
def test_peft_itself_reads_the_saved_adapters(encoder: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModel

    pipeline = make_pipeline(adapted(encoder), make_docs())
    module = pipeline.publishers["transformer"].embedder.module
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if ".lora_" in name:
                parameter.normal_(std=0.5)
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")
    folder = tmp_path / "model" / "transformer" / "encoder"

    theirs = PeftModel.from_pretrained(AutoModel.from_pretrained(folder), folder / "adapter").eval()

    inputs = {"input_ids": torch.tensor([[2, 5, 6, 7, 3]])}
    with torch.no_grad():
        expected = module.model.eval()(**inputs).last_hidden_state
        torch.testing.assert_close(theirs(**inputs).last_hidden_state, expected, rtol=1e-4, atol=1e-5)


@needs_peft
def test_a_target_that_the_encoder_lacks_and_a_changed_file_are_named(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'quary'") as error:
        make_pipeline(adapted(encoder, targets=["quary"]), make_docs())
    assert "query" in str(error.value.fix)
    pipeline = make_pipeline(adapted(encoder), make_docs())
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")
    (weights,) = (tmp_path / "model").rglob("adapter_model.safetensors")
    weights.write_bytes(weights.read_bytes()[:50])

    with pytest.raises(ModelFileError, match="adapters can't be read"):
        frostline.load(tmp_path / "model")


@needs_peft
@pytest.mark.parametrize("change", [{"alpha": 4000}, {"rank": 3, "alpha": 4}])
def test_saved_adapters_under_another_scale_are_refused_with_what_to_write(
    encoder: Path, change: dict[str, Any], tmp_path: Path
) -> None:
    pipeline = make_pipeline(adapted(encoder), make_docs())
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")
    source = tmp_path / "model" / "transformer" / "encoder"
    make_pipeline(adapted(source), make_docs())

    with pytest.raises(ModelFileError, match=r"with rank 2 and alpha 4\.0, but the config says") as error:
        make_pipeline(adapted(source, **change), make_docs())

    assert error.value.where == str(source / "adapter" / "adapter_config.json")
    assert '"rank": 2, "alpha": 4' in str(error.value.fix)


@needs_peft
def test_saved_adapters_that_peft_scales_in_another_way_are_refused(encoder: Path, tmp_path: Path) -> None:
    pipeline = make_pipeline(adapted(encoder), make_docs())
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")
    file = tmp_path / "model" / "transformer" / "encoder" / "adapter" / "adapter_config.json"
    file.write_text(file.read_text().replace('"r": 2', '"r": 2, "use_rslora": true'))

    with pytest.raises(ModelFileError, match="use_rslora"):
        frostline.load(tmp_path / "model")


@needs_peft
def test_the_digest_of_an_encoder_knows_the_scale_of_its_adapters(encoder: Path, tmp_path: Path) -> None:
    def digest(**adapter: Any) -> str:
        return str(make_pipeline(adapted(encoder, **adapter), make_docs()).publishers["transformer"].embedder.digest())

    assert len({digest(), digest(alpha=8), digest(rank=3, alpha=4)}) == 3
    assert digest() == digest(alpha=4) == digest(dropout=0.5)


@pytest.mark.parametrize(
    ("adapter", "where"),
    [({"rank": 0}, "rank"), ({"targets": []}, "targets"), ({"dropout": 1.0}, "dropout"), ({"rnk": 4}, "rnk")],
)
def test_settings_of_an_adapter_that_make_no_sense_are_refused(
    encoder: Path, adapter: dict[str, Any], where: str
) -> None:
    with pytest.raises(ConfigError) as error:
        assemble(adapted(encoder, **adapter))

    assert error.value.where == f"components.transformer.model.adapter.{where}"
    assert error.value.fix


def test_an_adapter_without_targets_is_told_that_it_needs_some() -> None:
    with pytest.raises(ConfigError) as error:
        adapter_settings({"rank": 2})

    assert error.value.message == "An adapter needs targets."


def test_without_peft_the_message_says_how_to_get_it(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None)

    with pytest.raises(ConfigError, match="peft, which is not installed") as error:
        assemble(adapted(encoder))

    assert error.value.where == "components.transformer.model.adapter"
    assert 'pip install "frostline[peft]"' in str(error.value.fix)
