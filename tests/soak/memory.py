"""The resident memory of a pipeline that reads for a long time: `python -m tests.soak.memory WHAT FOLDER`.

Prints a JSON list of MiB: for `prediction` after every twentieth of 2,000 batches of text in which hardly a word comes
twice, for `evaluations` after each of 20 evaluations of a training. A process of its own, so that nobody else's memory
is in it. The encoder is a random one of four layers; a tok2vec with subwords reads the same words beside it.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frostline.config.loading import Config
from frostline.corpora.store import write_corpus
from frostline.tokens import Doc
from frostline.training.loggers import EvaluationRecord, Plan
from frostline.training.loop import StepResult
from frostline.training.run import train
from tests.pipeline.tiny import make_config, make_docs, make_encoder, make_pipeline

SHAPE = {"hidden_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 384}
STEMS, ENDINGS = ("dog", "walk", "believ", "blue", "quick"), ("s", "ing", "ed", "ly", "able")
N_BATCHES, EVERY, N_EVALUATIONS = 2000, 20, 20


def main() -> None:
    """Run one of the two and print what it held."""
    what, folder = sys.argv[1], Path(sys.argv[2])
    print(json.dumps({"prediction": predicting, "evaluations": evaluating}[what](folder)))


def resident_mib() -> float:
    """What this process holds now."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def predicting(folder: Path) -> list[float]:
    """See the module's docstring."""
    pipeline = make_pipeline(config_of(folder), make_docs())
    source, held = random.Random(0), []
    for number in range(N_BATCHES):
        for doc in pipeline.pipe(" ".join(new_words(source, 20)) for _ in range(16)):
            assert doc.column("xpos")[0]
        if number % EVERY == EVERY - 1:
            held.append(resident_mib())
    return held


def evaluating(folder: Path) -> list[float]:
    """See the module's docstring."""
    held: list[float] = []
    config = config_of(folder)
    for name, n_docs in (("train", 200), ("dev", 500)):
        write_corpus(annotated(random.Random(name), n_docs), folder / name)
    config["system"] = {"seed": 0, "threads": 2, "deterministic": "yes", "device": "cpu"}
    config["corpora"] = {name: {"@readers": "frostline.Corpus.v1", "path": str(folder / name)}
                         for name in ("train", "dev")}  # fmt: skip
    config["training"] |= {
        "max_epochs": 0, "max_steps": 4 * N_EVALUATIONS, "patience": 0, "eval_frequency": 4, "accumulate_gradient": 1,
        "dropout": 0.1, "seed": None, "averages": "none", "score_weights": {}, "logger": None,
        "batcher": {"@batchers": "frostline.batch_by_words.v1", "n_words": 300},
        "optimizer": {"@optimizers": "frostline.Adam.v1", "learn_rate": 0.001},
    }  # fmt: skip
    train(Config(config), folder / "output", logger=Watching(held))
    return held


def config_of(folder: Path) -> dict[str, Any]:
    """A tagger that listens to a transformer and a morphologizer that listens to a tok2vec."""
    config = make_config(make_encoder(folder / "encoder", **SHAPE), ["listener", "listener"])
    config["components"]["tok2vec"] = {
        "factory": "tok2vec",
        "model": {
            "@architectures": "frostline.Tok2Vec.v1",
            "embed": {"@architectures": "frostline.HashEmbed.v1"},
            "encode": {"@architectures": "frostline.MaxoutWindow.v1"},
        },
    }
    config["components"]["morphologizer"]["model"]["embedding"]["publisher"] = "tok2vec"
    config["pipeline"]["components"].insert(0, "tok2vec")
    return config


def new_words(source: random.Random, n: int) -> Iterator[str]:
    """Half of them from pieces that the encoder knows, half of letters of two scripts."""
    for number in range(n):
        if number % 2:
            yield "".join(map(chr, source.choices((*range(97, 123), *range(0x400, 0x500)), k=8)))
        else:
            yield source.choice(STEMS) + "".join(source.choices(ENDINGS, k=source.randrange(2, 6)))


def annotated(source: random.Random, n_docs: int) -> Iterator[Doc]:
    """Docs with tags that a model can learn: a word's last letter."""
    for number in range(n_docs):
        words = list(new_words(source, 20))
        tags = [word[-1] if word[-1].isascii() else "X" for word in words]
        yield Doc.from_words(words, xpos=tags, upos=["X"] * len(words), feats=[""] * len(words), doc_id=f"doc-{number}")


class Watching:
    """Notes what the process holds at each evaluation."""

    def __init__(self, held: list[float]) -> None:
        self.held = held

    def started(self, plan: Plan) -> None: ...

    def stepped(self, result: StepResult) -> None: ...

    def evaluated(self, record: EvaluationRecord) -> None:
        self.held.append(resident_mib())

    def finished(self, message: str) -> None: ...


if __name__ == "__main__":
    main()
