"""`frostline train`: from a filled config to an output folder with the best and the last model.

Puts the pieces of this package together and owns none of their work: what a step is stands in loop.py, when to
evaluate, save and stop in driver.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frostline.config import registry
from frostline.config.schemas import ACTIVATION_CACHE_MIB
from frostline.config.user_code import CodeFiles
from frostline.embedding.cache import ActivationCache
from frostline.embedding.store import open_activations
from frostline.embedding.transformer import Transformer
from frostline.errors import ConfigError, did_you_mean
from frostline.files import refuse_to_lose, remove_tree
from frostline.pipeline.evaluation import precision_of
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.reading import reader_of
from frostline.pipeline.serialize import MODEL_FILES
from frostline.pipeline.vectors import check_vectors, digests_of
from frostline.pipeline.wiring import assemble, embedders_of
from frostline.training.averages import averages_from
from frostline.training.checking import check_training
from frostline.training.checkpoint import CHECKPOINT_FILES, digest_of_run
from frostline.training.driver import Outcome, Place, Policy
from frostline.training.driver import train as drive
from frostline.training.initialize import initialize
from frostline.training.loggers import Logger
from frostline.training.loop import Recipe
from frostline.training.loss_scale import with_loss_scale
from frostline.training.randomness import set_up
from frostline.training.readiness import check_predictions
from frostline.training.saving import CHECKPOINT, MODEL_BEST, MODEL_LAST
from frostline.training.schedules import as_schedule

PRIVATE_CACHE = ".activations.cache"  # of what stands still and no `embed` step served; gone after the run


def train(
    config: dict[str, Any], output: Path, *, device: str = "", threads: int = 0, logger: Logger | None = None,
    code: CodeFiles = (),
) -> Outcome:  # fmt: skip
    """Train a pipeline and write model-best, model-last, log.jsonl and timing.json to `output`.

    Goes on from the checkpoint in `output` when it belongs to this very config, data, code, versions and thread count.

    Args:
        config: filled and interpolated.
        device: in torch's notation; "" for the config's own.
        threads: that torch computes with; 0 for the config's own number.
        code: what was imported for it.
    Raises:
        FrostlineError: of the kind that says whose fault it is; the last state is saved first.
    """
    check_training(config)
    system, training = config["system"], config["training"]
    for name in (MODEL_BEST, MODEL_LAST):
        refuse_to_lose(output / name, MODEL_FILES, "a model")  # before hours of training, not after
    refuse_to_lose(output / CHECKPOINT, CHECKPOINT_FILES, "a checkpoint")
    set_up(system["seed"], deterministic=system["deterministic"], threads=threads or system["threads"])
    pipeline = assemble(config, device=device or system["device"])
    train_docs: Any = reader_of(config, "train")
    dev_docs: Any = reader_of(config, "dev")
    initialize(pipeline, lambda: train_docs, seed=_seed(config))
    check_predictions(pipeline, dev_docs, training["score_weights"])
    check_vectors(pipeline)
    digest = digest_of_run(config, _read_by(pipeline, train=train_docs.digest, dev=dev_docs.digest), code)
    cache = output / PRIVATE_CACHE  # of a run that was killed, where it left one
    max_mib = training.get("activation_cache_mib", ACTIVATION_CACHE_MIB)
    try:
        attach_stores(pipeline, training.get("activations") or {}, cache, max_mib=max_mib, run=digest)
        return drive(
            pipeline,
            train_docs,
            dev_docs,
            optimizer=with_loss_scale(
                registry.resolve(training["optimizer"], path="training.optimizer"),
                [one.ready for one in embedders_of(pipeline) if isinstance(one, Transformer)],
            ),
            recipe=_recipe(config),
            policy=Policy(
                max_steps=training["max_steps"],
                patience=training["patience"],
                eval_frequency=training["eval_frequency"],
                score_weights=training["score_weights"],
            ),
            place=Place(
                output=output,
                digest=digest,
                code=code,
                precision=precision_of(pipeline),
                device=pipeline.device,
            ),
            averages=averages_from(training["averages"]),
            logger=logger,
        )
    finally:
        remove_tree(cache)


def _read_by(pipeline: Pipeline, **corpora: str) -> dict[str, str]:
    """What a run reads beside its config, by digest, and where it computes: a checkpoint of other things is none."""
    encoders = {f"encoder-{number}": one.digest() for number, one in enumerate(embedders_of(pipeline))}
    vectors = {f"vectors of {path}": digest for path, digest in digests_of(pipeline).items()}
    return {**corpora, "device": pipeline.device, **encoders, **vectors}


def attach_stores(
    pipeline: Pipeline, paths: Mapping[str, str], cache: Path, *, max_mib: int = ACTIVATION_CACHE_MIB, run: str = ""
) -> None:
    """Let frozen transformers read their activations where they are, and keep what they compute themselves.

    One that is frozen up to some layer keeps what that layer gives.

    Args:
        paths: publisher -> folder that `frostline embed` wrote.
        cache: where the private cache of the run goes.
        max_mib: of each transformer's private cache; 0 for none.
        run: digest of all that decides a run's bytes: what another one has left in `cache` is not used.
    Raises:
        ConfigError: a name is no publisher, a publisher with a path is not frozen, or the folder was made with
            another encoder or other settings.
    """
    for name, path in paths.items():
        where = f"training.activations.{name}"
        if name not in pipeline.publishers:
            raise ConfigError(f"'{name}' is no publisher.", where=where, fix=did_you_mean(name, pipeline.publishers))
        transformer = pipeline.publishers[name].embedder
        if not isinstance(transformer, Transformer):
            raise ConfigError(
                f"Stored activations were given for '{name}', but it is no transformer.",
                where=where,
                fix="Take the path away: only transformers read stored activations.",
            )
        if not transformer.is_frozen:
            raise ConfigError(
                f"Stored activations were given for '{name}', but it is not frozen: they would be stale after a step.",
                where=where,
                fix=f'Freeze it ([pipeline.modes] "{name}.*" = "frozen"), or take the path away.',
            )
        store = open_activations(Path(path))
        _compare(store.settings, transformer.store_settings(), path, where)
        transformer.stores.append(store)
    for number, embedder in enumerate(embedders_of(pipeline)):
        if not isinstance(embedder, Transformer) or not max_mib:
            continue
        settings = embedder.store_settings() if embedder.is_frozen else embedder.lower_settings()
        if settings is None:
            continue
        kept = ActivationCache(
            cache / str(number), settings | {"run": run}, max_bytes=max_mib << 20, storage=embedder.settings.storage
        )
        (embedder.stores if embedder.is_frozen else embedder.lower_stores).append(kept)


def _compare(stored: Mapping[str, Any], wanted: Mapping[str, Any], path: str, where: str) -> None:
    for key, value in wanted.items():
        if stored.get(key) != value:
            raise ConfigError(
                f"The activations in '{path}' were made with another {key}: {stored.get(key)}, not {value}.",
                where=where,
                fix="Run `frostline embed` again with this config, or take the path away.",
            )


def _seed(config: Mapping[str, Any]) -> int:
    own = config["training"]["seed"]
    return int(config["system"]["seed"] if own is None else own)


def _recipe(config: Mapping[str, Any]) -> Recipe:
    training = config["training"]
    return Recipe(
        seed=_seed(config),
        batcher=registry.resolve(training["batcher"], path="training.batcher"),
        dropout=as_schedule(_resolved(training["dropout"], "training.dropout"), where="training.dropout"),
        accumulate_gradient=training["accumulate_gradient"],
        max_epochs=training["max_epochs"],
        on_out_of_memory=training.get("on_out_of_memory", "fail"),
    )


def _resolved(value: Any, path: str) -> Any:
    return registry.resolve(value, path=path) if isinstance(value, dict) else value
