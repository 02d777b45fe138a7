"""What happens when a batch of an evaluation does not fit the memory: an error with advice, or two halves.

`training.on_out_of_memory` decides, as for the steps of a training. However a batch is divided, its docs get the same
predictions, but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from frostline.console import say
from frostline.corpora.batching import divided
from frostline.errors import TrainingError
from frostline.layers.out_of_memory import give_up_what_is_cached, is_out_of_memory
from frostline.tokens import Doc

HALVES = "a batch of the evaluation did not fit the memory: it is tried again, and the rest goes on, in halves"


class Fitting:
    """Predicts batch by batch, and remembers what did not fit, from one evaluation to the next."""

    def __init__(self) -> None:
        self.max_words: int | None = None  # of a batch, since one of more words did not fit

    def predicted(
        self, references: Sequence[Doc], predict: Callable[[Sequence[Doc]], None], *, policy: str
    ) -> Iterator[tuple[Doc, Doc]]:
        """Each doc of a batch together with its prediction.

        Args:
            predict: annotates docs in place.
            policy: "fail" or "halve".
        Raises:
            TrainingError: memory ran out, and the policy or a doc that can't be divided leave no way on.
        """
        parts = self._fitted([references])
        while parts:
            predictions = [reference.without_annotations() for reference in parts[0]]
            try:
                predict(predictions)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                n_words = sum(map(len, parts[0]))
                max_words = max(1, n_words // 2)
                if policy != "halve" or len(divided(parts[0], max_words, len)) < 2:
                    raise does_not_fit(f"{n_words} words", policy) from error
                if self.max_words is None:
                    say(HALVES)
                self.max_words = max_words
            else:
                yield from zip(parts.pop(0), predictions, strict=True)
                continue
            del predictions
            give_up_what_is_cached()
            parts = self._fitted(parts)

    def _fitted(self, parts: Sequence[Sequence[Doc]]) -> list[Sequence[Doc]]:
        if self.max_words is None:
            return list(parts)
        return [small for part in parts for small in divided(part, self.max_words, len)]


def does_not_fit(what: str, policy: str) -> TrainingError:
    """The error for a batch of an evaluation. what: how large it was."""
    fix = "Cut the corpus into shorter docs, or make the transformer's window or max_batch_pieces smaller"
    return TrainingError(
        f"The memory does not hold a batch of the evaluation, of {what}.",
        where="training.on_out_of_memory",
        fix=f"{fix}." if policy == "halve" else f'{fix}, or set this to "halve".',
    )
