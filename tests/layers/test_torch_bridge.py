"""The bridge gives torch's own numbers and gradients, and computes no gradient that nobody wants."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from thinc.api import Linear, Model, Softmax, chain, set_dropout_rate
from torch import nn

from frostline.errors import ModelFileError, UsageError
from frostline.layers import modes
from frostline.layers.parameters import ParameterStore
from frostline.layers.resizing import resize
from frostline.layers.torch_bridge import apply_module, dropout_at, module_from_bytes, module_to_bytes, use_params, wrap


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2))


def test_forward_and_backward_are_torchs_own() -> None:
    ours, plain = network(), network()
    inputs, gradient = torch.randn(5, 3), torch.randn(5, 2)
    wanted = inputs.clone().requires_grad_()
    plain(wanted).backward(gradient)

    outputs, backprop = wrap(ours, name="net")(inputs.clone().requires_grad_(), is_train=True)
    of_inputs = backprop(gradient)

    assert torch.equal(outputs, plain(inputs))
    assert torch.equal(of_inputs, wanted.grad)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(ours.parameters(), plain.parameters(), strict=True))


def test_an_input_that_wants_no_gradient_gets_none() -> None:
    _, backprop = apply_module(network(), torch.randn(5, 3), is_train=True)

    assert backprop(torch.ones(5, 2)) is None


def test_a_frozen_module_passes_the_gradient_to_what_lies_below_and_keeps_none() -> None:
    module = network()
    modes.declare({"net": module}, {"net.*": "frozen"})

    outputs, backprop = apply_module(module, torch.randn(5, 3).requires_grad_(), is_train=True)

    assert backprop(torch.ones_like(outputs)).abs().max() > 0
    assert all(parameter.grad is None for parameter in module.parameters())


def test_gradients_of_two_passes_add_up() -> None:
    once, twice = network(), network()
    inputs = torch.randn(4, 3)
    apply_module(once, inputs, is_train=True)[1](torch.ones(4, 2))

    for part in (inputs[:1], inputs[1:]):
        apply_module(twice, part, is_train=True)[1](torch.ones(len(part), 2))

    for a, b in zip(once.parameters(), twice.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_a_prediction_has_no_way_back() -> None:
    outputs, backprop = apply_module(network(), torch.randn(5, 3).requires_grad_(), is_train=False)

    assert not outputs.requires_grad
    with pytest.raises(RuntimeError, match="no backward pass"):
        backprop(torch.ones(5, 2))


class Nested(nn.Module):
    """Takes and gives nests: a pair, a dict with a list in it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.linear = nn.Linear(3, 2)

    def forward(self, pair, *, rest, scale):  # type: ignore[no-untyped-def]
        left, right = pair
        return {"sum": self.linear(left + right * scale), "parts": (rest["a"][0] * left, rest["a"][1])}


def test_nests_go_forward_and_backward_in_their_own_shape() -> None:
    module, plain = Nested(), Nested()
    tensors = [torch.randn(4, 3) for _ in range(4)]
    ours = [t.clone().requires_grad_(i != 1) for i, t in enumerate(tensors)]
    theirs = [t.clone().requires_grad_() for t in tensors]
    expected = plain((theirs[0], theirs[1]), rest={"a": [theirs[2], theirs[3]]}, scale=2.0)
    (expected["sum"].sum() * 3 + expected["parts"][0].sum()).backward()

    outputs, backprop = wrap(module, name="nested")(
        {"pair": (ours[0], ours[1]), "rest": {"a": [ours[2], ours[3]]}, "scale": 2.0}, is_train=True
    )
    gradient = backprop({"sum": torch.full((4, 2), 3.0), "parts": (torch.ones(4, 3), None)})

    assert torch.equal(outputs["sum"], expected["sum"])
    assert torch.equal(gradient["pair"][0], theirs[0].grad)
    assert gradient["pair"][1] is None  # it was a constant
    assert torch.equal(gradient["rest"]["a"][0], theirs[2].grad)
    assert gradient["rest"]["a"][1] is None  # nothing came back for it
    assert gradient["scale"] is None
    assert torch.equal(module.linear.weight.grad, plain.linear.weight.grad)


def test_a_gradient_of_another_shape_of_nest_is_refused() -> None:
    one = torch.ones(1, 3)
    _, backprop = apply_module(Nested(), {"pair": (one, one), "rest": {"a": [one, one]}, "scale": 1.0}, is_train=True)

    with pytest.raises(ValueError, match="gave 3 tensors, but 1 gradients"):
        backprop(torch.ones(1, 2))


def test_between_layers_of_thinc_arrays_come_in_and_go_out_with_their_gradients() -> None:
    torch_layer = nn.Linear(4, 5)
    model = chain(Linear(nI=3, nO=4), wrap(torch_layer, name="torch"), Softmax(nI=5, nO=2))
    model.layers[0].initialize()
    model.layers[2].initialize()
    inputs = np.ones((2, 3), dtype="f")

    outputs, backprop = model(inputs, is_train=True)
    of_inputs = backprop(np.array([[1, -1], [0.5, 0]], dtype="f"))

    assert isinstance(outputs, np.ndarray)
    assert isinstance(of_inputs, np.ndarray)
    assert of_inputs.shape == inputs.shape
    assert torch_layer.weight.grad is not None
    assert model.layers[0].has_grad("W")


class FirstOnly(nn.Module):
    """Reads the first of two inputs."""

    def forward(self, first, second):  # type: ignore[no-untyped-def]
        return first * 2


def test_the_gradient_by_an_array_that_is_not_used_is_zero_whatever_is_in_it() -> None:
    mask = np.array([[-np.inf, np.nan, np.inf, 1]], dtype="f")

    outputs, backprop = apply_module(FirstOnly(), (np.ones((1, 2), dtype="f"), mask), is_train=True)
    of_first, of_mask = backprop(outputs)

    assert of_first.tolist() == [[4, 4]]
    assert of_mask.tolist() == [[0, 0, 0, 0]] and of_mask.dtype == mask.dtype


@pytest.mark.parametrize("is_train", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("as_array", [False, True])
def test_a_module_that_works_in_place_gets_a_copy_of_its_input(is_train: bool, wanted: bool, as_array: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(4, 2)
    ours, plain = nn.Sequential(nn.ReLU(inplace=True), linear), nn.Sequential(nn.ReLU(), linear)
    given = torch.linspace(-1, 1, 8).view(2, 4).requires_grad_(wanted)
    before = given.detach().clone()

    outputs, backprop = apply_module(ours, given.detach().numpy() if as_array else given, is_train=is_train)

    assert torch.equal(given, before)
    assert torch.equal(torch.as_tensor(outputs), plain(before))
    if is_train:
        of_inputs = backprop(np.ones((2, 2), dtype="f") if as_array else torch.ones(2, 2))
        expected = linear.weight.detach().sum(dim=0) * (before > 0)
        if as_array or wanted:
            torch.testing.assert_close(torch.as_tensor(of_inputs), expected)
        else:
            assert of_inputs is None


class Writes(nn.Module):
    """Writes on what it is given, and does not say so."""

    def forward(self, given):  # type: ignore[no-untyped-def]
        return given[:1].relu_()


@pytest.mark.parametrize(("is_train", "as_array"), [(False, False), (True, False), (False, True)])
def test_a_module_that_writes_on_its_input_unsaid_is_refused(is_train: bool, as_array: bool) -> None:
    given = -torch.ones(2, 3)

    with pytest.raises(UsageError, match="Writes wrote on its input"):
        apply_module(Writes(), given.numpy() if as_array else given, is_train=is_train)


def test_a_tensor_of_inference_mode_can_be_read() -> None:
    with torch.inference_mode():
        given = torch.ones(1, 3)

    outputs, _ = apply_module(network(), given, is_train=False)

    assert torch.equal(outputs, network()(torch.ones(1, 3)))


def test_dropout_is_controlled_from_outside_and_set_back_after_an_exception() -> None:
    module = nn.Sequential(nn.Dropout(0.25), nn.Sequential(nn.Dropout1d(0.5)))
    layer = wrap(module, name="drops", dropout_rate=0.0)
    inputs = torch.ones(50, 4)

    still, _ = layer(inputs, is_train=True)
    set_dropout_rate(layer, 0.9)
    wild, _ = layer(inputs, is_train=True)
    calm = layer.predict(inputs)
    with pytest.raises(RuntimeError, match="inside"), dropout_at(module, 0.75):
        assert module[0].p == module[1][0].p == 0.75
        raise RuntimeError("inside")

    assert torch.equal(still, inputs)
    assert (wild == 0).float().mean() > 0.8
    assert torch.equal(calm, inputs)
    assert (module[0].p, module[1][0].p) == (0.25, 0.5)


def test_other_parameters_hold_for_a_block_nested_and_through_exceptions() -> None:
    module = network()
    model = chain(wrap(module, name="net"), wrap(nn.Linear(2, 2), name="end"))
    before = {name: values.clone() for name, values in module.named_parameters()}
    ones, twos = torch.ones(4, 3), torch.full((4, 3), 2.0)

    with use_params(model, {"net.0.weight": ones}):
        with pytest.raises(RuntimeError, match="inside"), use_params(model, {"net.0.weight": twos}):
            assert torch.equal(module[0].weight, twos)
            raise RuntimeError("inside")
        assert torch.equal(module[0].weight, ones)
        with pytest.raises(KeyError), use_params(model, {"net.0.weight": twos, "net.9.weight": twos}):
            pass
        with pytest.raises(ValueError, match="shape"), use_params(model, {"net.0.weight": torch.ones(2)}):
            pass
        assert torch.equal(module[0].weight, ones)

    assert all(torch.equal(values, before[name]) for name, values in module.named_parameters())


def test_own_parameters_come_back_into_the_memory_of_a_refreshed_store() -> None:
    module = network()
    store = ParameterStore.gather([("net", module)])
    before = {name: values.detach().clone() for name, values in module.named_parameters()}

    with use_params(module, {name: torch.zeros_like(values) for name, values in before.items()}):
        module[0].requires_grad_(False)
        store.refresh(resize(module[2], n_out=3))

    assert all(torch.equal(values[: len(before[name])], before[name]) for name, values in module.named_parameters())
    assert all(values.data_ptr() == store.named_values[f"net/{name}"].data_ptr()
               for name, values in module.named_parameters())  # fmt: skip


def test_a_model_with_torch_layers_goes_to_bytes_and_back_without_pickle() -> None:
    def make() -> Model:
        first = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        return chain(wrap(first, name="net"), wrap(nn.Linear(4, 2), name="end"))

    model, other = make(), make()
    data = model.to_bytes()

    other.from_bytes(data)

    assert other.to_bytes() == data
    inputs = torch.randn(5, 3)
    assert torch.equal(model.predict(inputs), other.predict(inputs))


def test_bytes_of_another_module_are_refused() -> None:
    with pytest.raises(ModelFileError, match="do not fit a Linear"):
        module_from_bytes(nn.Linear(3, 2), module_to_bytes(nn.Linear(3, 4)))
    with pytest.raises(ModelFileError):
        module_from_bytes(nn.Linear(3, 2), b"nonsense")


def test_inputs_come_to_the_modules_device_and_gradients_go_back_to_theirs() -> None:
    module = nn.Linear(3, 2, device="meta")

    outputs, backprop = apply_module(module, torch.ones(4, 3).requires_grad_(), is_train=True)

    assert outputs.device.type == "meta"
    with pytest.raises(NotImplementedError):  # no number comes back from there; that it is tried shows the way
        backprop(torch.ones(4, 2))
