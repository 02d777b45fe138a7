"""How fast a tok2vec with one tagger trains and predicts: words per second on a CoNLL-U file.

    python benchmarks/tok2vec_speed.py assets/ewt/en_ewt-ud-train.conllu --threads 2

Docs of ten sentences, batches of 1,000 words in training, the shapes of spaCy's `--optimize efficiency` (width 96,
depth 4, window 1, three pieces). Each figure is the best of a few rounds: other work on the machine only slows it down.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from frostline.corpora.batching import batch_by_words
from frostline.corpora.converters import read_docs
from frostline.corpora.cutting import cut
from frostline.layers.randomness import Clock
from frostline.pipeline.wiring import assemble
from frostline.tokens import Example
from frostline.training.initialize import initialize
from frostline.training.optimizer import build_adam


def config(precision: str) -> dict[str, Any]:
    """A tok2vec and a tagger."""
    embedding = {"@architectures": "frostline.Listener.v1", "publisher": "tok2vec"}
    return {
        "pipeline": {
            "components": ["tok2vec", "tagger"], "tokenizer": {"@tokenizers": "frostline.Tokenizer.v1"}, "modes": {},
        },
        "components": {
            "tok2vec": {
                "factory": "tok2vec",
                "model": {
                    "@architectures": "frostline.Tok2Vec.v1", "precision": precision,
                    "embed": {"@architectures": "frostline.HashEmbed.v1"},
                    "encode": {"@architectures": "frostline.MaxoutWindow.v1"},
                },
            },
            "tagger": {"factory": "tagger", "model": {"@architectures": "frostline.Tagger.v1", "embedding": embedding}},
        },
        "training": {},
    }  # fmt: skip


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--docs", type=int, default=300, help="of ten sentences")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pieces = (piece for doc in read_docs(arguments.source) for piece in cut(doc, unit="sentences", n_sentences=10))
    docs = list(islice(pieces, arguments.docs))
    n_words = sum(map(len, docs))
    for precision in ("float32", "bf16"):
        pipeline = assemble(config(precision))
        initialize(pipeline, lambda: docs, seed=0)
        optimizer = build_adam(learn_rate=0.001)
        training, prediction = [], []
        for _ in range(arguments.rounds):
            start = time.perf_counter()
            for step, batch in enumerate(batch_by_words(iter(docs), 1000)):
                pipeline.parameters.zero_gradients()
                examples = [Example.of(doc) for doc in batch]
                pipeline.update([examples], dropout=0.1, clock=Clock(seed=0, step=step))
                optimizer.step(pipeline.parameters, step=step)
            training.append(time.perf_counter() - start)
            bare = [doc.without_annotations() for doc in docs]
            start = time.perf_counter()
            for _doc in pipeline.pipe(bare):
                pass
            prediction.append(time.perf_counter() - start)
        print(f"{precision}: {n_words:,} words, {arguments.threads} threads: "
              f"training {n_words / min(training):,.0f} words/s, prediction {n_words / min(prediction):,.0f} words/s")


if __name__ == "__main__":
    main()
