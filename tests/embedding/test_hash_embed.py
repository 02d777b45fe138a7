"""Hashes are stable, vectors are sums of rows, and windows stay within their docs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frostline.embedding.hash_embed import HashTable, build_hash_embed, id_table, rows_of_hashes
from frostline.embedding.maxout_window import MaxoutWindow, Sequences, build_maxout_window, neighbours, within_docs
from frostline.embedding.subwords import SubwordTable, build_subwords, ngram_hashes
from frostline.embedding.tok2vec import Tok2Vec, build_tok2vec
from frostline.errors import ConfigError
from frostline.layers.distinct_words import DistinctWords
from frostline.layers.graph import run
from frostline.tokens import Doc

PROGRAM = """
import numpy as np
from frostline.embedding.hash_embed import rows_of_hashes
from frostline.embedding.subwords import ngram_hashes
from frostline.tokens.attributes import hashes_of_words
words = ["Frost", "line", "straße", "\\U0001f600"]
rows = rows_of_hashes(hashes_of_words(words)[:, 0], 5000, 4)
print(rows.tolist())
print(ngram_hashes(words, 3, 5)[0].sum())
"""


STABLE = """[[1892, 3897, 2215, 3937], [3284, 4963, 708, 3126], [2232, 3918, 1236, 937], [3893, 3555, 1786, 4008]]
10417923665967254766
"""


def test_hashes_are_the_same_in_every_process() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip

    (printed,) = found
    assert printed == STABLE


def test_rows_are_spread_evenly_and_seeds_give_other_rows() -> None:
    hashes = np.arange(20_000, dtype=np.uint64)

    rows = rows_of_hashes(hashes, 100, 4)

    assert rows.min() >= 0 and rows.max() < 100
    counts = np.stack([np.bincount(column, minlength=100) for column in rows.T])
    assert counts.min() > 140 and counts.max() < 265  # 200 on average; 5 standard deviations are 70
    assert (rows != rows_of_hashes(hashes, 100, 4, seed=1)).mean() > 0.95
    assert len(np.unique(rows, axis=0)) > 19_990 * 0.99


@pytest.mark.parametrize("n_words", [0, 1, 9])
def test_a_hash_table_gives_sums_of_rows(n_words: int) -> None:
    table = HashTable(13, 5, n_hashes=3, seed=2, column=1)
    ids = torch.randint(-(2**62), 2**62, (n_words, 2))

    rows = rows_of_hashes(ids[:, 1].numpy().view(np.uint64), 13, 3, seed=2)

    expected = torch.stack([table.weight[row].sum(0) for row in rows]) if n_words else torch.zeros(0, 5)
    assert torch.allclose(table(ids), expected, atol=1e-6)


def test_an_id_table_gives_the_rows_of_numbers() -> None:
    layer = id_table(4, 3)

    assert torch.equal(run(layer, torch.tensor([[2], [0]]), is_train=False), layer.attrs["torch_module"].weight[[2, 0]])


def plain_ngrams(word: str, shortest: int, longest: int) -> list[str]:
    marked = f"\x02{word}\x03" if word else ""
    return [marked[i : i + n] for n in range(shortest, longest + 1) for i in range(len(marked) - n + 1)]


@given(st.lists(st.text(max_size=12), max_size=8))
@settings(max_examples=60, deadline=None)
def test_ngrams_are_those_of_each_word_and_equal_ones_have_equal_hashes(words: list[str]) -> None:
    hashes, n_of_word = ngram_hashes(words, 2, 4)

    expected = [plain_ngrams(word, 2, 4) for word in words]
    assert n_of_word.tolist() == [len(ngrams) for ngrams in expected]
    by_ngram: dict[str, int] = {}
    for ngram, hashed in zip([n for ngrams in expected for n in ngrams], hashes.tolist(), strict=True):
        assert by_ngram.setdefault(ngram, hashed) == hashed
    assert len(set(by_ngram.values())) == len(by_ngram)


def test_subwords_are_means_of_rows_and_zeros_for_nothing() -> None:
    table = SubwordTable(31, 4, shortest=3, longest=4)

    found = table(DistinctWords(words=("frost", "", "a"), row_of_token=torch.zeros(0, dtype=torch.int64)))

    hashes, n_of_word = ngram_hashes(["frost", "", "a"], 3, 4)
    rows = rows_of_hashes(hashes, 31, 1)[:, 0]
    assert n_of_word.tolist() == [5 + 4, 0, 1]
    expected = torch.stack([table.weight[rows[:9]].mean(0), torch.zeros(4), table.weight[rows[9]]])
    assert torch.allclose(found, expected, atol=1e-6)


def test_longest_below_shortest_is_refused() -> None:
    with pytest.raises(ConfigError, match="fewer than the shortest") as error:
        build_subwords(shortest=4, longest=3)

    assert error.value.where == "longest"


lengths = st.lists(st.integers(0, 6), min_size=1, max_size=6)


@given(lengths, st.integers(0, 3))
@settings(max_examples=80, deadline=None)
def test_neighbours_are_those_of_the_doc_and_zeros_beyond_it(n_tokens_of_doc: list[int], window: int) -> None:
    rows = torch.arange(1, sum(n_tokens_of_doc) * 2 + 1).float().view(-1, 2)

    found = neighbours(rows, within_docs(n_tokens_of_doc, window))

    expected = []
    for part in torch.split(rows, n_tokens_of_doc):
        padded = torch.cat([torch.zeros(window, 2), part, torch.zeros(window, 2)])
        expected += [padded[i : i + 2 * window + 1].flatten() for i in range(len(part))]
    assert torch.equal(found, torch.stack(expected) if expected else torch.zeros(0, 2 * (2 * window + 1)))


@given(lengths, st.integers(1, 3), st.integers(1, 3), st.data())
@settings(max_examples=40, deadline=None)
def test_what_stands_in_other_docs_changes_no_bit(
    n_tokens: list[int], window: int, depth: int, data: st.DataObject
) -> None:
    torch.manual_seed(0)
    module = MaxoutWindow(4, depth=depth, window=window, n_pieces=2, dropout=0.0)
    chosen = data.draw(st.integers(0, len(n_tokens) - 1))
    start = sum(n_tokens[:chosen])
    own = slice(start, start + n_tokens[chosen])
    rows = torch.randn(sum(n_tokens), 4)
    others = torch.full_like(rows, 1e4)
    others[own] = rows[own]

    first, second = (module(Sequences(values=v, n_tokens_of_doc=tuple(n_tokens))) for v in (rows, others))

    assert all(torch.equal(a[own], b[own]) for a, b in zip(first, second, strict=True))


def test_no_gradient_crosses_the_border_of_a_doc() -> None:
    module = MaxoutWindow(4, depth=3, window=2, n_pieces=2, dropout=0.0)
    rows = torch.randn(9, 4, requires_grad=True)

    module(Sequences(values=rows, n_tokens_of_doc=(4, 5)))[-1][:4].sum().backward()

    assert not rows.grad[4:].any() and rows.grad[:4].any()


def test_words_that_look_alike_get_the_same_vector_and_others_do_not() -> None:
    embedded = Tok2Vec(build_hash_embed(width=8, rows=(50, 20, 20, 20), dropout=0.0))

    rows = embedded.compute([Doc.from_words(["cat", "dog", "cat"])], is_train=False).pieces[0]

    assert torch.equal(rows[0], rows[2]) and not torch.equal(rows[0], rows[1])


def test_the_start_is_a_function_of_the_seed_alone() -> None:
    found = []
    for noise, seed in ((1, 5), (2, 5), (3, 6)):
        torch.manual_seed(noise)
        model = build_tok2vec(embed=build_hash_embed(subwords=build_subwords(rows=20)), encode=build_maxout_window())
        embedder = model.attrs["embedder"]
        embedder.prepare(seed=seed)
        found.append(torch.cat([parameter.flatten() for parameter in embedder.module.parameters()]))

    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_memory_stays_flat_over_batches_of_ever_new_words() -> None:
    import gc
    import tracemalloc

    embedder = build_tok2vec(embed=build_hash_embed(width=8), encode=build_maxout_window(width=8)).attrs["embedder"]
    for extractor in (node.attrs["extractor"] for node in embedder.embed.walk() if "extractor" in node.attrs):
        extractor.max_entries = 500
    sizes = []
    tracemalloc.start()
    try:
        for batch in range(12):
            embedder.compute([Doc.from_words([f"w{batch}x{i}" for i in range(400)])], is_train=False)
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(sizes[6:]) - max(sizes[3:6]) < 50_000
