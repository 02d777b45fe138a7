"""What a module does during training: move, stand still, drop out, let the gradient pass.

A mode is declared for a pattern of module names and holds until the declaration is withdrawn; `running` then puts
every torch module in the state that its mode and `is_train` ask for, for the time of a block, and back afterwards.

| mode   | parameters move | dropout, batch norm       | gradient passes through |
| train  | yes             | training behaviour        | yes                     |
| frozen | no              | evaluation behaviour      | yes                     |
| eval   | yes             | evaluation behaviour      | yes                     |
| sample | no              | dropout on, always        | no                      |
"""

from __future__ import annotations

import enum
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import nn

from frostline.errors import ConfigError, did_you_mean, nearest

_MODE_ATTRIBUTE = "frostline_mode"
_KEEPS_STATISTICS = (nn.modules.batchnorm._NormBase,)  # batch and instance norms


class Mode(enum.Enum):
    """How a module takes part in training; the table is in the module's docstring."""

    TRAIN = "train"
    FROZEN = "frozen"
    EVAL = "eval"
    SAMPLE = "sample"

    @property
    def parameters_move(self) -> bool:
        """Whether an optimizer may change the parameters."""
        return self in (Mode.TRAIN, Mode.EVAL)

    @property
    def passes_gradient(self) -> bool:
        """Whether what lies below is taught through the module."""
        return self is not Mode.SAMPLE


def mode_of(module: nn.Module) -> Mode:
    """The mode declared for this very module; `train` when none is."""
    mode = getattr(module, _MODE_ATTRIBUTE, Mode.TRAIN)
    assert isinstance(mode, Mode)
    return mode


def is_frozen(module: nn.Module) -> bool:
    """Whether no parameter of the module may move; a module without parameters counts as frozen."""
    return not any(parameter.requires_grad for parameter in module.parameters())


def stands_still(module: nn.Module) -> bool:
    """Whether a module is frozen in all its parts: no parameter moves, and it computes in training as in prediction."""
    parts = (part for part in module.modules() if part._parameters or not part._modules)
    return all(mode_of(part) is Mode.FROZEN for part in parts)


def declare(modules: Mapping[str, nn.Module], modes: Mapping[str, str]) -> None:
    """Set the modes of named module trees, replacing what was declared before.

    Args:
        modules: component name -> its torch module.
        modes: pattern -> mode name. A pattern (fnmatch) is matched against `component` and
            `component.path.to.submodule`; later patterns win; a module inherits the mode of the module it is in.
    Raises:
        ConfigError: an unknown mode, or a pattern that matches nothing.
    """
    names = [name for component, module in modules.items() for name, _ in named_modules(component, module)]
    parsed = {}
    for pattern, mode_name in modes.items():
        where = f"pipeline.modes.{pattern}"
        try:
            parsed[pattern] = Mode(mode_name)
        except ValueError:
            options = [mode.value for mode in Mode]
            raise ConfigError(f"'{mode_name}' is no mode.", where=where, fix=did_you_mean(mode_name, options)) from None
        check_pattern(pattern, names)
    for component, module in modules.items():
        _declare_tree(component, module, parsed)


def check_pattern(pattern: str, names: Sequence[str]) -> None:
    """Raise ConfigError where a pattern matches none of these modules."""
    if not any(_matches(name, pattern) for name in names):
        raise ConfigError(
            f"The pattern '{pattern}' matches no module of the pipeline.",
            where=f"pipeline.modes.{pattern}",
            fix=_nearest_module(pattern, names),
        )


def _nearest_module(pattern: str, names: Sequence[str]) -> str:
    """The pattern with its misspelt parts put right, else what the last module on its way has.

    Part by part: the nearest of all names may be a module that holds far more than was meant.
    """
    meant = pattern.rstrip(".*")
    if any(sign in meant for sign in "*?["):
        return did_you_mean(meant, [name for name in names if name.count(".") <= max(1, meant.count("."))])
    roots = [name for name in names if name.rpartition(".")[0] not in names]
    reached = next((root for root in roots if meant.startswith(f"{root}.")), "")
    for part in meant[len(reached) :].lstrip(".").split("."):
        inside = [name for name in names if name.rpartition(".")[0] == reached] if reached else roots
        parts = [name[len(reached) :].lstrip(".") for name in inside]
        near = part if part in parts else None if part.isdigit() else nearest(part, parts)
        if near is None:
            shown = ", ".join(parts[:20]) + (f" and {len(parts) - 20} more" if len(parts) > 20 else "")
            owner = f"'{reached}'" if reached else "The pipeline"
            return f"{owner} has {shown or 'no parts'}."
        reached = inside[parts.index(near)]
    return f"Did you mean '{reached}{'.*' if pattern.endswith('.*') else ''}'?"


def _declare_tree(component: str, module: nn.Module, modes: Mapping[str, Mode]) -> None:
    by_name: dict[str, Mode] = {}
    for name, part in named_modules(component, module):
        mode = by_name.get(name.rpartition(".")[0], Mode.TRAIN)
        for pattern, declared in modes.items():
            if _matches(name, pattern):
                mode = declared
        by_name[name] = mode
        setattr(part, _MODE_ATTRIBUTE, mode)
        for parameter in part.parameters(recurse=False):
            parameter.requires_grad_(mode.parameters_move)


def _matches(name: str, pattern: str) -> bool:
    """`transformer.*` means the whole of `transformer`, itself too."""
    return fnmatch.fnmatchcase(name, pattern) or (pattern.endswith(".*") and name == pattern[:-2])


def named_modules(component: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The parts of a module tree under the names that patterns are matched against, parents first."""
    for path, part in module.named_modules():
        yield (f"{component}.{path}" if path else component), part


@contextmanager
def running(module: nn.Module, *, is_train: bool) -> Iterator[list[nn.Module]]:
    """Put a module tree in the state its modes ask for, then back in the state it was in; gives its parts.

    A part is in torch's training state when its mode is `train` and this is training; in both when it is `sample`,
    but for batch norm and its like, whose statistics no prediction may move.
    """
    parts = list(module.modules())
    before = [part.training for part in parts]
    try:
        for part in parts:
            mode = mode_of(part)
            samples = mode is Mode.SAMPLE and not isinstance(part, _KEEPS_STATISTICS)
            part.training = samples or (is_train and mode is Mode.TRAIN)
        yield parts
    finally:
        for part, training in zip(parts, before, strict=True):
            part.training = training
