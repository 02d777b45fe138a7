"""A GPU computes what the CPU does, and shares its memory between torch and CuPy. Skipped where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from thinc.api import Linear, Model

import frostline
from frostline.layers.cuda import has_cupy
from frostline.layers.randomness import Clock
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.wiring import assemble
from frostline.training.initialize import initialize
from tests.pipeline.tiny import examples_of, make_config, make_docs, make_encoder

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
needs_cupy = pytest.mark.skipif(not has_cupy(), reason="no CuPy")
FROZEN = {"modes": {"transformer.*": "frozen"}}


def built(config: dict[str, Any], device: str) -> Pipeline:
    pipeline = assemble(config, device=device)
    initialize(pipeline, make_docs, seed=0)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        for name, values in sorted(pipeline.parameters.named_values.items()):
            if name.endswith(("output.weight", "output.bias")):
                values.copy_(torch.randn(values.shape) * 0.3)
    return pipeline


def gradients(pipeline: Pipeline) -> dict[str, torch.Tensor]:
    pipeline.parameters.zero_gradients()
    pipeline.update([examples_of(make_docs())], dropout=0.0, clock=Clock(seed=0))
    return {name: values.cpu().clone() for name, values in pipeline.parameters.named_gradients.items()}


@pytest.mark.parametrize("options", [{}, FROZEN], ids=["unfrozen", "frozen"])
@pytest.mark.parametrize("kind", ["listener", "annotating", "independent"])
def test_gradients_are_those_of_the_cpu(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    config = make_config(make_encoder(tmp_path / "e"), [kind, "listener"], **options)

    there, here = gradients(built(config, "cuda:0")), gradients(built(config, "cpu"))

    assert there.keys() == here.keys()
    for name, values in here.items():
        largest = max(float(values.abs().max()), 1e-4)
        assert float((there[name] - values).abs().max()) <= 1e-4 * largest, name


@pytest.mark.parametrize("precision", ["float32", "bf16", "float16"])
def test_a_model_saved_from_a_gpu_predicts_the_same_on_the_cpu(tmp_path: Path, precision: str) -> None:
    config = make_config(make_encoder(tmp_path / "e"), ["listener"], settings={"precision": precision})
    pipeline = built(config, "cuda:0")
    assert all(bool(values.isfinite().all()) for values in gradients(pipeline).values())
    pipeline.to_disk(tmp_path / "model")

    loaded = frostline.load(tmp_path / "model", device="cpu")

    texts = ["the dog walks", "cats run quickly"]
    assert [list(doc.column("xpos")) for doc in pipeline.pipe(texts)] == [
        list(doc.column("xpos")) for doc in loaded.pipe(texts)
    ]


@needs_cupy
def test_cupy_takes_its_memory_from_torchs_pool(tmp_path: Path) -> None:
    import cupy

    built(make_config(make_encoder(tmp_path / "e"), ["listener"]), "cuda:0")
    before = torch.cuda.memory_allocated()
    array = cupy.zeros(1 << 20, dtype="float32")

    assert torch.cuda.memory_allocated() - before >= array.nbytes
    del array
    assert torch.cuda.memory_allocated() == before


@needs_cupy
def test_arrays_of_thincs_layers_are_views_of_torchs_buffers(tmp_path: Path) -> None:
    from frostline.layers.parameters import ParameterStore

    layer: Model[Any, Any] = Linear(3, 2)
    layer.initialize()
    parameters = ParameterStore.gather([("one", layer)], device="cuda:0")

    pointers = {values.data_ptr() for values in parameters.named_values.values()}
    assert {layer.get_param(name).data.ptr for name in layer.param_names} == pointers
