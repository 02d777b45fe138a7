"""What can be said of a GPU without one; tests/gpu has the rest."""

from __future__ import annotations

import pytest
import torch
from thinc.api import Linear, NumpyOps, Relu, chain, get_current_ops

from frostline.errors import UsageError
from frostline.layers.cuda import check_layers, has_cupy, thinc_on
from frostline.layers.torch_bridge import wrap


@pytest.mark.skipif(has_cupy(), reason="there is a GPU with CuPy")
def test_layers_of_thincs_own_are_refused_on_a_gpu_that_cupy_does_not_reach() -> None:
    ours, theirs = wrap(torch.nn.Linear(2, 2), name="ours"), chain(Relu(2, 2), Linear(2, 2))

    check_layers([ours], torch.device("cuda:0"))
    check_layers([ours, theirs], torch.device("cpu"))
    with pytest.raises(UsageError, match="The layer 'relu' is one of Thinc's") as error:
        check_layers([ours, theirs], torch.device("cuda:0"))
    assert "frostline[cuda]" in str(error.value.fix)


def test_on_the_cpu_thinc_stays_as_it_is() -> None:
    before = get_current_ops()

    with thinc_on(torch.device("cpu")):
        assert get_current_ops() is before
        assert isinstance(Linear(2, 2).ops, NumpyOps)
