"""Windows that somebody chose: any spans, averaged where they overlap, cut where they are long, zeros where none is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frostline.config import registry
from frostline.embedding.embedders import embedder_of, load
from frostline.embedding.transformer import Transformer
from frostline.errors import ConfigError, TrainingError
from frostline.layers.modes import declare
from frostline.tokens import Doc
from tests.embedding.tiny import plain_forward
from tests.pipeline.tiny import make_docs, make_encoder, transformer

SPANS: dict[str, list[tuple[int, int]]] = {}  # of each doc, for the getter below


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(autouse=True)
def listed() -> Any:
    """A getter whose spans a test writes down in SPANS; none for other docs."""
    registry.windows("test.listed.v1")(lambda: lambda docs: [SPANS.get(doc.doc_id, []) for doc in docs])
    SPANS.clear()
    yield
    SPANS.clear()


def made(folder: Path, *, frozen: bool = False, **settings: Any) -> Transformer:
    model = registry.resolve(transformer(folder, **settings), path="components.transformer.model")
    load(model, folder)
    if frozen:
        declare({"transformer": embedder_of(model).ready}, {"transformer": "frozen"})
    return embedder_of(model)


def numbers_of(one: Transformer, docs: Sequence[Doc]) -> torch.Tensor:
    with torch.no_grad():
        return one.compute(docs, is_train=False).pieces[0]


def expected_of(one: Transformer, docs: Sequence[Doc], spans: Sequence[tuple[int, int]]) -> torch.Tensor:
    """(n_pieces, width): each span of pieces of the whole batch by itself, averaged where they overlap."""
    pieces = one.pieces_of(docs)
    total, counts = torch.zeros(len(pieces), 24), torch.zeros(len(pieces), 1)
    for first, end in spans:
        with torch.no_grad():
            total[first:end] += plain_forward(one.ready, pieces.ids[first:end])
        counts[first:end] += 1
    return total / counts.clamp(min=1)


def near(left: torch.Tensor, right: torch.Tensor) -> bool:
    return left.shape == right.shape and float((left - right).abs().max()) <= 1e-5 * float(right.abs().max())


@pytest.mark.parametrize("frozen", [False, True])
def test_the_strided_block_is_the_same_as_the_two_keys(folder: Path, frozen: bool) -> None:
    docs = make_docs()
    block = {"@windows": "frostline.strided.v1", "window": 4, "stride": 3}

    by_keys = numbers_of(made(folder, frozen=frozen, window=4, stride=3), docs)
    by_block = numbers_of(made(folder, frozen=frozen, windows=block), docs)

    assert torch.equal(by_keys, by_block)
    assert not torch.equal(by_keys, numbers_of(made(folder, frozen=frozen), docs))


def test_whole_docs_are_what_the_default_reads(folder: Path) -> None:
    docs = make_docs()

    whole = numbers_of(made(folder, windows={"@windows": "frostline.docs.v1"}), docs)

    assert torch.equal(whole, numbers_of(made(folder), docs))


@pytest.mark.parametrize("frozen", [False, True])
def test_overlapping_spans_are_averaged_and_what_is_left_out_is_zeros(folder: Path, frozen: bool) -> None:
    doc = make_docs()[4]  # the old cats un|believ|able|ly … : seven tokens
    one = made(folder, frozen=frozen, windows={"@windows": "test.listed.v1"})
    borders = np.concatenate(([0], np.cumsum(one.pieces_of([doc]).n_pieces_of_token))).tolist()
    spans = [(1, 4), (0, 3), (2, 3), (5, 6)]
    SPANS[doc.doc_id] = [*spans, (3, 3), (0, 3)]  # an empty one and one that comes twice

    numbers = numbers_of(one, [doc])

    assert near(numbers, expected_of(one, [doc], [(borders[a], borders[b]) for a, b in spans]))
    assert not numbers[borders[4] : borders[5]].any()
    assert not numbers[borders[6] :].any()


@pytest.mark.parametrize("frozen", [False, True])
def test_the_order_in_which_spans_are_given_changes_no_bit(folder: Path, frozen: bool) -> None:
    docs = make_docs()
    one = made(folder, frozen=frozen, windows={"@windows": "test.listed.v1"})
    spans = [(0, 2), (1, 4), (0, 7), (3, 7), (2, 6)]
    found = []
    for order in (spans, spans[::-1]):
        SPANS[docs[4].doc_id] = [(a, b) for a, b in order]
        found.append(numbers_of(one, docs))

    assert torch.equal(*found)


def test_a_span_that_is_longer_than_a_window_is_cut_as_a_doc_is(folder: Path) -> None:
    doc = make_docs()[4]
    by_span = made(folder, windows={"@windows": "frostline.docs.v1"}, window=5, stride=3)

    assert torch.equal(numbers_of(by_span, [doc]), numbers_of(made(folder, window=5, stride=3), [doc]))


def test_gradients_flow_through_overlapping_spans(folder: Path) -> None:
    docs = make_docs()[3:5]
    one = made(folder, windows={"@windows": "test.listed.v1"})
    SPANS[docs[0].doc_id], SPANS[docs[1].doc_id] = [(0, 2), (0, 1)], [(0, 5), (2, 7)]
    pieces = one.pieces_of(docs)
    weights = torch.randn(len(pieces), 24, generator=torch.Generator().manual_seed(0))
    borders = np.concatenate(([0], np.cumsum(pieces.n_pieces_of_token))).tolist()

    one.compute(docs, is_train=True).pieces[0].backward(weights)
    found = {key: value.grad.clone() for key, value in one.ready.named_parameters() if value.grad is not None}
    one.ready.zero_grad()
    total, counts = torch.zeros(len(pieces), 24), torch.zeros(len(pieces), 1)
    for start, end in [(0, 2), (0, 1), (2, 7), (4, 9)]:
        places = torch.arange(borders[start], borders[end])
        total = total.index_add(0, places, plain_forward(one.ready, pieces.ids[places.numpy()]))
        counts[places] += 1
    (total / counts).backward(weights)

    assert len(found) > 20
    largest = max(float(value.grad.abs().max()) for value in one.ready.parameters() if value.grad is not None)
    for key, value in one.ready.named_parameters():
        if value.grad is not None:
            limit = 1e-5 * max(float(value.grad.abs().max()), 1e-3 * largest)
            assert float((found[key] - value.grad).abs().max()) <= limit, key


def test_sentences_are_read_by_themselves(folder: Path) -> None:
    doc = make_docs()[4]
    doc.sent_starts = [1, 0, 0, 1, 0, 0, 0]
    one = made(folder, windows={"@windows": "frostline.sentences.v1"})
    parts = [doc.slice(0, 3), doc.slice(3, 7)]

    together = numbers_of(one, [doc])

    apart = torch.cat([numbers_of(made(folder), [part]) for part in parts])
    assert near(together, apart)


def test_a_doc_without_sentences_is_an_error_that_says_who_should_find_them(folder: Path) -> None:
    strict = made(folder, windows={"@windows": "frostline.sentences.v1"})
    lenient = made(folder, windows={"@windows": "frostline.sentences.v1", "missing": "whole"})

    with pytest.raises(TrainingError, match="in the doc 'doc-0'") as error:
        numbers_of(strict, make_docs()[:1])
    assert error.value.where == "components.transformer.model.windows"
    assert "annotating_components" in str(error.value.fix)
    with pytest.raises(TrainingError, match=r"in doc 2 of the batch \('w0 w1 w2 w3 w4 …'\)"):
        numbers_of(strict, [Doc.from_words([]), Doc.from_words([f"w{i}" for i in range(9)])])
    assert torch.equal(numbers_of(lenient, make_docs()[:1]), numbers_of(made(folder), make_docs()[:1]))


@pytest.mark.parametrize(("window", "stride"), [(3, 2), (3, 3), (100, 1), (2, 1)])
def test_windows_of_tokens_cover_a_doc(window: int, stride: int) -> None:
    getter = registry.windows.get("frostline.strided_tokens.v1")(window=window, stride=stride)
    for n in range(1, 9):
        (spans,) = getter([Doc.from_words(["x"] * n)])

        assert {token for start, end in spans for token in range(start, end)} == set(range(n))
        assert all(end - start <= window for start, end in spans)
        assert [start for start, _ in spans] == list(range(0, len(spans) * stride, stride))
        assert len({end for _, end in spans}) == len(spans)  # none lies within the one before


@pytest.mark.parametrize("wrong", [(0, 8), (-1, 2), (3, 2)])
def test_a_span_outside_its_doc_is_refused_with_the_configs_place(folder: Path, wrong: tuple[int, int]) -> None:
    doc = make_docs()[4]
    SPANS[doc.doc_id] = [wrong]

    with pytest.raises(TrainingError, match="a doc of 7 tokens") as error:
        numbers_of(made(folder, windows={"@windows": "test.listed.v1"}), [doc])
    assert error.value.where == "components.transformer.model.windows"


def test_a_getter_that_forgets_docs_is_refused(folder: Path) -> None:
    registry.windows("test.forgetful.v1")(lambda: lambda docs: [])

    with pytest.raises(TrainingError, match="0 docs, but was asked for 6"):
        numbers_of(made(folder, windows={"@windows": "test.forgetful.v1"}), make_docs())


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (5, "5 for 1 docs"),
        (None, "None for 1 docs"),
        ([None], "None for the doc 'doc-4'"),
        ([[0, 7]], r"\[0, 7\] for the doc 'doc-4'"),
        ([[(0, 1, 2)]], r"\[\(0, 1, 2\)\] for"),
        (["ab"], "'ab' for"),
        ([["ab"]], r"\['ab'\] for"),
        ([[(0.5, 1.5)]], r"\[\(0.5, 1.5\)\] for"),
        ([np.array([[0.0, 7.0]])], "array"),
    ],
    ids=str,
)
def test_what_are_no_spans_is_shown_with_the_configs_place(folder: Path, given: Any, shown: str) -> None:
    registry.windows("test.given.v1")(lambda: lambda docs: given)

    with pytest.raises(TrainingError, match=f"gave {shown}") as error:
        numbers_of(made(folder, windows={"@windows": "test.given.v1"}), [make_docs()[4]])
    assert error.value.where == "components.transformer.model.windows"
    assert "whole numbers" in str(error.value.fix)


def test_whole_numbers_of_numpy_and_spans_that_come_one_by_one_are_spans(folder: Path) -> None:
    registry.windows("test.numpy.v1")(lambda: lambda docs: (np.array([[0, len(doc)]]) for doc in docs))
    registry.windows("test.lazy.v1")(lambda: lambda docs: (iter([(0, len(doc))]) for doc in docs))

    for name in ("numpy", "lazy"):
        numbers = numbers_of(made(folder, windows={"@windows": f"test.{name}.v1"}), make_docs())
        assert torch.equal(numbers, numbers_of(made(folder), make_docs()))


def test_spans_may_be_views_of_the_doc(folder: Path) -> None:
    registry.windows("test.views.v1")(lambda: lambda docs: [[doc[0:2], doc[1 : len(doc)]] for doc in docs])
    registry.windows("test.pairs.v1")(lambda: lambda docs: [[(0, min(2, len(doc))), (1, len(doc))] for doc in docs])

    views, pairs = (numbers_of(made(folder, windows={"@windows": f"test.{name}.v1"}), make_docs())
                    for name in ("views", "pairs"))  # fmt: skip

    assert torch.equal(views, pairs)


@pytest.mark.parametrize(
    ("block", "where", "message"),
    [
        ({"@windows": "frostline.strided.v1", "window": 0}, "windows.window", "1 or more"),
        ({"@windows": "frostline.strided_tokens.v1", "window": 2, "stride": 3}, "windows.stride", "leave gaps"),
        ({"@windows": "frostline.sentence.v1"}, "windows.@windows", "frostline.sentences.v1"),
        ({"@windows": "frostline.sentences.v1", "missing": "no"}, "windows.missing", "whole"),
        ("frostline.docs.v1", "windows", "block"),
    ],
    ids=str,
)
def test_a_block_that_makes_no_sense_is_named_with_its_place(
    folder: Path, block: Any, where: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        registry.resolve(transformer(folder, windows=block), path="m")
    assert str(error.value.where).startswith(f"m.{where}")
