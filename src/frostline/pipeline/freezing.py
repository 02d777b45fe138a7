"""What moves and what stands still: modes by pattern, the lowest layers of an encoder, layers unfrozen one by one.

`[pipeline.modes]` and `[training.freezing]` of the config, and blocks of code on top of them, are laid over each other
here and declared to the modules; the parameters are then sorted anew. Gradual unfreezing goes from the top down
(ULMFiT, Howard and Ruder 2018): its schedule says how many groups of an encoder move, where the last layer is the
first group and the embeddings are the last one. Layers that wait for their turn lie in buffers of their own from the
start, so that they begin with fresh moments, and a checkpoint holds the same tensors at every step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import nn

from frostline.embedding.adapters import MODES
from frostline.embedding.embedders import embedder_nodes, embedder_of, embedders_in
from frostline.embedding.encoder import Encoder
from frostline.embedding.layer_stack import stack_of
from frostline.embedding.listener import COPY_OF
from frostline.embedding.transformer import Transformer
from frostline.errors import ConfigError, did_you_mean
from frostline.layers import modes
from frostline.layers.module_tree import stand_still
from frostline.layers.parameters import STAGE_ATTRIBUTE, ThincModel
from frostline.layers.scheduling import Schedule

if TYPE_CHECKING:
    from frostline.pipeline.pipeline import Pipeline

LOWEST = "training.freezing.lowest_layers"
UNFREEZING = "training.freezing.unfreezing"
FROZEN = modes.Mode.FROZEN.value


@dataclass(slots=True, kw_only=True)
class Freezing:
    """What of a pipeline stands still, and until when. Made by `plan_freezing`.

    trees: part -> its layers as torch modules. stacks: transformer -> groups of module names, from the bottom; a
    private transformer goes by its module's name, `COMPONENT.transformer`.
    """

    trees: dict[str, nn.Module] = field(default_factory=dict)
    stacks: dict[str, list[list[str]]] = field(default_factory=dict)
    n_lowest: dict[str, int] = field(default_factory=dict)  # groups that never move, from the bottom
    schedules: dict[str, Schedule | float] = field(default_factory=dict)
    n_moving: dict[str, int] = field(default_factory=dict)  # groups that move now, from the top
    overlays: list[dict[str, str]] = field(default_factory=list)  # of blocks of code, the innermost last


def plan_freezing(pipeline: Pipeline, trees: Mapping[str, nn.Module], schedules: Mapping[str, Any]) -> Freezing:
    """Find the layers that the config freezes by height.

    Args:
        trees: of publishers and components, with their encoders loaded.
        schedules: those of `[training.freezing.unfreezing]`, as objects.
    Raises:
        ConfigError: a name is no transformer, or has no such layers.
    """
    freezing = Freezing(trees=dict(trees))
    section = (pipeline.config.get("training") or {}).get("freezing") or {}
    for name, n_layers in (section.get("lowest_layers") or {}).items():
        groups = _stack(freezing, name, LOWEST)
        check_lowest(name, n_layers, len(groups) - 1)
        freezing.n_lowest[name] = n_layers + 1
    for name, schedule in schedules.items():
        _stack(freezing, name, UNFREEZING)
        freezing.schedules[name] = schedule
        freezing.n_moving[name] = len(freezing.stacks[name])  # all, for a look at what may ever move
    if schedules:
        modes.declare(freezing.trees, _declared(pipeline, freezing))
    for name in schedules:
        _mark_stages(freezing, name)
        freezing.n_moving[name] = _moving_at(freezing, name, 0, None)
    return freezing


def check_lowest(name: str, n_lowest: int, n_layers: int) -> None:
    """Raise ConfigError where more layers of a transformer are to be frozen than it has."""
    if not 0 <= n_lowest <= n_layers:
        raise ConfigError(
            f"The lowest {n_lowest} layers of '{name}' are to be frozen, but it has {n_layers}.",
            where=f"{LOWEST}.{name}",
            fix=f"Give 0 (the embeddings alone) to {n_layers}.",
        )


def bind_schedules(freezing: Freezing, *, total_steps: int | None) -> None:
    """Tell the schedules of unfreezing how long the run is."""
    for name, schedule in freezing.schedules.items():
        if isinstance(schedule, Schedule):
            freezing.schedules[name] = schedule.bind(total_steps=total_steps)


def begin_step(pipeline: Pipeline, *, step: int, last_score: float | None) -> None:
    """Unfreeze what the schedules let move from this step on; nothing when that is as it was."""
    freezing = pipeline.freezing
    moving = {name: _moving_at(freezing, name, step, last_score) for name in freezing.schedules}
    if moving != freezing.n_moving:
        freezing.n_moving = moving
        declare(pipeline)


@contextmanager
def overlaid(pipeline: Pipeline, patterns: Mapping[str, str]) -> Iterator[None]:
    """Lay modes over those of the config for the block; see `Pipeline.modes`."""
    overlay = dict(patterns)
    pipeline.freezing.overlays.append(overlay)
    try:
        declare(pipeline)
        yield
    finally:
        pipeline.freezing.overlays = [one for one in pipeline.freezing.overlays if one is not overlay]
        declare(pipeline)


def declare(pipeline: Pipeline) -> None:
    """Declare to all modules what holds now; parameters are sorted anew where that changes what moves.

    Raises:
        ConfigError: a pattern matches nothing, or an unknown mode.
    """
    freezing = pipeline.freezing
    before = _what_moves(freezing)
    declared = _declared(pipeline, freezing)
    for overlay in freezing.overlays:
        declared = _laid_over(declared, overlay)
    modes.declare(freezing.trees, declared)
    for publisher in pipeline.publishers.values():
        if not any(reader.may_want_gradient for reader in publisher.readers):
            stand_still(freezing.trees[publisher.name])  # nobody teaches it: not even weight decay may move it
    if pipeline.parameters.groups and _what_moves(freezing) != before:
        pipeline.parameters.refresh()
        for name in pipeline.order:
            for embedder in embedders_in(pipeline.part(name).model):
                if isinstance(embedder, Transformer):
                    embedder.forget_what_moves()


def _declared(pipeline: Pipeline, freezing: Freezing) -> dict[str, str]:
    """Pattern -> mode: adapters', copies', the config's, frozen components, layers by height; later ones win."""
    adapted = _with_adapters(freezing)
    declared = {f"{name}.{pattern}": mode for name in adapted for pattern, mode in MODES.items()}
    declared = _laid_over(declared, {f"{name}.*": FROZEN for name in _copies(pipeline, freezing)})
    declared = _laid_over(declared, pipeline.config["pipeline"].get("modes") or {})
    declared = _laid_over(declared, {f"{name}.*": FROZEN for name in sorted(pipeline.frozen)})
    for name, groups in freezing.stacks.items():
        n_still = freezing.n_lowest.get(name, 0)
        if name in freezing.n_moving:
            n_still = max(n_still, len(groups) - freezing.n_moving[name])
        of_layers = {f"{name}.{module}.*": FROZEN for group in groups[:n_still] for module in group}
        declared = _laid_over(declared, of_layers)
    return declared


def _with_adapters(freezing: Freezing) -> Iterator[str]:
    """The names of the encoders that have adapters."""
    for part, tree in freezing.trees.items():
        for name, module in modes.named_modules(part, tree):
            if isinstance(module, Encoder) and module.adapter is not None:
                yield name


def _copies(pipeline: Pipeline, freezing: Freezing) -> Iterator[str]:
    """The names of the private embedders that are frozen copies of a publisher."""
    for part, component in pipeline.components.items():
        copies = [embedder_of(node).module for node in embedder_nodes(component.model) if node.attrs.get(COPY_OF)]
        for name, module in modes.named_modules(part, freezing.trees[part]) if copies else ():
            if any(module is one for one in copies):
                yield name


def _laid_over(declared: Mapping[str, str], later: Mapping[str, str]) -> dict[str, str]:
    """Both, the later patterns behind the others, so that they win."""
    return {**{pattern: mode for pattern, mode in declared.items() if pattern not in later}, **later}


def _stack(freezing: Freezing, name: str, where: str) -> list[list[str]]:
    if name not in freezing.stacks:
        encoder = _encoder(freezing, name, where)
        n_layers = encoder.n_hidden_states - 1
        freezing.stacks[name] = stack_of(encoder, n_layers=n_layers, where=f"{where}.{name}")
    return freezing.stacks[name]


def _encoder(freezing: Freezing, name: str, where: str) -> Encoder:
    """A publisher's encoder, or a private one by its module's name, such as `tagger.transformer`."""
    modules = dict(pair for part, tree in freezing.trees.items() for pair in modes.named_modules(part, tree))
    found = modules.get(name)
    if isinstance(found, Encoder):
        return found
    encoders = [other for other, module in modules.items() if isinstance(module, Encoder)]
    raise ConfigError(
        f"'{name}' is no transformer of the pipeline.", where=f"{where}.{name}", fix=did_you_mean(name, encoders)
    )


def _moving_at(freezing: Freezing, name: str, step: int, last_score: float | None) -> int:
    schedule = freezing.schedules[name]
    value = schedule(step, last_score) if isinstance(schedule, Schedule) else schedule
    return max(0, min(int(value), len(freezing.stacks[name])))


def _mark_stages(freezing: Freezing, name: str) -> None:
    """Name the group of each layer's parameters that may ever move, and refuse a plan that could move none."""
    encoder = _encoder(freezing, name, UNFREEZING)
    if not any(parameter.requires_grad for parameter in encoder.parameters()):
        raise ConfigError(
            f"'{name}' is to be unfrozen step by step, but it is frozen as a whole.",
            where=f"{UNFREEZING}.{name}",
            fix="Take it out of pipeline.modes and training.frozen_components, or out of training.freezing.unfreezing.",
        )
    for number, group in enumerate(freezing.stacks[name]):
        if number < freezing.n_lowest.get(name, 0):
            continue
        stage = f"layer-{number:02d}"
        for module in group:
            for parameter in encoder.get_submodule(module).parameters():
                if parameter.requires_grad:
                    setattr(parameter, STAGE_ATTRIBUTE, stage)


def _what_moves(freezing: Freezing) -> list[bool]:
    flags = []
    for tree in freezing.trees.values():
        for part in tree.modules():
            flags += [parameter.requires_grad for parameter in part.parameters(recurse=False)]
            node: ThincModel = getattr(part, "node", None)
            flags += [] if node is None else [not node.attrs.get("frozen", False)]
    return flags
