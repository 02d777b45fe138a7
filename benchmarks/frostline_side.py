"""Measure frostline: training and prediction of a tagger and a morphologizer over one transformer.

The counterpart of peers/spacy_side.py: same docs, same components, same thread count, the configs of the flagship.
Prints one JSON object on the last line of standard output, with the keys that the other side prints too.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from frostline.config import fill_config, load_config, registry
from frostline.config.starting import starting_config
from frostline.corpora.converters import convert
from frostline.evaluation.timing import peak_memory_mib
from frostline.pipeline import Pipeline
from frostline.pipeline.reading import reader_of
from frostline.pipeline.wiring import assemble, embedders_of
from frostline.tokens import Doc
from frostline.training.averages import NoAverages
from frostline.training.initialize import initialize
from frostline.training.loop import Position, Recipe, train_steps
from frostline.training.randomness import set_up
from frostline.training.run import attach_stores
from frostline.training.schedules import as_schedule

CONFIGS = Path(__file__).parents[1] / "configs"
CONFIG_OF_TASK = {"listener": "unfrozen-listener", "annotating": "unfrozen-annotating", "frozen": "frozen-listener",
                  "predict": "unfrozen-listener", "tok2vec": None, "tok2vec-predict": None}  # fmt: skip


def main() -> None:
    """Measure one task and print the figures."""
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        pipeline, docs = build(arguments, Path(folder))
        tasks = {"predict": predict, "tok2vec-predict": predict, "frozen": train_frozen}
        measured = tasks.get(arguments.task, train)(pipeline, docs, arguments)
    versions = {name: version(name) for name in ("frostline", "thinc", "torch", "transformers")}
    print(json.dumps({"side": "frostline", "task": arguments.task, "precision": arguments.precision, **measured,
                      "peak_memory_mib": peak_memory_mib(), "versions": versions}))  # fmt: skip


def parse() -> argparse.Namespace:
    """The options; those that peers/spacy_side.py has too mean the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=tuple(CONFIG_OF_TASK))
    parser.add_argument("--model", type=Path, required=True, help="folder of the encoder in Hugging Face's layout")
    parser.add_argument("--train", type=Path, required=True, help="CoNLL-U")
    parser.add_argument("--test", type=Path, required=True, help="CoNLL-U")
    parser.add_argument("--n-sentences", type=int, default=10, help="per doc")
    parser.add_argument("--warm-up", type=int, default=2, help="steps before the clock starts")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--predict-docs", type=int, default=0, help="docs of the test file, 0 for all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("float32", "bf16"), default="bf16")
    parser.add_argument("--batch-words", type=int, default=0, help="words per step; 0 for the config's own")
    return parser.parse_args()


def build(arguments: argparse.Namespace, folder: Path) -> tuple[Pipeline, Any]:
    """The initialized pipeline and the training docs, read from corpora in `folder`."""
    convert([arguments.train], folder / "train")
    convert([arguments.test], folder / "test")
    name = CONFIG_OF_TASK[arguments.task]
    publisher = "tok2vec" if name is None else "transformer"
    overrides: dict[str, Any] = {
        "paths.train": str(folder / "train"),
        "paths.dev": str(folder / "test"),
        f"components.{publisher}.model.precision": arguments.precision,
        "corpora.train.n_sentences": arguments.n_sentences,
        "corpora.dev.n_sentences": arguments.n_sentences,
        "system.threads": arguments.threads,
    }
    if arguments.batch_words:
        overrides["training.batcher.n_words"] = arguments.batch_words
    if name is None:
        path = folder / "tok2vec.cfg"
        path.write_text(starting_config(["tok2vec", "tagger", "morphologizer"], variant="unfrozen-listener", lang="en"))
    else:
        path = CONFIGS / f"{name}.cfg"
        overrides["paths.transformer"] = str(arguments.model)
        # as in project.yml
        overrides["components.transformer.model.transformer_settings"] = {"attention_probs_dropout_prob": 0.0}
    config, _ = fill_config(load_config(path, overrides))
    set_up(config["system"]["seed"], deterministic=config["system"]["deterministic"], threads=arguments.threads)
    pipeline = assemble(config, device=config["system"]["device"])
    docs: Any = reader_of(config, "train")
    initialize(pipeline, lambda: docs, seed=config["training"]["seed"])
    return pipeline, docs


def train(pipeline: Pipeline, docs: Sequence[Doc], arguments: argparse.Namespace) -> dict[str, object]:
    """Time optimizer steps of the library's own loop."""
    section = pipeline.config["training"]
    recipe = Recipe(
        seed=section["seed"], batcher=registry.resolve(section["batcher"], path="training.batcher"),
        dropout=as_schedule(section["dropout"]), accumulate_gradient=section["accumulate_gradient"],
    )  # fmt: skip
    optimizer = registry.resolve(section["optimizer"], path="training.optimizer")
    optimizer.bind(total_steps=900)
    steps = train_steps(pipeline, docs, optimizer=optimizer, averages=NoAverages(), recipe=recipe, position=Position())
    n_words, seconds = [], []
    for _ in range(arguments.warm_up + arguments.steps):
        started = time.perf_counter()
        result = next(steps)
        seconds.append(time.perf_counter() - started)
        n_words.append(result.n_words)
    return summary(n_words[arguments.warm_up :], seconds[arguments.warm_up :])


def train_frozen(pipeline: Pipeline, docs: Sequence[Doc], arguments: argparse.Namespace) -> dict[str, object]:
    """Time the encoder over some docs once, and then steps that find its output stored; gives the rate of 8 epochs.

    A whole training pays for the encoder once, so its rate is that of both parts, weighted 1 to 8.
    """
    n_epochs = pipeline.config["training"]["max_epochs"]
    some = [docs[i] for i in range(min(len(docs), 8 * (arguments.warm_up + arguments.steps)))]
    with tempfile.TemporaryDirectory() as folder:
        attach_stores(pipeline, {}, Path(folder))
        (transformer,) = embedders_of(pipeline)
        n_words = sum(map(len, some))
        started = time.perf_counter()
        for first in range(0, len(some), 32):
            transformer.compute(some[first : first + 32], is_train=False)
        embedding_rate = n_words / (time.perf_counter() - started)
        heads = train(pipeline, some, arguments)
    both = n_epochs / (1 / embedding_rate + n_epochs / float(str(heads["words_per_s"])))
    return {**heads, "words_per_s": both, "heads_words_per_s": heads["words_per_s"],
            "embedding_words_per_s": embedding_rate}  # fmt: skip


def predict(pipeline: Pipeline, _: Sequence[Doc], arguments: argparse.Namespace) -> dict[str, object]:
    """Time the pipeline over the test docs, whose tokens are given."""
    docs = list(itertools.islice(reader_of(pipeline.config, "dev"), arguments.predict_docs or None))
    list(pipeline.pipe([doc.without_annotations() for doc in docs[:16]]))
    inputs = [doc.without_annotations() for doc in docs]
    started = time.perf_counter()
    n_words = sum(len(doc) for doc in pipeline.pipe(inputs))
    return summary([n_words], [time.perf_counter() - started])


def summary(n_words: list[int], seconds: list[float]) -> dict[str, object]:
    """The rate over all steps, and the median of the steps' own rates."""
    rates = [words / spent for words, spent in zip(n_words, seconds, strict=True)]
    return {"words_per_s": sum(n_words) / sum(seconds), "median_words_per_s": statistics.median(rates),
            "words_per_step": sum(n_words) / len(n_words), "n_steps": len(n_words)}  # fmt: skip


if __name__ == "__main__":
    main()
