"""Find what is wrong with a filled config before any work: build all that needs no data, and collect every fault.

fill.py has checked names, keys and types by then. Found here are what only constructors know, what shows when parts
meet, what is not on the disk, and whether the dev corpus can be scored. Indexes of corpora, the config.json of
encoders and as many docs of dev as that takes are read, weights are not. Loggers are not built: to make one may start
to track a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from thinc.api import Model

from frostline.config import registry
from frostline.config.arguments import Fault, join, raise_faults
from frostline.embedding.embedders import Embedder, embedder_nodes, embedder_of
from frostline.embedding.hub import read_config
from frostline.embedding.listener import reading_of
from frostline.embedding.skeleton import skeleton_of
from frostline.embedding.transformer import Transformer
from frostline.errors import ConfigError, FrostlineError, did_you_mean
from frostline.evaluation import weighted_score
from frostline.layers.modes import check_pattern, named_modules
from frostline.pipeline.freezing import check_lowest
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.private_copies import with_private_copies
from frostline.pipeline.vectors import layers_with_vectors
from frostline.pipeline.wiring import (
    connect,
    faults_of_layers,
    make_part,
    models_of,
    named_embedders,
    path_of,
    put_together,
)
from frostline.training.driver import check_ending
from frostline.training.initialize import check_source
from frostline.training.readiness import check_dev, check_words
from frostline.training.schedules import as_schedule, check_dropout
from frostline.vectors.store import read_meta

STEPS_LOOKED_AT = 1000  # of a dropout's schedule, where only the corpus says how long the run is


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that stops a run."""

    fault: Fault
    error: FrostlineError  # as it was raised

    @property
    def is_absence(self) -> bool:
        """Whether a corpus or an encoder can't be read here; the config may be right, and an earlier step bring it."""
        return not isinstance(self.error, ConfigError)


def find_faults(
    config: Mapping[str, Any], *, corpora: Sequence[str] | None = None, annotated: bool | None = None
) -> list[Finding]:
    """Try everything that a filled config describes.

    Args:
        config: interpolated; sections may be left out.
        corpora: names of those that are needed; None for all.
        annotated: whether dev is to be scored by its annotations, as that of a pretraining is not; None for what the
            sections say.
    """
    found: list[Finding] = []
    if config.get("pipeline"):
        found += _of_pipeline(config)
    for name, block in (config.get("corpora") or {}).items():
        if corpora is None or name in corpora:
            found += _of_block(block, f"corpora.{name}")
    if config.get("training"):
        found += _of_training(config["training"])
        found += attempt(partial(check_luck, config), "training.on_out_of_memory")[1]
        found += _of_dev(config, annotated=bool(config.get("pipeline")) if annotated is None else annotated)
    return [finding for i, finding in enumerate(found) if finding.fault not in [other.fault for other in found[:i]]]


def check_training(config: Mapping[str, Any], *, annotated: bool = True) -> None:
    """Raise one error for all that would stop a training with this config.

    Args:
        annotated: whether the best model is chosen by annotations of dev.
    Raises:
        ConfigError: all faults, each with its config path and, where the config knows it, file and line.
        CorpusError, ModelFileError: one corpus or encoder is missing or broken, and nothing else is wrong.
    """
    found = find_faults(config, corpora=("train", "dev"), annotated=annotated)
    if len(found) == 1 and found[0].is_absence:
        raise found[0].error
    if found:
        raise_faults([finding.fault for finding in found], getattr(config, "locate", lambda path: None))


def attempt(make: Callable[[], Any], path: str) -> tuple[Any, list[Finding]]:
    """What `make` gives, or None and what is wrong. path: the config path of what it makes."""
    try:
        return make(), []
    except ConfigError as error:
        return None, [_finding(error, error.where or path)]
    except FrostlineError as error:
        return None, [_finding(error, path)]


def _finding(error: FrostlineError, path: str) -> Finding:
    message = error.message
    if error.where and error.where != path and not isinstance(error, ConfigError):
        message = f"{message.rstrip('.')}: {error.where}."  # of a file: the config path says where it was named
    return Finding(fault=Fault(path=path, message=message, fix=error.fix), error=error)


def _of_block(block: Any, path: str) -> list[Finding]:
    """A block that fails hides those inside and beside it, so these are tried by themselves then."""
    if not isinstance(block, dict):
        return []
    found = attempt(partial(registry.resolve, block, path=path), path)[1]
    return found + _of_inner_blocks(block, path) if found else []


def _of_inner_blocks(block: Mapping[str, Any], path: str) -> list[Finding]:
    return [finding for key, value in block.items() for finding in _of_block(value, join(path, key))]


def _of_pipeline(config: Mapping[str, Any]) -> list[Finding]:
    parts: dict[str, Any] = {}
    copied, found = attempt(partial(with_private_copies, config), "training.replace_listeners")
    if found:
        return found
    config = copied
    found = _of_block(config["pipeline"].get("tokenizer"), "pipeline.tokenizer")
    for name in config["pipeline"]["components"]:
        parts[name], faults = attempt(partial(make_part, config, name), f"components.{name}")
        if faults:
            found += faults + _of_inner_blocks(config.get("components", {}).get(name, {}), f"components.{name}")
    found += _of_modes(config["pipeline"].get("modes", {}), tuple(parts))
    if any(part is None for part in parts.values()):
        return found
    pipeline = put_together(dict(config), parts, None, device="cpu")
    faults_between, faults = attempt(partial(connect, pipeline), "components")
    found += faults
    found += [_finding(ConfigError(one.message, fix=one.fix), one.path) for one in faults_between or ()]
    return found + list(_of_encoders(pipeline, is_connected=faults_between == []))


def _of_modes(modes: Mapping[str, str], names: Sequence[str]) -> Iterator[Finding]:
    """Patterns of modules that begin with no component; what they match further on is known with the encoders."""
    for pattern in modes:
        component = pattern.partition(".")[0]
        if component not in names and not any(sign in component for sign in "*?["):
            message = f"The pattern '{pattern}' matches no module of the pipeline."
            yield _finding(ConfigError(message, fix=did_you_mean(component, names)), f"pipeline.modes.{pattern}")


def _of_encoders(pipeline: Pipeline, *, is_connected: bool) -> Iterator[Finding]:
    for path, layer in layers_with_vectors(models_of(pipeline)):
        yield from attempt(partial(read_meta, Path(layer.path)), f"{path}.path")[1]
    yield from _of_modules(pipeline)
    n_states: dict[int, int] = {}  # by the identity of the embedder
    for name, model in models_of(pipeline):
        for node in embedder_nodes(model):
            embedder = embedder_of(node)
            if isinstance(embedder, Transformer):
                config, found = _config_of_encoder(name, node, embedder)
                yield from found
                if config is not None:
                    n_states[id(embedder)] = config.num_hidden_layers + 1
            else:
                n_states[id(embedder)] = embedder.n_hidden_states
    yield from _of_freezing(pipeline, n_states)
    yield from _of_factors(pipeline)
    if is_connected:

        def n_states_of(embedder: Embedder) -> int | None:
            return n_states.get(id(embedder))

        for error in faults_of_layers(pipeline, n_states_of):
            yield _finding(error, error.where or "")


def _of_modules(pipeline: Pipeline) -> Iterator[Finding]:
    """Targets of adapters, and patterns for modules of a transformer, that its config.json has no module for.

    A pattern that could match modules of other parts too is left for the start of the training, as is all that is
    wrong with the encoder itself.
    """
    modes = pipeline.config["pipeline"].get("modes") or {}
    for name, model in models_of(pipeline):
        for (owner, embedder), node in zip(named_embedders(pipeline, name), embedder_nodes(model), strict=True):
            patterns = [pattern for pattern in modes if pattern.startswith(f"{owner}.") and pattern != f"{owner}.*"]
            if not isinstance(embedder, Transformer) or not (patterns or embedder.settings.adapter):
                continue
            if name in pipeline.publishers and model.layers:
                continue  # a layer of somebody's own around it: names begin with those of its parts
            tree, found = attempt(partial(skeleton_of, embedder.settings), path_of(node, name))
            yield from (_below(finding, path_of(node, name)) for finding in found if _is_of_adapter(finding))
            names = [module for module, _ in named_modules(owner, tree)] if tree is not None else []
            for pattern in patterns if names else ():
                yield from attempt(partial(check_pattern, pattern, names), "pipeline.modes")[1]


def _is_of_adapter(finding: Finding) -> bool:
    return finding.fault.path.startswith("adapter")


def _below(finding: Finding, path: str) -> Finding:
    return replace(finding, fault=replace(finding.fault, path=join(path, finding.fault.path)))


def _of_freezing(pipeline: Pipeline, n_states: Mapping[int, int]) -> Iterator[Finding]:
    """Names that are no transformer's, more layers than an encoder has, schedules that can't be made."""
    freezing = (pipeline.config.get("training") or {}).get("freezing") or {}
    embedders = (pair for name in pipeline.order for pair in named_embedders(pipeline, name))
    known = {name: embedder for name, embedder in embedders if isinstance(embedder, Transformer)}
    for key in ("lowest_layers", "unfreezing"):
        for name, value in (freezing.get(key) or {}).items():
            path = f"training.freezing.{key}.{name}"
            if name not in known:
                fix = did_you_mean(name, known)
                yield _finding(ConfigError(f"'{name}' is no transformer of the pipeline.", fix=fix), path)
            elif key == "unfreezing":
                yield from attempt(partial(_bound_rate, value, path, _length_of(pipeline.config)), path)[1]
            else:
                n_layers = n_states.get(id(known[name]), value + 1) - 1
                yield from attempt(partial(check_lowest, name, value, n_layers), path)[1]


def _bound_rate(value: Any, path: str, n_steps: int | None) -> Any:
    rate = registry.resolve(value, path=path) if isinstance(value, dict) else value
    return as_schedule(rate, where=path).bind(total_steps=n_steps)


def _of_factors(pipeline: Pipeline) -> Iterator[Finding]:
    """Schedules of gradient factors that need a length where the run has none."""
    for name, model in models_of(pipeline):
        for node in model.walk():
            reading = reading_of(node)
            if reading is not None and reading.schedule is not None:
                check = partial(reading.schedule.bind, total_steps=_length_of(pipeline.config))
                yield from attempt(check, f"{path_of(node, name)}.grad_factor")[1]


def _length_of(config: Mapping[str, Any]) -> int | None:
    """Steps of the run, as far as schedules must know for a first look; None where it has no length."""
    training = config.get("training") or {}
    return training.get("max_steps") or (STEPS_LOOKED_AT if training.get("max_epochs") else None)


def _config_of_encoder(component: str, node: Model, transformer: Transformer) -> tuple[Any, list[Finding]]:
    path, settings = path_of(node, component), transformer.settings
    _, found = attempt(partial(check_source, component, node), f"{path}.source")
    if found:
        return None, found
    try:
        return read_config(Path(settings.source), settings.transformer_settings), []
    except ConfigError as error:
        return None, [_finding(error, f"{path}.transformer_settings")]
    except FrostlineError as error:
        return None, [_finding(error, f"{path}.source")]


def _of_training(training: Mapping[str, Any]) -> list[Finding]:
    found = [finding for key in ("batcher", "dropout", "optimizer")
             for finding in _of_block(training.get(key), f"training.{key}")]  # fmt: skip
    n_epochs, n_steps, patience = (training.get(key, 0) for key in ("max_epochs", "max_steps", "patience"))
    checks: list[Callable[[], Any]] = [
        partial(check_ending, max_epochs=n_epochs, max_steps=n_steps, patience=patience),
        partial(weighted_score, {}, training.get("score_weights")),
    ]
    if not found and (n_epochs or n_steps or patience):
        length = n_steps or (STEPS_LOOKED_AT if n_epochs else None)
        checks += [partial(_check_dropout, training.get("dropout", 0.0), length),
                   partial(_check_optimizer, training["optimizer"], length)]  # fmt: skip
    return found + [finding for check in checks for finding in attempt(check, "training")[1]]


def _of_dev(config: Mapping[str, Any], *, annotated: bool) -> list[Finding]:
    """Whether the dev corpus can choose a best model; silent where other checks have found why it can't be asked."""
    block = (config.get("corpora") or {}).get("dev")
    weights = config["training"].get("score_weights") or {}
    if not isinstance(block, dict):
        return []
    docs, faults = attempt(partial(registry.resolve, block, path="corpora.dev"), "corpora.dev")
    if faults or attempt(partial(weighted_score, {}, weights), "training")[1]:
        return []
    name = str(block.get("path") or block.get("@readers"))
    check = partial(check_dev, docs, weights, name=name) if annotated else partial(check_words, docs, name=name)
    return attempt(check, "corpora.dev")[1]


def check_luck(config: Mapping[str, Any]) -> None:
    """Raise ConfigError where a run that must not depend on luck is to divide what does not fit the memory."""
    is_strict = (config.get("system") or {}).get("deterministic") == "strict"
    if is_strict and config["training"].get("on_out_of_memory") == "halve":
        raise ConfigError(
            'Whether memory runs out is luck, and system.deterministic is "strict".',
            where="training.on_out_of_memory",
            fix='Set it to "fail" and choose batches that fit, or system.deterministic to "yes".',
        )


def _check_dropout(given: Any, n_steps: int | None) -> None:
    rate = registry.resolve(given, path="training.dropout") if isinstance(given, dict) else given
    schedule = as_schedule(rate, where="training.dropout").bind(total_steps=n_steps)
    check_dropout(schedule, n_steps=n_steps or STEPS_LOOKED_AT)


def _check_optimizer(block: Mapping[str, Any], n_steps: int | None) -> None:
    """Whether its schedules can do with a run that nothing but patience ends."""
    registry.resolve(block, path="training.optimizer").bind(total_steps=n_steps)
