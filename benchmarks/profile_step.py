"""Where the time of a training step and of a prediction batch goes, and how far both are from the bare encoder.

The floor is the Hugging Face model alone on the same windows, padded to the longest of a batch, with torch's own
attention and the encoder's own dropout, in the same precision, forward and backward; frostline can be below it. Times
are CPU seconds of the process by default, which other work on the machine disturbs less than wall-clock time; with
more than one thread, use --clock wall on an idle machine.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from frostline_side import build
from torch.profiler import ProfilerActivity, profile
from transformers import AutoModel
from transformers.utils import logging

from frostline.config import registry
from frostline.embedding.activations import Activations
from frostline.embedding.batches import batches_by_length
from frostline.embedding.encoder import Encoder
from frostline.embedding.pieces import PieceTable
from frostline.embedding.transformer import Transformer
from frostline.embedding.windows import plan_windows
from frostline.layers.parameters import ParameterStore
from frostline.layers.randomness import Clock
from frostline.pipeline import Pipeline
from frostline.pipeline.wiring import embedders_of
from frostline.tokens import Doc, Example

CLOCKS: dict[str, Callable[[], float]] = {"cpu": time.process_time, "wall": time.perf_counter}


class Laps:
    """Seconds by name; a lap within another lap is counted in both."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.seconds: dict[str, float] = {}

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Add the time of the block."""
        started = self.clock()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self.clock() - started

    @contextmanager
    def around(self, owner: Any, method: str, name: str) -> Iterator[None]:
        """Time every call of a method for the block."""
        original = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.lap(name):
                return original(*args, **kwargs)

        setattr(owner, method, timed)
        try:
            yield
        finally:
            setattr(owner, method, original)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True, help="CoNLL-U")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="bf16")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-words", type=int, default=1000)
    parser.add_argument("--predict-words", type=int, default=4000)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="cpu")
    parser.add_argument("--operators", type=int, default=0, help="rows of torch's own operator table to show as well")
    parser.add_argument("--functions", type=int, default=0, help="rows of Python's function table to show as well")
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    arguments.task, arguments.test, arguments.n_sentences = "listener", arguments.train, 10
    with tempfile.TemporaryDirectory() as folder:
        pipeline, docs = build(arguments, Path(folder))
        steps = take(docs, arguments.steps, arguments.batch_words)
        batches = take(docs, max(1, arguments.steps // 2), arguments.predict_words)
        report_training(pipeline, steps, arguments)
        report_prediction(pipeline, batches, arguments)


def take(docs: Any, n_batches: int, n_words: int) -> list[list[Doc]]:
    """The first batches of a corpus."""
    batches: list[list[Doc]] = [[]]
    for doc in docs:
        if batches[-1] and sum(map(len, batches[-1])) + len(doc) > n_words:
            if len(batches) == n_batches:
                break
            batches.append([])
        batches[-1].append(doc)
    return batches


def report_training(pipeline: Pipeline, steps: list[list[Doc]], arguments: argparse.Namespace) -> None:
    """Time whole steps by their parts, beside the bare model on the same rows."""
    optimizer = registry.resolve(pipeline.config["training"]["optimizer"], path="training.optimizer")
    optimizer.bind(total_steps=900)

    def step(docs: list[Doc], number: int, laps: Laps) -> None:
        with laps.lap("whole"):
            with laps.lap("examples"):
                examples = [Example(doc.without_annotations(), doc) for doc in docs]
            with laps.lap("zeroing gradients"):
                pipeline.parameters.zero_gradients()
            pipeline.update([examples], dropout=0.1, clock=Clock(seed=0, step=number))
            with laps.lap("optimizer"):
                optimizer.step(pipeline.parameters, step=number)

    laps = Laps(CLOCKS[arguments.clock])
    with watching(laps, pipeline):
        step(steps[0], 0, laps)
        laps.seconds.clear()
        for number, docs in enumerate(steps):
            step(docs, number, laps)
    n_words = sum(len(doc) for docs in steps for doc in docs)
    show("training", laps, n_words, floor(pipeline, steps, arguments, is_train=True))
    tables(lambda: step(steps[-1], 9, laps), arguments)


def report_prediction(pipeline: Pipeline, batches: list[list[Doc]], arguments: argparse.Namespace) -> None:
    """Time whole prediction batches by their parts, beside the bare model on the same rows."""
    laps = Laps(CLOCKS[arguments.clock])
    bare = [[doc.without_annotations() for doc in docs] for docs in batches]
    with watching(laps, pipeline):
        pipeline.predict(bare[0])
        laps.seconds.clear()
        for docs in bare:
            with laps.lap("whole"):
                pipeline.predict(docs)
    n_words = sum(len(doc) for docs in batches for doc in docs)
    show("prediction", laps, n_words, floor(pipeline, batches, arguments, is_train=False))
    tables(lambda: pipeline.predict(bare[-1]), arguments)


@contextmanager
def watching(laps: Laps, pipeline: Pipeline) -> Iterator[None]:
    """Time the parts of the library while the block runs."""
    with ExitStack() as stack:
        stack.enter_context(laps.around(PieceTable, "pieces_of", "words to pieces"))
        stack.enter_context(laps.around(Encoder, "forward", "encoder, forward"))
        stack.enter_context(laps.around(Activations, "backward", "encoder, backward"))
        stack.enter_context(laps.around(ParameterStore, "norm_of_gradients", "optimizer: norm of the gradients"))
        for name, component in pipeline.components.items():
            stack.enter_context(laps.around(component, "update", f"{name}, update"))
            stack.enter_context(laps.around(component, "predict", f"{name}, predict"))
        yield


def floor(pipeline: Pipeline, batches: list[list[Doc]], arguments: argparse.Namespace, *, is_train: bool) -> float:
    """Seconds of the bare model over these batches, padded to their longest window."""
    (transformer,) = embedders_of(pipeline)
    assert isinstance(transformer, Transformer)
    rows = rows_of(transformer, batches)
    model = bare_model(arguments.model, arguments.precision, is_train=is_train)
    low = arguments.precision == "bf16"

    def once(inputs: dict[str, torch.Tensor]) -> None:
        with torch.set_grad_enabled(is_train), torch.autocast("cpu", torch.bfloat16, enabled=low and is_train):
            hidden = model(**inputs).last_hidden_state
        if is_train:
            hidden.float().sum().backward()

    clock = CLOCKS[arguments.clock]
    once(rows[0])
    started = clock()
    for inputs in rows:
        once(inputs)
    return clock() - started


def rows_of(transformer: Transformer, batches: Sequence[Sequence[Doc]]) -> list[dict[str, torch.Tensor]]:
    """The inputs of a Hugging Face model for some batches: windows by length, padded to a call's longest."""
    rows: list[dict[str, torch.Tensor]] = []
    for docs in batches:
        pieces = transformer.pieces_of(docs)
        windows = plan_windows(
            pieces.n_pieces_of_doc, pieces.n_pieces_of_token, window=transformer.window, stride=transformer.stride
        )
        for batch in batches_by_length(
            pieces.ids, windows, transformer.ready.special, max_batch_pieces=transformer.settings.max_batch_pieces
        ):
            mask = {} if batch.mask is None else {"attention_mask": torch.from_numpy(batch.mask)}
            rows.append({"input_ids": torch.from_numpy(batch.ids), **mask})
    return rows


def bare_model(source: Path, precision: str, *, is_train: bool) -> Any:
    """The Hugging Face model by itself; in bf16 its weights are converted for prediction, where autocast is slower."""
    model = AutoModel.from_pretrained(source, attn_implementation="sdpa", add_pooling_layer=False).train(is_train)
    return model.to(torch.bfloat16) if precision == "bf16" and not is_train else model


def show(title: str, laps: Laps, n_words: int, bare_s: float) -> None:
    """One table."""
    whole = laps.seconds.pop("whole")
    print(f"\n{title}: {n_words / whole:,.0f} words/s, bare model {n_words / bare_s:,.0f} words/s, "
          f"so {whole / bare_s:.2f} times the floor")  # fmt: skip
    parts = {name: seconds for name, seconds in laps.seconds.items() if ":" not in name}
    for name, seconds in sorted(laps.seconds.items(), key=lambda item: -item[1]):
        print(f"  {100 * seconds / whole:5.1f} %  {1e6 * seconds / n_words:8.1f} µs/word  {name}")
    rest = whole - sum(parts.values())
    print(f"  {100 * rest / whole:5.1f} %  {1e6 * rest / n_words:8.1f} µs/word  rest")


def tables(work: Callable[[], None], arguments: argparse.Namespace) -> None:
    """Torch's operators and Python's functions, where asked for."""
    if arguments.operators:
        with profile(activities=[ProfilerActivity.CPU]) as measured:
            work()
        print(measured.key_averages().table(sort_by="self_cpu_time_total", row_limit=arguments.operators))
    if arguments.functions:
        with cProfile.Profile() as functions:
            work()
        pstats.Stats(functions).sort_stats("tottime").print_stats(arguments.functions)


if __name__ == "__main__":
    main()
