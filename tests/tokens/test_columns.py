"""Dictionary-encoded columns of strings."""

from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from frostline.tokens import StringColumn, concat

VALUES = st.lists(st.none() | st.text(max_size=3), max_size=20)


@given(VALUES)
def test_what_goes_in_comes_out(values: list[str | None]) -> None:
    column = StringColumn.from_values(values)

    assert column.values() == values
    assert [column[i] for i in range(len(column))] == values
    assert column.is_missing.tolist() == [value is None for value in values]


@given(VALUES, st.integers(0, 20), st.integers(0, 20))
def test_a_slice_has_the_rows_of_the_slice_and_shares_the_table(values: list[str | None], start: int, end: int) -> None:
    column = StringColumn.from_values(values)

    assert column[start:end].values() == values[start:end]
    assert column[start:end].table is column.table


@given(st.lists(VALUES, max_size=4))
def test_concat_is_concatenation_whatever_the_tables(parts: list[list[str | None]]) -> None:
    assert concat([StringColumn.from_values(part) for part in parts]).values() == [v for part in parts for v in part]


def test_columns_that_share_a_table_keep_it_when_joined() -> None:
    column = StringColumn.from_values(["a", "b", None])

    assert concat([column[2:], column[:2]]).table is column.table


def test_missing_differs_from_none() -> None:
    assert StringColumn.from_values([None]) != StringColumn.from_values([""])


def test_equality_is_blind_to_the_order_of_the_table() -> None:
    assert StringColumn([0, 1], ("a", "b")) == StringColumn([1, 0], ("b", "a"))


@given(VALUES)
def test_compact_and_pickle_keep_the_rows_and_drop_what_no_row_uses(values: list[str | None]) -> None:
    column = StringColumn.from_values(["unused", *values])[1:]

    assert column.compact() == column
    assert pickle.loads(pickle.dumps(column)) == column
    assert list(column.compact().table) == sorted({value for value in values if value is not None})


def test_encode_tells_missing_from_unknown() -> None:
    column = StringColumn.from_values(["a", None, "z", "a"])

    assert column.encode({"a": 7}, unknown=99).tolist() == [7, -1, 99, 7]


def test_take_gives_a_missing_row_for_minus_one() -> None:
    column = StringColumn.from_values(["a", "b"])

    assert column.take(np.array([1, -1, 0, 1])).values() == ["b", None, "a", "b"]
    assert StringColumn.from_values([]).take(np.array([-1])).values() == [None]


@given(VALUES)
def test_texts_are_the_values_with_nothing_where_they_are_missing(values: list[str | None]) -> None:
    assert StringColumn.from_values(values).texts() == [value or "" for value in values]
