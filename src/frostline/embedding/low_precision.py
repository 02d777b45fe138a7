"""Arithmetic in half the bytes: a converted copy of the weights for predictions, and the scale of fp16's gradients.

Parameters and their gradients stay float32 in any case; what a training does with an overflow is training's business.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

HuggingFaceModel: TypeAlias = Any  # transformers comes without usable types


class LowPrecisionCopy:
    """A model's weights and buffers in another precision.

    Converted anew at each call: whether they have moved can't be told, since they are views of buffers that others
    write to. Who knows that they stay says so by `fixed`.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._copy: HuggingFaceModel | None = None
        self._is_fixed = False
        self._is_current = False  # since the weights were promised to stay

    def of(self, model: HuggingFaceModel) -> HuggingFaceModel:
        """The copy, in the training state that `model` is in."""
        if self._copy is None or next(self._copy.parameters()).device != next(model.parameters()).device:
            self._copy = copy.deepcopy(model).to(self.dtype).requires_grad_(False)
        elif not (self._is_fixed and self._is_current):
            with torch.no_grad():
                for mine, theirs in zip(_numbers_of(self._copy), _numbers_of(model), strict=True):
                    mine.copy_(theirs)
        self._is_current = True
        for part, original in zip(self._copy.modules(), model.modules(), strict=True):
            part.training = original.training
        return self._copy

    @contextmanager
    def fixed(self) -> Iterator[None]:
        """Promise that the weights stay as they are for the block, so that predictions share one converted copy."""
        was_fixed = self._is_fixed
        self._is_current = self._is_current and was_fixed
        self._is_fixed = True
        try:
            yield
        finally:
            self._is_fixed = was_fixed


def _numbers_of(model: nn.Module) -> Iterator[Tensor]:
    return chain(model.parameters(), model.buffers())


class GradientScale:
    """Multiplies the gradient on its way into a network, and divides that of each parameter by the same number.

    float16 has no numbers below 6e-8: a network that computes in it loses small gradients unless they are scaled up
    on their way through (Micikevicius et al. 2018). Parameters see the true gradient, or inf and nan where the scale
    was too large. At powers of two nothing is rounded by it.
    """

    def __init__(self) -> None:
        self.factor = 1.0
        self._hooked: dict[int, weakref.ref[Tensor]] = {}  # by id, which a parameter that is gone leaves to another

    def enter(self, values: Tensor, network: nn.Module) -> Tensor:
        """`values`, the output of `network` in float32, with its gradient scaled; shape and numbers as they were."""
        if self.factor == 1.0:
            return values
        for parameter in network.parameters():
            known = self._hooked.get(id(parameter))
            if parameter.requires_grad and (known is None or known() is not parameter):
                self._hooked[id(parameter)] = weakref.ref(parameter)
                parameter.register_hook(self._divided)  # type: ignore[no-untyped-call]
        scaled: Tensor = _ScaledGradient.apply(values, self.factor)  # type: ignore[no-untyped-call]
        return scaled

    def _divided(self, gradient: Tensor) -> Tensor:
        return gradient if self.factor == 1.0 else gradient / self.factor


class _ScaledGradient(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor, factor: float) -> Tensor:
        context.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0] * context.factor, None
