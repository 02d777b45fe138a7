"""Low-rank adapters (LoRA, Hu et al. 2022) on an encoder that itself stands still, through the package `peft`.

https://arxiv.org/abs/2106.09685. The encoder's own weights keep their file; the adapters lie beside it in peft's
layout, `adapter/adapter_config.json` and `adapter/adapter_model.safetensors`, which `peft.PeftModel` reads too.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from frostline import files
from frostline.errors import ConfigError, ModelFileError, did_you_mean
from frostline.layers.tensor_files import check_finite, save_tensors

ADAPTER = "adapter"  # folder beside the encoder's weights
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MODES = {"model.*": "frozen", "model*lora_*": "train"}  # of an encoder with adapters, before the config's own
_PREFIX = "base_model.model."  # of peft's names
_NAME = "default"  # of the one adapter, as peft calls it
_KEYS = ("rank", "alpha", "targets", "dropout")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSettings:
    """How adapters look; the keys are those of `adapter` in `frostline.Transformer.v1`."""

    rank: int
    alpha: float
    targets: tuple[str, ...]
    dropout: float = 0.0


def adapter_settings(given: Mapping[str, Any] | None) -> AdapterSettings | None:
    """Check what a config says of adapters; None where it says nothing.

    Raises:
        ConfigError: an unknown key, a value out of range, or peft is not installed.
    """
    if not given:
        return None
    for key in given:
        if key not in _KEYS:
            raise ConfigError(f"An adapter has no '{key}'.", where=f"adapter.{key}", fix=did_you_mean(key, _KEYS))
    rank, targets = given.get("rank", 8), given.get("targets")
    alpha, dropout = given.get("alpha", 2 * rank if isinstance(rank, int) else 1), given.get("dropout", 0.0)
    faults = {
        "rank": isinstance(rank, int) and rank >= 1,
        "alpha": isinstance(alpha, int | float) and alpha > 0,
        "dropout": isinstance(dropout, int | float) and 0 <= dropout < 1,
        "targets": isinstance(targets, list) and bool(targets) and all(isinstance(name, str) for name in targets),
    }
    for key, good in faults.items():
        if not good:
            raise ConfigError(
                f"An adapter's {key} can't be {given[key]!r}." if key in given else f"An adapter needs {key}.",
                where=f"adapter.{key}",
                fix='Write for example {"rank": 8, "alpha": 16, "targets": ["query", "value"], "dropout": 0.0}.',
            )
    if importlib.util.find_spec("peft") is None:
        raise ConfigError(
            "Adapters need the package peft, which is not installed.",
            where="adapter",
            fix='Install it with `pip install "frostline[peft]"`, or take the adapter away.',
        )
    return AdapterSettings(rank=rank, alpha=float(alpha), targets=tuple(targets or ()), dropout=float(dropout))


def add_adapters(model: nn.Module, settings: AdapterSettings) -> None:
    """Put adapters around the linear layers of a model that the settings name; they start as no change at all.

    Raises:
        ConfigError: no linear layer has such a name.
    """
    from peft import LoraConfig, inject_adapter_in_model

    linear = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    for target in settings.targets:
        if not any(name.endswith(target) for name, m in model.named_modules() if isinstance(m, nn.Linear)):
            raise ConfigError(
                f"An adapter is asked for at '{target}', but no linear layer of the encoder has that name.",
                where="adapter.targets",
                fix=did_you_mean(target, sorted(linear)),
            )
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, target_modules=list(settings.targets),
        lora_dropout=settings.dropout, bias="none",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inject_adapter_in_model(config, model, adapter_name=_NAME)


def is_of_adapter(name: str) -> bool:
    """Whether a parameter's name is that of an adapter's."""
    return ".lora_" in name


def without_adapters(weights: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """The encoder's own weights under the names that they have in it."""
    for name, values in weights:
        if not is_of_adapter(name):
            yield name.replace(".base_layer.", "."), values


def save_adapters(model: nn.Module, settings: AdapterSettings, folder: Path) -> None:
    """Write the adapters of a model to a new folder."""
    folder.mkdir()
    about = {
        "peft_type": "LORA", "r": settings.rank, "lora_alpha": settings.alpha, "lora_dropout": settings.dropout,
        "target_modules": sorted(settings.targets), "bias": "none", "inference_mode": True,
        "base_model_name_or_path": "..",
    }  # fmt: skip
    files.write_json_atomic(folder / CONFIG, about)
    weights = {_peft_name(name): values.detach().cpu().contiguous() for name, values in _adapters_of(model)}
    save_tensors(dict(sorted(weights.items())), folder / WEIGHTS, metadata={"format": "pt"})


def load_adapters(model: nn.Module, settings: AdapterSettings, folder: Path) -> None:
    """Fill the adapters of a model with what `save_adapters` wrote.

    Raises:
        ModelFileError: the files are missing, broken or of other adapters.
    """
    try:
        about = json.loads((folder / CONFIG).read_text(encoding="utf8"))
        if not isinstance(about, dict):
            raise ValueError(f"{CONFIG} is no JSON object")
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelFileError(f"The adapters can't be read: {error}", where=str(folder), fix=_AGAIN) from error
    _compare_scales(about, settings, folder)
    wanted = dict(_adapters_of(model))
    shapes = {_peft_name(name): tuple(values.shape) for name, values in wanted.items()}
    if shapes != {name: tuple(values.shape) for name, values in weights.items()}:
        raise ModelFileError("The adapters are not those that the config describes.", where=str(folder), fix=_AGAIN)
    check_finite(weights.items(), folder / WEIGHTS)
    with torch.no_grad():
        for name, values in wanted.items():
            values.copy_(weights[_peft_name(name)])


def _compare_scales(about: Mapping[str, Any], settings: AdapterSettings, folder: Path) -> None:
    """Refuse what the weights themselves don't show: the same ones mean something else with another alpha."""
    foreign = [key for key in _OTHER_SCALES if about.get(key)]
    if foreign:
        raise ModelFileError(
            f"The adapters were made with {foreign[0]}, which frostline does not know.",
            where=str(folder / CONFIG),
            fix="Take adapters that are all scaled by alpha / rank.",
        )
    rank, alpha = about.get("r"), about.get("lora_alpha")
    if (rank, alpha) != (settings.rank, settings.alpha):
        raise ModelFileError(
            f"The adapters were trained with rank {rank} and alpha {alpha}, but the config says rank {settings.rank} "
            f"and alpha {settings.alpha:g}: with another one they give other numbers.",
            where=str(folder / CONFIG),
            fix=f'Write "rank": {rank}, "alpha": {alpha} in the transformer\'s adapter, or remove {ADAPTER}/ '
            "to start with new ones.",
        )


_OTHER_SCALES = ("use_rslora", "use_dora", "rank_pattern", "alpha_pattern")  # of peft
_AGAIN = "The folder is incomplete or was changed: copy it again, or train again."


def _adapters_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return ((name, values) for name, values in model.named_parameters() if is_of_adapter(name))


def _peft_name(name: str) -> str:
    return _PREFIX + name.replace(f".{_NAME}.", ".")
