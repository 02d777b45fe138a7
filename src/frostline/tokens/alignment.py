"""Which tokens of one tokenization are which of another, by the characters they cover.

Both cover the same text but for white space. The text falls into *clusters*: the smallest stretches at whose ends
both tokenizations have a border. Within a cluster of one word each, the words are the same word; in larger clusters
(one to many, many to one, multiword tokens whose words share a span) words pair up where their forms do, as the CoNLL
2018 scorer does it. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from frostline.tokens.doc import Doc

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """Two tokenizations, cluster by cluster.

    left_clusters, right_clusters: (n_left,) and (n_right,) the cluster of each token, counted from 0, never
    decreasing; clusters hold at least one token of each side. left_to_right: (n_left,) the one token on the right
    that is the same word, or -1. right_to_left: likewise.
    """

    left_clusters: Indices
    right_clusters: Indices
    left_to_right: Indices
    right_to_left: Indices

    @property
    def is_identity(self) -> bool:
        """True where token i is token i throughout."""
        n = len(self.left_to_right)
        return n == len(self.right_to_left) and bool(np.array_equal(self.left_to_right, np.arange(n)))

    def right_of(self, left: int) -> range:
        """The tokens on the right that share characters with a token on the left, or stand in one cluster with it."""
        return _members(self.right_clusters, int(self.left_clusters[left]))

    def left_of(self, right: int) -> range:
        """The tokens on the left that share characters with a token on the right, or stand in one cluster with it."""
        return _members(self.left_clusters, int(self.right_clusters[right]))

    def right_range(self, start: int, end: int) -> tuple[int, int] | None:
        """The span on the right that covers exactly the characters of the span on the left, or None."""
        return _translated(self.left_clusters, self.right_clusters, self.left_to_right, start, end)

    def left_range(self, start: int, end: int) -> tuple[int, int] | None:
        """The span on the left that covers exactly the characters of the span on the right, or None."""
        return _translated(self.right_clusters, self.left_clusters, self.right_to_left, start, end)


def align(left: Doc, right: Doc) -> Alignment:
    """Align the tokens of two docs. Raises ValueError where their texts differ in more than white space."""
    if (len(left) == len(right) and np.array_equal(left.starts, right.starts)
            and np.array_equal(left.ends, right.ends) and left.words == right.words):
        same = np.arange(len(left), dtype=np.int64)
        return Alignment(left_clusters=same, right_clusters=same, left_to_right=same, right_to_left=same)
    left_ends, right_ends = _ends_without_space(left, right)
    borders = np.intersect1d(left_ends, right_ends)
    left_clusters = np.searchsorted(borders, left_ends).astype(np.int64)
    right_clusters = np.searchsorted(borders, right_ends).astype(np.int64)
    left_to_right = _pairs(left, right, left_clusters, right_clusters)
    right_to_left = np.full(len(right), -1, dtype=np.int64)
    paired = np.flatnonzero(left_to_right >= 0)
    right_to_left[left_to_right[paired]] = paired
    return Alignment(left_clusters=left_clusters, right_clusters=right_clusters,
                     left_to_right=left_to_right, right_to_left=right_to_left)


def _ends_without_space(left: Doc, right: Doc) -> tuple[Indices, Indices]:
    """Token ends, counted in covered characters other than white space: equal ends are equal places."""
    left_counts, left_text = _dense(left)
    right_counts, right_text = _dense(right)
    if left_text != right_text:
        at = next((i for i, (a, b) in enumerate(zip(left_text, right_text, strict=False)) if a != b),
                  min(len(left_text), len(right_text)))
        raise ValueError("the docs can't be aligned: their texts differ, "
                         f"{left_text[at:at + 20]!r} against {right_text[at:at + 20]!r}")
    return left_counts[left.ends], right_counts[right.ends]


def _dense(doc: Doc) -> tuple[Indices, str]:
    """For each offset into the text, how many of the counted characters stand before it; and these characters."""
    covered = np.zeros(len(doc.text) + 1, dtype=np.int64)
    np.add.at(covered, doc.starts, 1)
    np.add.at(covered, doc.ends, -1)
    inside = (np.cumsum(covered)[:-1] > 0).tolist()
    counted = [flag and not character.isspace() for flag, character in zip(inside, doc.text, strict=True)]
    counts = np.concatenate([[0], np.cumsum(np.array(counted, dtype=np.int64))])
    return counts.astype(np.int64), "".join(c for c, flag in zip(doc.text, counted, strict=True) if flag)


def _pairs(left: Doc, right: Doc, left_clusters: Indices, right_clusters: Indices) -> Indices:
    n_clusters = int(max(left_clusters.max(initial=-1), right_clusters.max(initial=-1))) + 1
    left_first = np.searchsorted(left_clusters, np.arange(n_clusters + 1))
    right_first = np.searchsorted(right_clusters, np.arange(n_clusters + 1))
    left_sizes, right_sizes = np.diff(left_first), np.diff(right_first)
    result = np.full(len(left), -1, dtype=np.int64)
    single = (left_sizes == 1) & (right_sizes == 1)
    result[left_first[:-1][single]] = right_first[:-1][single]
    for cluster in np.flatnonzero(~single & (left_sizes > 0) & (right_sizes > 0)).tolist():
        start, other = int(left_first[cluster]), int(right_first[cluster])
        left_forms = [form or "" for form in left.words[start:int(left_first[cluster + 1])]]
        right_forms = [form or "" for form in right.words[other:int(right_first[cluster + 1])]]
        for i, j in _longest_common(left_forms, right_forms):
            result[start + i] = other + j
    return result


def _longest_common(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """Index pairs of a longest common subsequence of forms, blind to case."""
    left, right = [form.lower() for form in left], [form.lower() for form in right]
    best = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in reversed(range(len(left))):
        for j in reversed(range(len(right))):
            best[i][j] = best[i + 1][j + 1] + 1 if left[i] == right[j] else max(best[i + 1][j], best[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _members(clusters: npt.NDArray[np.integer[Any]], cluster: int) -> range:
    return range(int(np.searchsorted(clusters, cluster)), int(np.searchsorted(clusters, cluster, side="right")))


def _translated(clusters: Indices, others: Indices, pairs: Indices, start: int, end: int) -> tuple[int, int] | None:
    if start >= end:
        return None
    first, last = int(clusters[start]), int(clusters[end - 1])
    opens = start == 0 or int(clusters[start - 1]) != first
    closes = end == len(clusters) or int(clusters[end]) != last
    begin = _members(others, first).start if opens else int(pairs[start])
    stop = _members(others, last).stop if closes else int(pairs[end - 1]) + 1
    if begin < 0 or stop <= 0 or begin >= stop:
        return None
    return begin, stop
