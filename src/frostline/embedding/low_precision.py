"""Arithmetic in half the bytes: a converted copy of the weights for predictions, and the scale of fp16's gradients.

Parameters and their gradients stay float32 in any case; what a training does with an overflow is training's business.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

HuggingFaceModel: TypeAlias = Any  # transformers comes without usable types


class LowPrecisionCopy:
    """A model's weights in another precision, brought up to date where they may have moved."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._copy: HuggingFaceModel | None = None
        self._seen: tuple[tuple[int, int], ...] = ()
        self._is_fixed = False
        self._is_current = False  # since the weights were promised to stay

    def of(self, model: HuggingFaceModel) -> HuggingFaceModel:
        """The copy, in the training state that `model` is in."""
        parameters = list(model.parameters())
        seen = tuple((parameter.data_ptr(), parameter._version) for parameter in parameters)
        may_move = seen != self._seen or any(parameter.requires_grad for parameter in parameters)
        if self._copy is None or next(self._copy.parameters()).device != parameters[0].device:
            self._copy = copy.deepcopy(model).to(self.dtype).requires_grad_(False)
        elif may_move and not (self._is_fixed and self._is_current):
            with torch.no_grad():
                for mine, theirs in zip(self._copy.parameters(), parameters, strict=True):
                    mine.copy_(theirs)
        self._seen, self._is_current = seen, True
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


class GradientScale:
    """Multiplies the gradient on its way into a network, and divides that of each parameter by the same number.

    float16 has no numbers below 6e-8: a network that computes in it loses small gradients unless they are scaled up
    on their way through (Micikevicius et al. 2018). Parameters see the true gradient, or inf and nan where the scale
    was too large. At powers of two nothing is rounded by it.
    """

    def __init__(self) -> None:
        self.factor = 1.0
        self._hooked: set[int] = set()

    def enter(self, values: Tensor, network: nn.Module) -> Tensor:
        """`values`, the output of `network` in float32, with its gradient scaled; shape and numbers as they were."""
        if self.factor == 1.0:
            return values
        for parameter in network.parameters():
            if parameter.requires_grad and id(parameter) not in self._hooked:
                self._hooked.add(id(parameter))
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
