"""The names of precisions, and those that people know them by."""

from __future__ import annotations

import pytest

from frostline.embedding.precisions import nearest_precision


@pytest.mark.parametrize(
    ("name", "fix"),
    [("fp16", "Did you mean 'float16'? Known: float32, bf16, float16."),
     ("torch.bfloat16", "Did you mean 'bf16'? Known: float32, bf16, float16."),
     ("flaot32", "Did you mean 'float32'? Known: float32, bf16, float16."),
     ("int8", "Known: bf16, float16, float32.")],
)  # fmt: skip
def test_the_precision_that_another_name_means_is_told_with_all_there_are(name: str, fix: str) -> None:
    assert nearest_precision(name) == fix
