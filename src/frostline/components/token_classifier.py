"""One label per token and label set, by a softmax over each set: the common ground of tagger and morphologizer.

The scores of all sets lie side by side in one matrix, so a batch is one matrix product however many sets there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from thinc.api import Model
from torch import Tensor

from frostline.embedding.annotation_features import build_features
from frostline.errors import ConfigError, ModelFileError, UsageError, did_you_mean
from frostline.layers import token_head
from frostline.layers.resizing import Changes
from frostline.tokens import Doc, Example, StringColumn
from frostline.tokens.conllu_values import fault_of_label
from frostline.tokens.surrogates import half_character

_MISSING = -1
_MAY_BE_EMPTY = ("feats", "misc")  # of a word without any; CoNLL-U reads an empty one of another column as missing


class TokenClassifier:
    """Predicts one or more columns of the doc, each a label per token.

    Args:
        name: of the component.
        model: docs -> (n_tokens, n_labels of all columns), not normalised.
        columns: the doc's columns that it learns and writes, such as ("xpos",).
    """

    def __init__(self, name: str, model: Model[list[Doc], Tensor], columns: tuple[str, ...]) -> None:
        self.name = name
        self.model = model
        self.columns = columns
        self.labels: dict[str, tuple[str, ...]] = {}
        self._numbers: dict[str, dict[str, int]] = {}

    def initialize(self, references: Iterable[Doc], *, width: int, seed: int) -> None:
        """See `Component.initialize`; labels are sorted, so their order does not depend on the corpus's."""
        found: dict[str, set[str]] = {column: set() for column in self.columns}
        for doc in references:
            for column in self.columns:
                values = doc.column(column)
                if values is not None:
                    found[column].update(values.distinct())
        empty = [column for column in self.columns if not found[column]]
        if empty:
            raise ConfigError(
                f"The component '{self.name}' learns {' and '.join(self.columns)}, "
                f"but no token of the training corpus has {' or '.join(empty)}.",
                where=f"components.{self.name}",
                fix="Train on a corpus with this annotation, or leave the component out of pipeline.components.",
            )
        self._set_labels({column: tuple(sorted(found[column])) for column in self.columns})
        self._build(width, seed)

    def restore(self, state: dict[str, Any], *, width: int) -> None:
        """See `Component.restore`."""
        labels = state.get("labels")
        if (
            not isinstance(labels, dict)
            or sorted(labels) != sorted(self.columns)
            or not all(
                isinstance(names, list) and all(isinstance(name, str) for name in names) for names in labels.values()
            )
        ):
            raise ModelFileError(
                f"The state of '{self.name}' should hold labels for {', '.join(self.columns)}.",
                fix="The model folder was changed or belongs to another component; train or fetch it again.",
            )
        self._set_labels({column: tuple(labels[column]) for column in self.columns})
        self._build(width, seed=0, layout=self._layout_from(state))

    def state(self) -> dict[str, Any]:
        """See `Component.state`."""
        state: dict[str, Any] = {"labels": {column: list(labels) for column, labels in self.labels.items()}}
        layout = token_head.head_of(self.model).layout
        if len(layout.sizes) > 1:
            state["layout"] = {"sizes": list(layout.sizes), "order": list(layout.order)}
        return state

    def add_labels(self, labels: Mapping[str, Sequence[str]]) -> Changes:
        """See `Component.add_labels`; new labels come behind those of their column, with a score of 0."""
        if not labels:
            raise UsageError(f"There is no label to add to '{self.name}'.", fix="Name at least one label.")
        added = {column: self._checked(column, new) for column, new in labels.items()}
        places: list[int] = []
        start = 0
        for column in self.columns:
            n_added = len(added.get(column, ()))
            start += len(self.labels[column])
            places += range(start, start + n_added)
            start += n_added
        self._set_labels({column: (*old, *added.get(column, ())) for column, old in self.labels.items()})
        return token_head.add_outputs(self.model, places)

    def _checked(self, column: str, new: object) -> tuple[str, ...]:
        """The new labels of a column; UsageError where one of them can't be added."""
        subject = f"'{self.name}' can't learn new labels of {column}"
        if column not in self.labels:
            raise UsageError(f"{subject}: it has none.", fix=did_you_mean(str(column), self.labels))
        if isinstance(new, str) or not isinstance(new, Iterable):
            raise UsageError(f"{subject} from {new!r}: it is no list of labels.", fix='Give a list, such as ["X"].')
        labels: tuple[object, ...] = tuple(new)
        if not labels:
            raise UsageError(f"There is no label of {column} to add to '{self.name}'.", fix="Name at least one label.")
        checked: list[str] = []
        for label in labels:
            if not isinstance(label, str) or half_character(label) is not None:
                raise UsageError(f"{subject} such as {label!r}: it is no text.", fix='Give texts, such as "X".')
            if not label and column not in _MAY_BE_EMPTY:
                fix = f"An empty label means 'has none', which {' and '.join(_MAY_BE_EMPTY)} can say; give it a name."
                raise UsageError(f"{subject} that are empty.", fix=fix)
            fault = fault_of_label(column, label) if label else None
            if fault is not None:
                raise UsageError(f"{subject} such as {label!r}. {fault[0]}", fix=fault[1])
            if label in self._numbers[column]:
                raise UsageError(f"'{self.name}' knows the label '{label}' of {column} already.",
                                 fix="Add labels that it does not have.")  # fmt: skip
            if label in checked:
                raise UsageError(f"The label '{label}' of {column} is given twice.", fix="Give each label once.")
            checked.append(str(label))
        return tuple(checked)

    def probabilities(self, docs: Sequence[Doc]) -> dict[str, Tensor]:
        """Per column how likely each label is, (n_tokens, n_labels) float32; rows sum to 1."""
        if not any(len(doc) for doc in docs):
            return {column: torch.zeros((0, len(labels))) for column, labels in self.labels.items()}
        scores = self.model.predict(docs)
        return {column: torch.softmax(scores[:, block], dim=1) for column, block in self._blocks().items()}

    def count_targets(self, examples: Sequence[Example]) -> dict[str, int]:
        """The tokens with a known label, per column."""
        return {column: int((self._targets(examples, column) != _MISSING).sum()) for column in self.columns}

    def update(self, examples: Sequence[Example], *, n_targets: Mapping[str, int], dropout: float) -> float:
        """See `Component.update`; the loss is the sum over the columns of the mean cross-entropy."""
        docs = [example.predicted for example in examples]
        if not any(len(doc) for doc in docs) or not any(n_targets.values()):
            return 0.0
        token_head.set_dropout(self.model, dropout)
        scores, backprop = self.model(docs, is_train=True)
        gradient = torch.empty_like(scores, requires_grad=False)
        loss = 0.0
        for column, block in self._blocks().items():
            targets = torch.from_numpy(self._targets(examples, column)).to(scores.device)
            loss += _cross_entropy(scores[:, block], targets, max(1, n_targets[column]), out=gradient[:, block])
        backprop(gradient)
        return loss

    def predict(self, docs: Sequence[Doc]) -> dict[str, npt.NDArray[np.int32]]:
        """The number of the best label per column, (n_tokens,) int32."""
        if not any(len(doc) for doc in docs):
            return {column: np.zeros(0, dtype=np.int32) for column in self.columns}
        scores = self.model.predict(docs)
        return {
            column: scores[:, block].argmax(dim=1).to(torch.int32).cpu().numpy()
            for column, block in self._blocks().items()
        }

    def set_annotations(self, docs: Sequence[Doc], scores: dict[str, npt.NDArray[np.int32]]) -> None:
        """Write the best labels to the docs' columns."""
        for column, best in scores.items():
            start = 0
            for doc in docs:
                doc.set_column(column, StringColumn(best[start : start + len(doc)], self.labels[column]))
                start += len(doc)

    def _set_labels(self, labels: dict[str, tuple[str, ...]]) -> None:
        self.labels = labels
        self._numbers = {
            column: {label: number for number, label in enumerate(names)} for column, names in labels.items()
        }

    def _layout_from(self, state: dict[str, Any]) -> token_head.Layout | None:
        saved = state.get("layout")
        if saved is None:
            return None
        n_labels = sum(map(len, self.labels.values()))
        try:
            layout = token_head.Layout(sizes=tuple(saved["sizes"]), order=tuple(saved["order"]))
            whole = sum(layout.sizes) == n_labels and sorted(layout.order) == list(range(n_labels))
        except (KeyError, TypeError):
            whole = False
        if not whole:
            raise ModelFileError(
                f"The layout of '{self.name}' does not fit its {n_labels} labels.",
                fix="The model folder was changed or belongs to another component; train or fetch it again.",
            )
        return layout

    def _build(self, width: int, seed: int, layout: token_head.Layout | None = None) -> None:
        build_features(self.model, seed=seed)
        n_labels = sum(map(len, self.labels.values()))
        for node in self.model.walk():
            if node.name == "token_head":
                token_head.build(node, width=width, layout=layout or token_head.Layout.of(n_labels), seed=seed)

    def _blocks(self) -> dict[str, slice]:
        """Where each column's scores stand in the matrix."""
        blocks, start = {}, 0
        for column in self.columns:
            blocks[column] = slice(start, start + len(self.labels[column]))
            start += len(self.labels[column])
        return blocks

    def _targets(self, examples: Sequence[Example], column: str) -> npt.NDArray[np.int64]:
        """The label's number per predicted token, (n_tokens,) int64; -1 where missing or not known as a label."""
        numbers = self._numbers[column]
        parts = [example.aligned(column).encode(numbers) for example in examples]
        return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)


def _cross_entropy(scores: Tensor, targets: Tensor, n_targets: int, *, out: Tensor) -> float:
    """Softmax cross-entropy, summed over the tokens with a target and divided by `n_targets`.

    Args:
        scores: (n_tokens, n_labels) float32. targets: (n_tokens,) int64, -1 where there is none.
        out: (n_tokens, n_labels) float32, gets the gradient by `scores`.
    """
    with torch.no_grad():
        log_probs = torch.log_softmax(scores, dim=1)
        known = targets >= 0
        rows = known.nonzero().squeeze(1)
        labels = targets[rows]
        loss = -log_probs[rows, labels].sum().item() / n_targets
        out.copy_(log_probs.exp())
        out[rows, labels] -= 1.0
        out.mul_(known.unsqueeze(1) / n_targets)
    return float(loss)
