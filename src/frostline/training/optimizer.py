"""Move the weights that may move: Adam with decoupled weight decay over the flat buffers of a ParameterStore.

torch's fused AdamW does the arithmetic, one call for all groups. Rates come from a schedule, times a factor for
each component. Frozen groups are never handed over, biases and norms never decay, and a gradient that is not a number
stops the run before it reaches a weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from frostline.config.registry import registry
from frostline.errors import ConfigError, TrainingError, did_you_mean
from frostline.layers.parameters import ParameterGroup, ParameterStore
from frostline.layers.scheduling import Rate, Schedule
from frostline.training.schedules import as_schedule

MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerStep:
    """What one step of the optimizer did."""

    grad_norm: float  # before clipping
    learn_rates: dict[str, float]  # by component


class Optimizer(Protocol):
    """What the loop asks of an optimizer."""

    def bind(self, *, total_steps: int | None) -> None:
        """Tell the schedules how long the run is; None when it has no length."""

    def step(self, store: ParameterStore, *, step: int, last_score: float | None = None) -> OptimizerStep:
        """Move the weights by the gradients that are there; TrainingError when one is not a number."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What a checkpoint must keep."""

    def load_state_dict(self, store: ParameterStore, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a checkpoint."""


class Adam:
    """AdamW (Loshchilov and Hutter 2019) on flat buffers; the settings are those of `build_adam`."""

    def __init__(
        self,
        *,
        learn_rate: Schedule,
        beta1: float,
        beta2: float,
        eps: float,
        weight_decay: float,
        grad_clip: float,
        rates: Mapping[str, float],
    ) -> None:
        self.learn_rate = learn_rate
        self.betas = (beta1, beta2)
        self.eps = eps
        self.weight_decay = weight_decay
        self.grad_clip = grad_clip
        self.rates = dict(rates)
        self._inner: torch.optim.AdamW | None = None
        self._groups: tuple[ParameterGroup, ...] = ()
        self._version = 0  # of the store, when the groups were its own

    def bind(self, *, total_steps: int | None) -> None:
        """Tell the learning rate's schedule how long the run is."""
        self.learn_rate = self.learn_rate.bind(total_steps=total_steps)

    def step(self, store: ParameterStore, *, step: int, last_score: float | None = None) -> OptimizerStep:
        """Clip the gradients, move the weights.

        Args:
            step: optimizer steps done before this one.
            last_score: of the last evaluation, for schedules that look at it.
        Raises:
            TrainingError: a gradient is not a finite number; no weight has moved.
            ConfigError: `rates` names a component that has no weights.
        """
        inner = self._fitted_to(store)
        norm = store.norm_of_gradients()
        if not math.isfinite(norm):
            raise _not_finite(self._groups, step)
        if self.grad_clip and norm > self.grad_clip:
            for group in self._groups:
                _gradients(group).mul_(self.grad_clip / norm)
        rate = self.learn_rate(step, last_score)
        learn_rates = {group.component: rate * self.rates.get(group.component, 1.0) for group in self._groups}
        for group, settings in zip(self._groups, inner.param_groups, strict=True):
            settings["lr"] = learn_rates[group.component]
        for group in self._groups:  # torch passes over what has no gradient: no momentum, no decay
            group.values.grad = None if group.component in store.resting else group.gradients
        if inner.param_groups:
            inner.step()
        return OptimizerStep(grad_norm=norm, learn_rates=learn_rates)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The moments and step counts, as `exp_avg/<group>`, `exp_avg_sq/<group>`, `step/<group>`."""
        if self._inner is None:
            return {}
        return {
            f"{key}/{group.name}": self._inner.state[group.values][key]
            for group in self._groups
            for key in (*MOMENTS, "step")
        }

    def load_state_dict(self, store: ParameterStore, state: Mapping[str, torch.Tensor]) -> None:
        """Take over moments and step counts; KeyError when the groups are not those of the checkpoint."""
        inner = self._fitted_to(store)
        if not state:
            return
        for group in self._groups:
            for key in (*MOMENTS, "step"):
                inner.state[group.values][key].copy_(state[f"{key}/{group.name}"])

    def _fitted_to(self, store: ParameterStore) -> torch.optim.AdamW:
        """The inner optimizer for the store's present groups; moments follow their parameters into new groups."""
        groups = store.trainable_groups
        if self._inner is not None and [g.values.data_ptr() for g in groups] == [
            g.values.data_ptr() for g in self._groups
        ]:
            return self._inner
        unknown = self.rates.keys() - {group.component for group in store.groups}
        if unknown:
            name = min(unknown)
            fix = did_you_mean(name, [group.component for group in store.groups])
            raise ConfigError(f"'{name}' is no component with weights.", where="training.optimizer.rates", fix=fix)
        kept = self._moments_by_parameter()
        inner, since = _make_inner(groups, self.betas, self.eps, self.weight_decay), self._version
        for group in groups:
            state = inner.state[group.values]
            for entry in group.entries:
                old = kept.get((group.component, entry.name))
                if old is not None:
                    state["step"].copy_(torch.maximum(state["step"], old["step"]))
                    for key in MOMENTS:
                        moment = store.carried(group.component, entry.name, old[key], since=since)
                        entry.view(state[key]).copy_(moment)
        self._inner, self._groups, self._version = inner, groups, store.version
        return inner

    def _moments_by_parameter(self) -> dict[tuple[str, str], dict[str, torch.Tensor]]:
        if self._inner is None:
            return {}
        found = {}
        for group in self._groups:
            state = self._inner.state[group.values]
            for entry in group.entries:
                moments = {key: entry.view(state[key]) for key in MOMENTS}
                found[group.component, entry.name] = {**moments, "step": state["step"]}
        return found


@registry.optimizers("frostline.Adam.v1")
def build_adam(
    *,
    learn_rate: Rate,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    grad_clip: float = 1.0,
    rates: dict[str, float] | None = None,
) -> Adam:
    """Adam with decoupled weight decay.

    learn_rate: a number or a schedule. weight_decay: per unit of learning rate, on matrices only. grad_clip: the
    largest norm of all gradients together, 0 for no limit. rates: component name → factor on the learning rate
    (heads often want ten times the encoder's).
    """
    for name, beta in (("beta1", beta1), ("beta2", beta2)):
        if not 0 <= beta < 1:
            message = f"{name} is {beta}, but must be from 0 to below 1."
            raise ConfigError(message, where=name, fix="Give a share such as 0.9.")
    numbers = {"eps": eps, "weight_decay": weight_decay, "grad_clip": grad_clip}
    for name, value in (numbers | {f"rates.{component}": rate for component, rate in (rates or {}).items()}).items():
        if not 0 <= value < math.inf:
            message = f"{name} is {value}, but must be 0 or more."
            raise ConfigError(message, where=name, fix="Give a number from 0 up.")
    return Adam(
        learn_rate=as_schedule(learn_rate, where="learn_rate"), beta1=beta1, beta2=beta2, eps=eps,
        weight_decay=weight_decay, grad_clip=grad_clip, rates=rates or {},
    )  # fmt: skip


def _make_inner(
    groups: tuple[ParameterGroup, ...], betas: tuple[float, float], eps: float, weight_decay: float
) -> torch.optim.AdamW:
    for group in groups:
        group.values.grad = group.gradients
    settings = [{"params": [g.values], "weight_decay": weight_decay if g.decays else 0.0} for g in groups]
    # an optimizer refuses an empty list; a pipeline may have nothing that moves
    inner = torch.optim.AdamW(settings or [torch.zeros(1)], lr=0.0, betas=betas, eps=eps, fused=True)
    if not groups:
        inner.param_groups.clear()
    for group in groups:
        state = {key: torch.zeros_like(group.values) for key in MOMENTS}
        inner.state[group.values] = {"step": torch.zeros((), device=group.values.device), **state}
    return inner


def _gradients(group: ParameterGroup) -> torch.Tensor:
    assert group.gradients is not None
    return group.gradients


def _not_finite(groups: tuple[ParameterGroup, ...], step: int) -> TrainingError:
    bad = sorted({group.component for group in groups if not bool(torch.isfinite(_gradients(group)).all())})
    names = " and ".join(f"'{name}'" for name in bad) or "the pipeline as a whole"
    return TrainingError(
        f"The gradient of {names} is not a finite number at step {step}.",
        where=f"step {step}",
        fix="Lower the learning rate, lengthen its warm-up, or look at the examples of this step.",
    )
