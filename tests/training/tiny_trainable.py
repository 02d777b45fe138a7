"""A real, tiny pipeline for the loop's tests: a linear tagger over hashed words, with counted dropout.

Run as a program it trains to an output folder, and kills itself at a given step or while a model is being saved.
"""

from __future__ import annotations

import os
import signal
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from frostline.corpora.batching import batch_by_words
from frostline.files import new_directory
from frostline.layers.parameters import ParameterStore
from frostline.layers.randomness import Clock, counted
from frostline.tokens import Doc, Example
from frostline.training.averages import averages_from
from frostline.training.driver import Outcome, Place, Policy, train
from frostline.training.loop import Recipe, StepResult
from frostline.training.optimizer import Adam, build_adam
from frostline.training.schedules import Constant, warmup_linear

N_ROWS = 64
TAGS = ("NN", "VB", "DT")


@dataclass(frozen=True)
class Scored:
    """What an evaluation gives."""

    metrics: dict[str, float]


class Tiny:
    """A linear layer from a word's hash to a tag, beside a frozen one that must never move."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.tagger = torch.nn.Linear(N_ROWS, len(TAGS))
        self.encoder = torch.nn.Linear(N_ROWS, N_ROWS).requires_grad_(False)
        self.parameters = ParameterStore.gather([("transformer", self.encoder), ("tagger", self.tagger)])

    def bind_schedules(self, *, total_steps: int | None) -> None:
        pass

    def begin_step(self, *, step: int, last_score: float | None) -> None:
        pass

    def update(self, step: Sequence[Sequence[Example]], *, dropout: float, clock: Clock) -> dict[str, float]:
        total = 0.0
        n_words = sum(len(example.reference) for batch in step for example in batch)
        for number, batch in enumerate(step):
            with counted(clock, f"tagger/{number}"):
                docs = [example.reference for example in batch]
                inputs = torch.nn.functional.dropout(_rows(docs), dropout)
                gold = torch.tensor([TAGS.index(str(tag)) for doc in docs for tag in doc.xpos])
                loss = torch.nn.functional.cross_entropy(self.tagger(inputs), gold, reduction="sum") / n_words
                loss.backward()
                total += loss.item()
        return {"tagger": total}

    def evaluate(self, references: Iterable[Doc]) -> Scored:
        docs = list(references)
        with torch.no_grad():
            best = self.tagger(_rows(docs)).argmax(dim=1).tolist()
        gold = [TAGS.index(str(tag)) for doc in docs for tag in doc.xpos]
        right = sum(a == b for a, b in zip(best, gold, strict=True))
        return Scored({"xpos_acc": right / len(gold), "words_f": 1.0, "xpos_acc/NN": 0.5})

    def to_disk(self, path: Path) -> None:
        with new_directory(path) as folder:
            save_file({"weight": self.tagger.weight.data.clone(), "bias": self.tagger.bias.data.clone()},
                      folder / "tagger.safetensors")  # fmt: skip


def _rows(docs: Sequence[Doc]) -> torch.Tensor:
    words = [zlib.crc32(str(word).encode()) % N_ROWS for doc in docs for word in doc.words]
    return torch.nn.functional.one_hot(torch.tensor(words), N_ROWS).float()


def make_docs(n: int, *, shift: int = 0) -> list[Doc]:
    """Docs of 3 to 6 words; a word's number says its tag, except where it lies."""
    docs = []
    for i in range(n):
        numbers = [(7 * i + 3 * j + shift) % 40 for j in range(3 + i % 4)]
        tags = [TAGS[(number + (number % 11 == 0) * i) % 3] for number in numbers]
        docs.append(Doc.from_words([f"w{number}" for number in numbers], xpos=tags, doc_id=f"d{i}"))
    return docs


def batcher(docs: Iterable[Doc]) -> Iterator[list[Doc]]:
    return batch_by_words(docs, 12)


def make_adam(**settings: float) -> Adam:
    return build_adam(learn_rate=warmup_linear(initial_rate=0.05, warmup_steps=3), **settings)


def make_recipe(**settings: object) -> Recipe:
    return Recipe(**{"seed": 1, "batcher": batcher, "dropout": Constant(value=0.2), "max_epochs": 4, **settings})


class Silent:
    """A logger that remembers steps."""

    def __init__(self) -> None:
        self.steps: list[StepResult] = []
        self.messages: list[str] = []

    def started(self, plan: object) -> None:
        pass

    def stepped(self, result: StepResult) -> None:
        self.steps.append(result)

    def evaluated(self, record: object) -> None:
        pass

    def finished(self, message: str) -> None:
        self.messages.append(message)


def train_tiny(output: Path, *, pipeline: Tiny | None = None, logger: object = None, averages: object = 0.9,
               recipe: Recipe | None = None, policy: Policy | None = None,
               digest: str = "same") -> Outcome:  # fmt: skip
    """The run that the tests share: 4 epochs, averaged, evaluated every 5 steps."""
    return train(
        pipeline or Tiny(), make_docs(40), make_docs(12, shift=1), optimizer=make_adam(),
        recipe=recipe or make_recipe(), policy=policy or Policy(eval_frequency=5), logger=logger or Silent(),
        averages=averages_from(averages), place=Place(output=output, digest=digest),
    )  # fmt: skip


class Killer(Silent):
    """Ends the process without a goodbye."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def stepped(self, result: StepResult) -> None:
        if result.step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class DiesSaving(Tiny):
    """Is killed in the middle of saving its n-th model."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.left = n

    def to_disk(self, path: Path) -> None:
        self.left -= 1
        if self.left == 0:
            with new_directory(path) as folder:
                (folder / "tagger.safetensors").write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGKILL)
        super().to_disk(path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    place, what, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    if what == "step":
        train_tiny(place, logger=Killer(number))
    else:
        train_tiny(place, pipeline=DiesSaving(number))
