"""What frostline adds to the encoder in prediction, and to the heads in the later epochs of a frozen run.

    cd assets/ewt; python ../../benchmarks/shared_embedding.py --model all-MiniLM-L6-v2 \\
        --train en_ewt-ud-train.conllu --test en_ewt-ud-test.conllu

Two ratios, each of two things that take turns, batch by batch, so that both meet the same weather on the machine:

- the bare publisher (docs in, activations out) beside the bare Hugging Face model on the same windows, padded to the
  longest of a batch with torch's own attention, in the same precision. Wanted: at least 0.93 times its rate.
- an epoch of a frozen run whose activations are stored, beside the same epoch on random activations of the same shape
  that lie in memory: its heads alone. Wanted: at most 1.15 times its time.

Wall-clock time; close everything else first.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from frostline_side import build
from profile_step import bare_model, rows_of
from torch import Tensor
from transformers.utils import logging

from frostline.config import registry
from frostline.corpora.batching import batch_by_words
from frostline.embedding.activations import Activations
from frostline.embedding.transformer import Transformer
from frostline.layers.randomness import Clock
from frostline.pipeline import Pipeline
from frostline.pipeline.reading import reader_of
from frostline.pipeline.wiring import embedders_of
from frostline.tokens import Doc, Example
from frostline.training.run import attach_stores

Batch = Sequence[Doc]
Work = Callable[[Batch], object]


def main() -> None:
    """Print both ratios for each precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True, help="CoNLL-U")
    parser.add_argument("--test", type=Path, required=True, help="CoNLL-U")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--batch-words", type=int, default=0, help="words per step; 0 for the config's own")
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    for precision in ("bf16", "float32"):
        options = {**vars(arguments), "precision": precision, "n_sentences": 10}
        for report, task in ((publisher, "predict"), (later_epochs, "frozen")):
            with tempfile.TemporaryDirectory() as folder:
                given = argparse.Namespace(**options, task=task)
                report(*build(given, Path(folder)), given)


def publisher(pipeline: Pipeline, _: Any, arguments: argparse.Namespace) -> None:
    """The publisher beside the bare model."""
    (transformer,) = embedders_of(pipeline)
    assert isinstance(transformer, Transformer)
    bare = [doc.without_annotations() for doc in itertools.islice(reader_of(pipeline.config, "dev"), 400)]
    batches = list(itertools.islice(batch_by_words(iter(bare), 2000), arguments.batches))
    model = bare_model(arguments.model, arguments.precision, is_train=False)
    padded = {id(batch): rows_of(transformer, [batch]) for batch in batches}

    def publish(docs: Batch) -> object:
        return transformer.compute(docs, is_train=False)

    @torch.no_grad()
    def forward(docs: Batch) -> object:
        return [model(**row).last_hidden_state for row in padded[id(docs)]]

    ours, theirs = take_turns(publish, forward, batches, arguments.rounds)
    show(f"prediction, {arguments.precision}", "publisher", ours, "bare Hugging Face model", theirs, batches)


def later_epochs(pipeline: Pipeline, docs: Any, arguments: argparse.Namespace) -> None:
    """An epoch with stored activations beside one on random activations."""
    (transformer,) = embedders_of(pipeline)
    assert isinstance(transformer, Transformer)
    section = pipeline.config["training"]
    batcher = registry.resolve(section["batcher"], path="training.batcher")
    batches = list(itertools.islice(batcher(iter(docs)), arguments.batches))
    optimizer = registry.resolve(section["optimizer"], path="training.optimizer")
    optimizer.bind(total_steps=900)
    numbers = itertools.count()
    random = Random(transformer, [doc for batch in batches for doc in batch])

    def step(docs: Batch) -> None:
        number = next(numbers)
        pipeline.parameters.zero_gradients()
        examples = [Example(doc.without_annotations(), doc) for doc in docs]
        pipeline.update([examples], dropout=0.1, clock=Clock(seed=0, step=number))
        optimizer.step(pipeline.parameters, step=number)

    def with_random(docs: Batch) -> None:
        with patch.object(Transformer, "compute", random.compute):
            step(docs)

    with tempfile.TemporaryDirectory() as folder:
        attach_stores(pipeline, {}, Path(folder))
        for batch in batches:
            step(batch)
        ours, theirs = take_turns(step, with_random, batches, arguments.rounds)
        for store in transformer.stores:
            store.close()
    show(f"a frozen epoch, {arguments.precision}", "stored", ours, "heads alone", theirs, batches)


class Random:
    """Random activations for known docs, by their words."""

    def __init__(self, transformer: Transformer, docs: Batch) -> None:
        self.transformer = transformer
        self.known: dict[tuple[str, ...], tuple[Tensor, Tensor]] = {}
        width = transformer.width
        for doc in docs:
            pieces = transformer.pieces_of([doc])
            numbers = torch.randn(len(transformer.layer_numbers()), len(pieces.ids), width)
            self.known[tuple(doc.words)] = torch.from_numpy(pieces.n_pieces_of_token), numbers

    def compute(self, docs: Batch, **_: Any) -> Activations:
        """What `Transformer.compute` gives, without an encoder or a store."""
        counts, numbers = zip(*(self.known[tuple(doc.words)] for doc in docs), strict=True)
        return Activations(
            docs=tuple(docs), pieces=torch.cat(numbers, dim=1), n_pieces_of_token=torch.cat(counts),
            layers=self.transformer.layer_numbers(), n_all_layers=self.transformer.n_hidden_states,
        )  # fmt: skip


def take_turns(one: Work, other: Work, batches: Sequence[Batch], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each round, both things alternating batch by batch; a round before does not count."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        spent = [0.0, 0.0]
        for batch in batches:
            for place, work in enumerate((one, other)):
                started = time.perf_counter()
                work(batch)
                spent[place] += time.perf_counter() - started
        if number:
            for of_side, value in zip(seconds, spent, strict=True):
                of_side.append(value)
    return seconds


def show(title: str, one: str, ours: list[float], other: str, theirs: list[float], batches: Sequence[Batch]) -> None:
    """One line: the median rates, and the ratio of times with its spread over the rounds."""
    n_words = sum(len(doc) for batch in batches for doc in batch)
    rates = [n_words / statistics.median(side) for side in (ours, theirs)]
    ratios = sorted(mine / other for mine, other in zip(ours, theirs, strict=True))
    print(
        f"{title}: {one} {rates[0]:,.0f} words/s, {other} {rates[1]:,.0f} words/s; "
        f"time {statistics.median(ratios):.3f} times its ({ratios[0]:.3f}–{ratios[-1]:.3f}), "
        f"rate {1 / statistics.median(ratios):.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
