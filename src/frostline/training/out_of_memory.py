"""What happens when a step does not fit the memory: the run ends, or the step is tried again in smaller batches.

Gradients of a step do not depend on how it is divided (but for rounding, and for dropout, which is drawn per batch),
so a step that failed is begun again with its batches halved. Whether that happens is luck: two runs of one config
then need not end in the same bytes, and `system.deterministic = "strict"` refuses it. Evaluations follow the same
policy: see pipeline/fitting.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frostline.console import say
from frostline.corpora.batching import divided
from frostline.errors import TrainingError
from frostline.layers.out_of_memory import give_up_what_is_cached, is_out_of_memory
from frostline.layers.randomness import Clock
from frostline.tokens import Example


class Updates:
    """Computes a run's gradients step by step, and remembers what did not fit.

    Args:
        policy: "fail" or "halve".
    """

    def __init__(self, policy: str) -> None:
        self.policy = policy
        self.max_words: int | None = None  # of a batch, since one of more words did not fit

    def compute(
        self, pipeline: Any, batches: Sequence[Sequence[Example]], *, dropout: float, clock: Clock
    ) -> Mapping[str, float]:
        """The step's gradients in the pipeline's store, and its losses.

        Raises:
            TrainingError: memory ran out, and the policy or docs that can't be divided leave no way on.
        """
        batches = self._fitted(batches)
        while True:
            pipeline.parameters.zero_gradients()
            try:
                losses: Mapping[str, float] = pipeline.update(batches, dropout=dropout, clock=clock)
                return losses
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                largest = max(map(_n_words, batches), default=0)
                divided = _divided(batches, max(1, largest // 2))
                if self.policy != "halve" or len(divided) == len(batches):
                    raise self._no_way_on(largest, clock.step) from error
            self.max_words = max(1, largest // 2)
            batches = divided
            give_up_what_is_cached()
            say(
                f"step {clock.step + 1} did not fit the memory: it is tried again, and the rest goes on, in batches of "
                f"at most {self.max_words} words"
            )

    def _fitted(self, batches: Sequence[Sequence[Example]]) -> Sequence[Sequence[Example]]:
        return batches if self.max_words is None else _divided(batches, self.max_words)

    def _no_way_on(self, n_words: int, step: int) -> TrainingError:
        if self.policy == "halve":
            return TrainingError(
                f"The memory does not hold a batch of one doc, at step {step}; the largest has {n_words} words.",
                where="training.on_out_of_memory",
                fix="Cut the corpus into shorter docs, make the transformer's window or max_batch_pieces smaller, or "
                "set its gradient_checkpointing.",
            )
        return TrainingError(
            f"The memory does not hold a batch of {n_words} words, at step {step}.",
            where="training.on_out_of_memory",
            fix="Make training.batcher's batches smaller and training.accumulate_gradient larger (the same gradient), "
            'set the transformer\'s gradient_checkpointing, or set this to "halve".',
        )


def _divided(batches: Sequence[Sequence[Example]], max_words: int) -> list[Sequence[Example]]:
    """Batches of at most `max_words` words, or of one doc; the docs stay in their order."""
    return [part for batch in batches for part in divided(batch, max_words, lambda example: len(example.reference))]


def _n_words(batch: Sequence[Example]) -> int:
    return sum(len(example.reference) for example in batch)
