"""Example: what a pipeline predicts on, beside what is right, and the way between their tokens."""

from __future__ import annotations

from functools import cached_property

from frostline.tokens import iob
from frostline.tokens.alignment import Alignment, align
from frostline.tokens.columns import StringColumn
from frostline.tokens.doc import Doc


class Example:
    """A predicted and a reference doc of one text, whose tokens may differ.

    Raises (on first alignment) ValueError where the texts differ in more than white space.
    """

    def __init__(self, predicted: Doc, reference: Doc) -> None:
        self.predicted = predicted
        self.reference = reference

    @classmethod
    def of(cls, reference: Doc) -> Example:
        """The example of training: the reference's own tokens, to be predicted on."""
        return cls(reference.without_annotations(), reference)

    def __len__(self) -> int:
        return len(self.predicted)

    def __repr__(self) -> str:
        return f"Example({self.predicted!r}, {self.reference!r})"

    @cached_property
    def alignment(self) -> Alignment:
        """Left are the predicted tokens, right the reference's."""
        return align(self.predicted, self.reference)

    @cached_property
    def is_identity(self) -> bool:
        """True where both docs have the same tokens."""
        return self.predicted.words is self.reference.words or self.alignment.is_identity

    def aligned(self, name: str) -> StringColumn:
        """A string column of the reference on the predicted tokens; missing where a token has no one counterpart."""
        column = self.reference.column(name)
        if column is None:
            return StringColumn.missing(len(self.predicted))
        return column if self.is_identity else column.take(self.alignment.left_to_right)

    def aligned_ents(self) -> StringColumn:
        """The reference's entity tags on the predicted tokens.

        An entity whose borders are borders of predicted tokens too is carried over, however it is cut inside; the
        tokens of any other one are missing, as are tokens of which the reference says nothing.
        """
        if self.is_identity or self.reference.ents is None:
            return self.aligned("ents")
        alignment, reference = self.alignment, self.reference.ents.values()
        tags: list[str | None] = []
        for i in range(len(self.predicted)):
            counterparts = [reference[j] for j in alignment.right_of(i)]
            tags.append(iob.OUTSIDE if counterparts and all(tag == iob.OUTSIDE for tag in counterparts) else None)
        for start, end, label in iob.spans_of(reference):
            found = alignment.left_range(start, end)
            if found is not None:
                first, last = found
                tags[first:last] = [f"B-{label}"] + [f"I-{label}"] * (last - first - 1)
        return StringColumn.from_values(tags)

    def aligned_heads(self) -> list[int]:
        """For each predicted token the predicted index of its head, its own at a root, -1 where missing."""
        if self.reference.heads is None:
            return [-1] * len(self.predicted)
        if self.is_identity:
            return [int(head) for head in self.reference.heads]
        heads, there, back = self.reference.heads, self.alignment.left_to_right, self.alignment.right_to_left
        return [-1 if j < 0 or heads[j] < 0 else int(back[heads[j]]) for j in there.tolist()]

    def aligned_sent_starts(self) -> list[int]:
        """For each predicted token 1 at the start of a reference sentence, 0 inside, -1 where missing.

        A token starts a sentence when the first reference token it shares characters with does.
        """
        if self.reference.sent_starts is None:
            return [-1] * len(self.predicted)
        if self.is_identity:
            return [int(flag) for flag in self.reference.sent_starts]
        starts, result = self.reference.sent_starts, []
        for i in range(len(self.predicted)):
            counterparts = self.alignment.right_of(i)
            if len(counterparts) == 0:
                result.append(-1)
            elif i > 0 and self.alignment.left_clusters[i - 1] == self.alignment.left_clusters[i]:
                j = int(self.alignment.left_to_right[i])
                result.append(int(starts[j]) if j >= 0 else -1)
            else:
                result.append(int(starts[counterparts.start]))
        return result
