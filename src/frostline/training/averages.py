"""Averages of the weights over the steps of a run, kept beside the weights that train.

The average is what is evaluated and what is saved, always through `ParameterStore.use`, so that training goes on
from its own weights whatever happens in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch

from frostline.errors import ConfigError
from frostline.layers.parameters import ParameterGroup, ParameterStore

DEFAULT_DECAY = 0.999


class Averages(Protocol):
    """Weights averaged over steps: one flat tensor for each group that moves."""

    def update(self, store: ParameterStore) -> None:
        """Take in the weights after a step."""

    def values(self) -> Mapping[str, torch.Tensor]:
        """Group name → averaged flat values, for `ParameterStore.use`; empty means: use the weights as they are."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What a checkpoint must keep."""

    def load_state_dict(self, state: Mapping[str, torch.Tensor], *, device: torch.device) -> None:
        """Go on from a checkpoint."""


class NoAverages:
    """The weights themselves."""

    def update(self, store: ParameterStore) -> None:
        """Nothing to do."""

    def values(self) -> Mapping[str, torch.Tensor]:
        """Nothing to put in."""
        return {}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Nothing to keep."""
        return {}

    def load_state_dict(self, state: Mapping[str, torch.Tensor], *, device: torch.device) -> None:
        """Nothing to take over."""


class RunningAverages:
    """The mean of all steps (Polyak), or an exponential one that forgets at `decay`.

    The exponential one starts as a mean, with the decay (1 + n) / (10 + n) until that reaches `decay`, so that the
    first, untrained weights do not linger.
    """

    def __init__(self, *, decay: float | None) -> None:
        """decay: None for the mean, else above 0 and below 1."""
        self.decay = decay
        self._values: dict[str, torch.Tensor] = {}
        self._groups: tuple[ParameterGroup, ...] = ()  # whose averages they are
        self._version = 0
        self._n_steps = 0

    def update(self, store: ParameterStore) -> None:
        """Take in the weights after a step; a group that was not there before starts as it is."""
        self.fit(store)
        self._n_steps += 1
        n = self._n_steps
        weight = 1 / n if self.decay is None else 1 - min(self.decay, (1 + n) / (10 + n))
        groups = store.trainable_groups
        for name in self._values.keys() - {group.name for group in groups}:
            del self._values[name]
        for group in groups:
            average = self._values.get(group.name)
            if average is None or average.shape != group.values.shape:
                self._values[group.name] = group.values.clone()
            else:
                average.lerp_(group.values, weight)

    def fit(self, store: ParameterStore) -> None:
        """Follow the parameters into the store's present groups and shapes; what is new starts as it is."""
        if self._groups and self._version != store.version:
            old = {
                (group.component, entry.name): entry.view(self._values[group.name])
                for group in self._groups if group.name in self._values
                for entry in group.entries
            }  # fmt: skip
            fitted = {}
            for group in store.trainable_groups:
                known = [entry for entry in group.entries if (group.component, entry.name) in old]
                if known:
                    fitted[group.name] = group.values.clone()
                for entry in known:
                    average = old[group.component, entry.name]
                    average = store.carried(group.component, entry.name, average, since=self._version)
                    entry.view(fitted[group.name]).copy_(average)
            self._values = fitted
        self._groups, self._version = store.trainable_groups, store.version

    def values(self) -> Mapping[str, torch.Tensor]:
        """The averages so far; empty before the first step."""
        return self._values

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The averages and how many steps they are made of."""
        return {**self._values, "n_steps": torch.tensor(self._n_steps)}

    def load_state_dict(self, state: Mapping[str, torch.Tensor], *, device: torch.device) -> None:
        """Go on from a checkpoint."""
        self._n_steps = int(state["n_steps"])
        self._values = {name: tensor.to(device, copy=True) for name, tensor in state.items() if name != "n_steps"}


def averages_from(setting: bool | float | str | None) -> Averages:
    """What `[training] averages` asks for: none or false, "mean", a decay between 0 and 1, or true (0.999).

    Raises:
        ConfigError: any other value.
    """
    if setting is None or setting is False or setting == "none":
        return NoAverages()
    if setting is True:
        return RunningAverages(decay=DEFAULT_DECAY)
    if setting == "mean":
        return RunningAverages(decay=None)
    if isinstance(setting, float) and 0 < setting < 1:
        return RunningAverages(decay=setting)
    raise ConfigError(
        f"{setting!r} says nothing about averages.",
        where="training.averages",
        fix='Use "none", "mean", or a decay between 0 and 1 such as 0.999.',
    )
