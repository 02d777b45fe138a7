"""Training in float16: scale gradients up on their way through the encoders, and skip a step whose scale was too large.

float16 ends at 65504 and begins at 6e-8. Gradients that would vanish are multiplied by a power of two where they enter
an encoder (embedding/low_precision.py) and divided by it at the parameters, so that the optimizer sees the true ones.
Where one overflows, the step moves nothing and the factor is halved; after many steps without overflow it is doubled
(Micikevicius et al. 2018). bf16 has float32's range and needs none of this.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch

from frostline.console import say
from frostline.embedding.encoder import Encoder
from frostline.layers.parameters import STAGE_ATTRIBUTE, ParameterStore
from frostline.training.optimizer import Optimizer, OptimizerStep

FIRST_FACTOR = 2.0**16
LARGEST_FACTOR = 2.0**24
STEPS_BETWEEN = 2000  # without an overflow, before the factor is doubled
_STATE = "loss_scale"


class ScaledOptimizer:
    """An optimizer that minds the gradients' scale; otherwise the one that is given.

    Args:
        encoders: those that compute in float16 and are trained.
        factor: a power of two, from 1 up.
        steps_between: doublings, at least.
    """

    def __init__(
        self,
        inner: Optimizer,
        encoders: Iterable[Encoder],
        *,
        factor: float = FIRST_FACTOR,
        steps_between: int = STEPS_BETWEEN,
    ) -> None:
        self.inner = inner
        self.steps_between = steps_between
        self._scales = [encoder.gradient_scale for encoder in encoders]
        self._n_good = 0  # steps since the factor changed
        self.factor = factor
        self._set(factor)

    def bind(self, *, total_steps: int | None) -> None:
        """Tell the schedules how long the run is."""
        self.inner.bind(total_steps=total_steps)

    def step(self, store: ParameterStore, *, step: int, last_score: float | None = None) -> OptimizerStep:
        """Move the weights, or skip the step and halve the factor; a skipped step has rates and a norm of 0.

        Raises:
            TrainingError: a gradient is not a finite number though nothing is scaled any more.
        """
        if not math.isfinite(store.norm_of_gradients()) and self.factor > 1.0:
            self._n_good = 0
            self._set(self.factor / 2)
            say(f"step {step + 1}: a gradient is beyond float16 and nothing moves; the scale is now {self.factor:g}")
            return OptimizerStep(grad_norm=0.0, learn_rates={g.component: 0.0 for g in store.trainable_groups})
        moved = self.inner.step(store, step=step, last_score=last_score)
        self._n_good += 1
        if self._n_good >= self.steps_between and self.factor < LARGEST_FACTOR:
            self._n_good = 0
            self._set(self.factor * 2)
        return moved

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The inner optimizer's, and the factor with the steps since it changed."""
        state = torch.tensor([self.factor, self._n_good], dtype=torch.float64)
        return {**self.inner.state_dict(), _STATE: state}

    def load_state_dict(self, store: ParameterStore, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a checkpoint."""
        self.inner.load_state_dict(store, {name: values for name, values in state.items() if name != _STATE})
        if _STATE in state:
            factor, n_good = state[_STATE].tolist()
            self._n_good = int(n_good)
            self._set(factor)

    def _set(self, factor: float) -> None:
        self.factor = factor
        for scale in self._scales:
            scale.factor = factor


def with_loss_scale(optimizer: Optimizer, encoders: Iterable[Encoder]) -> Optimizer:
    """The optimizer itself where no encoder is ever trained in float16, else one that scales for those that are."""
    halves = [encoder for encoder in encoders if encoder.precision == "float16"]
    trained = [encoder for encoder in halves if any(map(_may_move, encoder.parameters()))]
    return ScaledOptimizer(optimizer, trained) if trained else optimizer


def _may_move(parameter: torch.nn.Parameter) -> bool:
    """Whether a parameter moves now, or once a schedule frees it."""
    return parameter.requires_grad or hasattr(parameter, STAGE_ATTRIBUTE)
