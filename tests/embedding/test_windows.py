"""Windows: every piece is covered, a doc's windows are its own, short docs are not divided."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostline.embedding.windows import Windows, plan_windows


def plan(lengths_of_docs: list[list[int]], *, window: int, stride: int) -> Windows:
    """Windows of docs given as the number of pieces of each token."""
    of_doc = np.array([sum(doc) for doc in lengths_of_docs], dtype=np.int32)
    of_token = np.array([n for doc in lengths_of_docs for n in doc], dtype=np.int32)
    return plan_windows(of_doc, of_token, window=window, stride=stride)


def spans(windows: Windows) -> list[tuple[int, int]]:
    return [(int(a), int(a + n)) for a, n in zip(windows.first_piece, windows.n_pieces, strict=True)]


def test_docs_that_fit_are_one_window_each() -> None:
    windows = plan([[1, 2], [], [4], [0, 0], [1]], window=4, stride=2)

    assert spans(windows) == [(0, 3), (3, 7), (7, 8)]
    assert not windows.overlap


def test_a_long_doc_is_read_in_overlapping_windows() -> None:
    windows = plan([[1] * 10], window=4, stride=3)

    assert spans(windows) == [(0, 4), (3, 7), (6, 10)]
    assert windows.overlap


def test_windows_are_cut_between_tokens() -> None:
    windows = plan([[2, 2, 2, 2, 2]], window=5, stride=3)

    assert spans(windows) == [(0, 4), (2, 6), (4, 8), (6, 10)]


def test_a_token_longer_than_a_window_is_cut_within() -> None:
    windows = plan([[1, 9]], window=4, stride=4)

    assert windows.n_pieces.max() <= 4
    assert not windows.overlap
    assert windows.n_pieces.sum() == 10


def test_a_stride_of_a_whole_window_leaves_no_overlap() -> None:
    assert spans(plan([[1] * 9], window=4, stride=4)) == [(0, 4), (4, 8), (8, 9)]


@pytest.mark.parametrize(("window", "stride"), [(0, 0), (4, 0), (4, 5), (4, -1)])
def test_a_stride_that_would_leave_gaps_is_refused(window: int, stride: int) -> None:
    with pytest.raises(ValueError, match="stride"):
        plan([[1]], window=window, stride=stride)


DOCS = st.lists(st.lists(st.integers(0, 7), max_size=30), max_size=5)


@given(docs=DOCS, window=st.integers(1, 12), stride=st.integers(1, 12))
def test_every_piece_is_covered_and_no_window_leaves_its_doc(docs: list[list[int]], window: int, stride: int) -> None:
    stride = min(stride, window)

    windows = plan(docs, window=window, stride=stride)

    ends = np.cumsum([sum(doc) for doc in docs]).tolist()
    covered = {piece for first, end in spans(windows) for piece in range(first, end)}
    assert covered == set(range(ends[-1] if ends else 0))
    assert all(0 < n <= window for n in windows.n_pieces.tolist())
    assert not any(first < border < end for border in ends for first, end in spans(windows))
    assert windows.overlap == (windows.n_pieces.sum() > len(covered))


@given(docs=DOCS, window=st.integers(1, 12), stride=st.integers(1, 12))
def test_a_docs_windows_do_not_depend_on_the_batch(docs: list[list[int]], window: int, stride: int) -> None:
    stride = min(stride, window)

    together = spans(plan(docs, window=window, stride=stride))

    alone, start = [], 0
    for doc in docs:
        alone += [(first + start, end + start) for first, end in spans(plan([doc], window=window, stride=stride))]
        start += sum(doc)
    assert together == alone
