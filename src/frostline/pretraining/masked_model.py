"""A masked language model as the training loop wants it: an encoder, and a head that guesses hidden pieces.

The head is a dense layer, a norm, and the encoder's own embeddings as the output matrix (tied); only hidden pieces
go through it. What is saved is the encoder alone, in Hugging Face's layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from frostline.console import say
from frostline.corpora.batching import batch_by_words
from frostline.embedding.encoder import Encoder
from frostline.embedding.hub import save_encoder
from frostline.embedding.pieces import Pieces, PieceTable
from frostline.embedding.windows import Windows, plan_windows
from frostline.files import new_directory, refuse_to_lose, write_text_atomic
from frostline.layers.out_of_memory import give_up_what_is_cached, is_out_of_memory
from frostline.layers.parameters import ParameterStore
from frostline.layers.randomness import Clock, counted, numpy_generator, seed_for
from frostline.pipeline.fitting import does_not_fit
from frostline.pretraining.masking import mask
from frostline.pretraining.wordpieces import CONTINUES, vocabulary_text
from frostline.tokens import Doc, Example

EVALUATION_BATCH_WORDS = 2000
LOSS = "pretraining"
ENCODER_FILES = ("*.json", "vocab.txt", "merges.txt", "model*.safetensors")


class GuessingHead(nn.Module):
    """Scores of all pieces for each hidden one.

    Shape: (n_guesses, width) float32, with the embeddings (n_pieces, width), to (n_guesses, n_pieces).
    """

    def __init__(self, width: int, n_pieces: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(n_pieces))

    def forward(self, hidden: Tensor, embeddings: Tensor) -> Tensor:
        """As the class says."""
        return nn.functional.linear(self.norm(nn.functional.gelu(self.dense(hidden))), embeddings, self.bias)


@dataclass(frozen=True, slots=True)
class GuessScores:
    """How many of the hidden pieces were guessed."""

    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """A batch with holes, ready for the encoder."""

    pieces: Pieces  # some of them hidden
    windows: Windows
    places: npt.NDArray[np.int64]  # (n_guesses,) of the hidden pieces
    targets: npt.NDArray[np.int64]  # (n_guesses,) what they were

    def halves(self) -> Iterator[_Text]:
        """The first half of the windows, and the second, each with its own holes; two windows or more."""
        middle = len(self.windows) // 2
        is_first = self.places < self.windows.first_piece[middle]
        for part, of_part in ((slice(None, middle), is_first), (slice(middle, None), ~is_first)):
            windows = Windows(first_piece=self.windows.first_piece[part], n_pieces=self.windows.n_pieces[part])
            yield replace(self, windows=windows, places=self.places[of_part], targets=self.targets[of_part])


class MaskedModel:
    """Trainable by `frostline.training.driver.train`.

    Args:
        encoder: with a tokenizer that has a mask token; its embeddings are tied to the head.
        window: pieces of a doc in one row, special ones not counted.
        mask_rate: share of the pieces to guess.
        seed: of the head's start and of the holes that evaluations make, which are always the same.
        device: in torch's notation.
        on_out_of_memory: "fail", or "halve" for evaluations in smaller batches.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        window: int,
        mask_rate: float,
        seed: int,
        device: str = "cpu",
        on_out_of_memory: str = "fail",
    ) -> None:
        self.encoder = encoder
        self.on_out_of_memory = on_out_of_memory
        self._has_told = False  # that an evaluation goes on in halves
        self.window = window
        self.mask_rate = mask_rate
        self.seed = seed
        tokenizer = encoder.tokenizer
        self.table = PieceTable(tokenizer)
        self.mask_id = int(tokenizer.mask_token_id)
        special = set(tokenizer.all_special_ids)
        n_pieces = encoder.model.get_input_embeddings().num_embeddings
        self.choices = np.array([i for i in range(n_pieces) if i not in special], dtype=np.int64)
        with counted(Clock(seed=seed), "initialize/pretraining"):
            self.head = GuessingHead(encoder.width, n_pieces)
        self.parameters = ParameterStore.gather([("transformer", encoder), (LOSS, self.head)], device=device)

    def bind_schedules(self, *, total_steps: int | None) -> None:
        """Nothing inside follows a schedule."""

    def begin_step(self, *, step: int, last_score: float | None) -> None:
        """Every step is like the others."""

    def update(self, step: Sequence[Sequence[Example]], *, dropout: float, clock: Clock) -> dict[str, float]:
        """Guess the hidden pieces of a step's docs; gradients of the mean loss over all guesses are added.

        dropout: has no say here, the encoder's own config has.
        """
        texts = [
            self._hide([example.reference for example in batch], numpy_generator(clock, f"masking/{number}"))
            for number, batch in enumerate(step)
        ]
        n_guesses = sum(len(text.targets) for text in texts)
        total = 0.0
        for number, text in enumerate(texts):
            if len(text.targets):
                scores = self._scores(text, is_train=True, seed=seed_for(clock, f"transformer/{number}"))
                loss = nn.functional.cross_entropy(scores, self._on_device(text.targets), reduction="sum") / n_guesses
                torch.autograd.backward(loss)
                total += loss.item()
        return {LOSS: total}

    def evaluate(self, references: Iterable[Doc]) -> GuessScores:
        """Share of the hidden pieces that are guessed rightly; the holes are a function of the seed alone."""
        n_right = n_guesses = 0
        clock = Clock(seed=self.seed)
        with torch.no_grad(), self.encoder.fixed_weights():
            for number, docs in enumerate(batch_by_words(references, EVALUATION_BATCH_WORDS)):
                text = self._hide(docs, numpy_generator(clock, f"evaluation/{number}"))
                if len(text.targets):
                    n_right += self._n_right(text)
                    n_guesses += len(text.targets)
        return GuessScores({"masked_acc": n_right / n_guesses} if n_guesses else {})

    def _n_right(self, text: _Text) -> int:
        """How many pieces of a text are guessed; in halves where the memory does not hold it and the policy says so."""
        try:
            guesses = self._scores(text, is_train=False).argmax(dim=1)
            return int((guesses == self._on_device(text.targets)).sum())
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if self.on_out_of_memory != "halve" or len(text.windows) < 2:
                raise does_not_fit(f"{int(text.windows.n_pieces.sum())} pieces", self.on_out_of_memory) from error
        give_up_what_is_cached()
        if not self._has_told:
            say("a batch of the evaluation did not fit the memory: it is tried again in halves")
            self._has_told = True
        return sum(self._n_right(half) for half in text.halves() if len(half.targets))

    def to_disk(self, path: Path) -> None:
        """Save the encoder, without the head, as transformers.AutoModel loads it."""
        refuse_to_lose(path, ENCODER_FILES, "an encoder")
        with new_directory(path) as folder:
            save_encoder(self.encoder, folder)
            if any(piece.startswith(CONTINUES) for piece in self.encoder.tokenizer.get_vocab()):  # WordPiece
                write_text_atomic(folder / "vocab.txt", vocabulary_text(self.encoder.tokenizer))

    def _hide(self, docs: Sequence[Doc], generator: np.random.Generator) -> _Text:
        pieces = self.table.pieces_of(docs)
        masked = mask(pieces.ids, rate=self.mask_rate, mask_id=self.mask_id, choices=self.choices, generator=generator)
        windows = plan_windows(pieces.n_pieces_of_doc, pieces.n_pieces_of_token, window=self.window, stride=self.window)
        return _Text(pieces=replace(pieces, ids=masked.ids), windows=windows, places=masked.places,
                     targets=masked.targets)  # fmt: skip

    def _scores(self, text: _Text, *, is_train: bool, seed: int | None = None) -> Tensor:
        """Shape: (n_guesses, n_pieces) float32."""
        hidden = self.encoder(text.pieces, text.windows, is_train=is_train, seed=seed)[0]
        embeddings = self.encoder.model.get_input_embeddings().weight
        scores: Tensor = self.head(hidden.index_select(0, self._on_device(text.places)), embeddings)
        return scores

    def _on_device(self, numbers: npt.NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(numbers).to(self.encoder.device)
