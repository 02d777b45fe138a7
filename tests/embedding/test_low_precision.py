"""The copy in another precision that predicts: always of the weights as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from frostline.embedding.low_precision import LowPrecisionCopy
from frostline.pipeline.pipeline import Pipeline
from tests.pipeline.tiny import make_config, make_docs, make_encoder, make_pipeline


def frozen_numbers(pipeline: Pipeline) -> Tensor:
    embedder = pipeline.publishers["transformer"].embedder
    return embedder.compute(make_docs(), is_train=False).pieces.clone()


@pytest.mark.parametrize("precision", ["float32", "bf16", "float16"])
def test_a_frozen_encoder_sees_weights_that_are_put_in(tmp_path: Path, precision: str) -> None:
    modes = {"transformer.*": "frozen"}
    config = make_config(make_encoder(tmp_path), ["listener"], settings={"precision": precision}, modes=modes)
    pipeline = make_pipeline(config, make_docs())
    before = frozen_numbers(pipeline)
    groups = [group for group in pipeline.parameters.groups if group.component == "transformer"]
    others = {group.name: group.values * 1.5 for group in groups}

    with pipeline.parameters.use(others):
        within = frozen_numbers(pipeline)
    after = frozen_numbers(pipeline)
    for name, values in pipeline.parameters.named_values.items():
        if name.startswith("transformer/"):
            values.mul_(1.5)

    assert not torch.equal(before, within)
    assert torch.equal(before, after)
    assert torch.equal(within, frozen_numbers(pipeline))


def test_buffers_are_part_of_the_copy() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()
    low = LowPrecisionCopy(torch.bfloat16)
    low.of(model)

    model[1].running_mean.fill_(3.0)

    assert low.of(model)[1].running_mean.tolist() == [3.0, 3.0]
    with low.fixed():
        low.of(model)
        model[1].running_mean.fill_(4.0)
        assert low.of(model)[1].running_mean.tolist() == [3.0, 3.0]
