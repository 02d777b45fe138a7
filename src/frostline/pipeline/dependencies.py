"""What a component depends on while others learn: annotations that somebody must write, an embedding that moves.

Found from the config and the wiring before anything is loaded, as far as they tell. Nothing is changed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from frostline.config.arguments import Fault
from frostline.config.registry import CONFIG_PATH
from frostline.embedding.annotation_features import features_in
from frostline.embedding.listener import publishers_read_by, reading_of
from frostline.layers.modes import mode_of

if TYPE_CHECKING:
    from frostline.pipeline.pipeline import Pipeline


def faults_of_features(pipeline: Pipeline) -> Iterator[Fault]:
    """The columns that a component reads from the docs, but that nobody before it writes there in training."""
    written: set[str] = set()
    for name in pipeline.order:
        component = pipeline.components.get(name)
        if component is None:
            continue
        for node in features_in(component.model):
            path = str(node.attrs.get(CONFIG_PATH, f"components.{name}.model"))
            for column in node.attrs["columns"]:
                if column not in written:
                    yield _not_written(pipeline, name, column, path)
        if name in pipeline.annotating:
            written.update(getattr(component, "columns", ()))


def _not_written(pipeline: Pipeline, reader: str, column: str, path: str) -> Fault:
    before = pipeline.order[: pipeline.order.index(reader)]
    writers = [name for name in before if column in getattr(pipeline.components.get(name), "columns", ())]
    if writers:
        fix = f'Add "{writers[-1]}" to training.annotating_components.'
    else:
        fix = f"Put a component that predicts {column} before '{reader}', and into training.annotating_components."
    message = f"'{reader}' reads {column} from the docs, but in training no component before it writes it there."
    return Fault(path=f"{path}.columns", message=message, fix=fix)


def faults_of_declared_drift(pipeline: Pipeline) -> Iterator[Fault]:
    """The components that stand still on an embedding that moves, as far as the config alone tells for certain.

    Each step takes the embedding away from what such a component knows. `faults_of_drift` knows all of them.
    """
    for component, publisher in _dependent(pipeline, lambda name: name in pipeline.frozen):
        is_taught = any(reader.may_want_gradient for reader in pipeline.publishers[publisher].readers)
        if is_taught and publisher not in pipeline.frozen and not _may_be_still(pipeline, publisher):
            yield _drift(component, publisher)


def faults_of_drift(pipeline: Pipeline) -> Iterator[Fault]:
    """The components that stand still on an embedding that moves, once the modes of all parameters are declared."""
    for component, publisher in _dependent(pipeline, lambda name: _stands_still(pipeline, name)):
        if _ever_moves(pipeline, publisher):
            yield _drift(component, publisher)


def _dependent(pipeline: Pipeline, stands_still: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """(component that stands still, publisher that it reads), where drift is not allowed."""
    if pipeline.config.get("training", {}).get("allow_drift"):
        return
    for name, component in pipeline.components.items():
        if stands_still(name):
            yield from ((name, publisher.name) for publisher in publishers_read_by(component.model))


def _may_be_still(pipeline: Pipeline, publisher: str) -> bool:
    """Whether something in the config may freeze a publisher, and only its modules tell how much of it."""
    patterns = pipeline.config["pipeline"].get("modes") or {}
    lowest = (pipeline.config["training"].get("freezing") or {}).get("lowest_layers") or {}
    touching = re.compile(rf"{re.escape(publisher)}(\.|$)|[^.]*[*?\[]")
    return publisher in lowest or any(touching.match(pattern) for pattern in patterns)


def _stands_still(pipeline: Pipeline, component: str) -> bool:
    """Whether a component neither learns nor tells its publishers what it needs."""
    if component in pipeline.frozen:
        return True
    passes_gradient = mode_of(pipeline.freezing.trees[component]).passes_gradient
    readings = [reading_of(node) for node in pipeline.components[component].model.walk()]
    if passes_gradient and any(reading.may_want_gradient for reading in readings if reading is not None):
        return False
    return _has_parameters(pipeline, component) and not _ever_moves(pipeline, component)


def _has_parameters(pipeline: Pipeline, part: str) -> bool:
    return any(group.component == part for group in pipeline.parameters.groups)


def _ever_moves(pipeline: Pipeline, part: str) -> bool:
    """Whether a parameter of a publisher or component, or of its private encoder, moves now or once it is unfrozen."""
    owned = [group for group in pipeline.parameters.groups if f"{group.component}.".startswith(f"{part}.")]
    return any(group.may_move for group in owned)


def _drift(component: str, publisher: str) -> Fault:
    return Fault(
        path="training.frozen_components",
        message=f"'{component}' is frozen, but it reads '{publisher}', which goes on learning: its input would drift "
        "away from what it knows.",
        fix=f"Freeze both ([pipeline.modes] {publisher}.* = \"frozen\"), give it a frozen copy of its own "
        f'(training.replace_listeners = ["{component}"]), or accept it (training.allow_drift = true).',
    )
