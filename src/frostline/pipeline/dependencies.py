"""What a component depends on while others learn: annotations that somebody must write, an embedding that moves.

Found from the config and the wiring alone, before anything is loaded. Nothing is changed here.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import TYPE_CHECKING

from frostline.config.arguments import Fault
from frostline.config.registry import CONFIG_PATH
from frostline.embedding.annotation_features import features_in
from frostline.embedding.listener import publishers_read_by, reading_of

if TYPE_CHECKING:
    from frostline.pipeline.pipeline import Pipeline

FROZEN = "frozen"


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


def faults_of_drift(pipeline: Pipeline) -> Iterator[Fault]:
    """The components that stand still on an embedding that moves: each step takes it away from what they know."""
    if pipeline.config.get("training", {}).get("allow_drift"):
        return
    for name, component in pipeline.components.items():
        if not _stands_still(pipeline, name):
            continue
        for publisher in publishers_read_by(component.model):
            if moves(pipeline, publisher.name):
                yield _drift(name, publisher.name)


def moves(pipeline: Pipeline, publisher: str) -> bool:
    """Whether training moves any weight of a publisher: it is not wholly frozen, and somebody teaches it."""
    if publisher in pipeline.frozen or _is_declared_frozen(pipeline, publisher):
        return False
    return any(reader.may_want_gradient for reader in pipeline.publishers[publisher].readers)


def _stands_still(pipeline: Pipeline, component: str) -> bool:
    """Whether a component neither learns nor tells its publishers what it needs."""
    if component in pipeline.frozen:
        return True
    if not _is_declared_frozen(pipeline, component):
        return False
    readings = [reading_of(node) for node in pipeline.components[component].model.walk()]
    return not any(reading.may_want_gradient for reading in readings if reading is not None)


def _is_declared_frozen(pipeline: Pipeline, part: str) -> bool:
    """Whether the modes freeze the whole of a part: the last pattern for it does, and no later one is for a piece."""
    frozen = False
    for pattern, mode in (pipeline.config["pipeline"].get("modes") or {}).items():
        whole = fnmatch.fnmatchcase(part, pattern) or pattern == f"{part}.*"
        if whole:
            frozen = mode == FROZEN
        elif mode != FROZEN and pattern.startswith(f"{part}."):
            frozen = False
    return frozen


def _drift(component: str, publisher: str) -> Fault:
    return Fault(
        path="training.frozen_components",
        message=f"'{component}' is frozen, but it reads '{publisher}', which goes on learning: its input would drift "
        "away from what it knows.",
        fix=f"Freeze both ([pipeline.modes] {publisher}.* = \"frozen\"), give it a frozen copy of its own "
        f'(training.replace_listeners = ["{component}"]), or accept it (training.allow_drift = true).',
    )
