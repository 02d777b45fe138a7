"""Attributes of words and their hashes."""

from __future__ import annotations

import numpy as np
import pytest

from frostline.tokens import Doc
from frostline.tokens.attributes import ATTRIBUTES, column_of, hashes, norm, prefix, shape, stable_hash, suffix


@pytest.mark.parametrize(("word", "expected"), [
    ("Anderson", "Xxxxx"), ("USA", "XXX"), ("3.5km", "d.dxx"), ("", ""), ("don't", "xxx'x"), ("AAAAAA", "XXXX"),
])
def test_shape_shows_the_kinds_of_characters_in_runs_of_four(word: str, expected: str) -> None:
    assert shape(word) == expected


def test_norm_prefix_and_suffix() -> None:
    assert (norm("It’s"), prefix("Word"), suffix("Word"), suffix("ab")) == ("it's", "W", "ord", "ab")


def test_hashes_are_the_same_in_every_process() -> None:
    assert stable_hash("frost") == 7963233209475214735


def test_batches_of_docs_get_a_row_for_each_token() -> None:
    docs = [Doc.from_words(["a", "B"]), Doc.from_words([]), Doc.from_words(["b", "a"])]

    found = hashes(docs)

    assert found.shape == (4, len(ATTRIBUTES)) and found.dtype == np.uint64
    assert (found[0] == found[3]).all() and found[1, 0] == found[2, 0] and found[1, 2] != found[2, 2]
    assert column_of(docs, "norm").values() == ["a", "b", "b", "a"]


def test_a_distinct_word_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setitem(ATTRIBUTES, "norm", lambda word: seen.append(word) or word)

    hashes([Doc.from_words(["a", "b", "a"]), Doc.from_words(["b", "a"])], ["norm"])

    assert sorted(seen) == ["a", "b"]
