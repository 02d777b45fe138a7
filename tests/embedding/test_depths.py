"""An encoder whose lower layers stand still gives Hugging Face's own numbers and gradients from where they end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frostline.embedding.adapters import AdapterSettings
from frostline.embedding.cut_trials import weights_of_states
from frostline.embedding.depths import Depth, find_depth, why_not_cut
from frostline.embedding.encoder import Encoder
from frostline.embedding.layer_stack import stack_of
from frostline.embedding.pieces import Pieces, PieceTable
from frostline.embedding.windows import Windows
from frostline.layers.modes import declare
from frostline.layers.parameters import STAGE_ATTRIBUTE
from frostline.tokens import Doc
from tests.embedding.families import FAMILIES, KNOWN, encoder_of
from tests.embedding.test_families import DOCS, TOLERANCE, assert_near, expected_of, pieces_of, windows_of
from tests.embedding.tiny import tiny_encoder

CUT = [name for name in KNOWN if not FAMILIES[name].uncut]
SHARED = {"deberta-v2": "encoder.rel_embeddings", "deberta": "encoder.rel_embeddings",
          "mpnet": "encoder.relative_attention_bias"}  # fmt: skip


def freeze(encoder: Encoder, n_lowest: int, *more: str, modes: dict[str, str] | None = None) -> Encoder:
    """Declare what `lowest_layers` declares, and more modules frozen."""
    groups = stack_of(encoder, n_layers=encoder.n_hidden_states - 1)[: n_lowest + 1]
    names = [name for group in groups for name in group] + [f"model.{name}" for name in more]
    declare({"e": encoder}, {**{f"e.{name}.*": "frozen" for name in names}, **(modes or {})})
    return encoder


def frozen_encoder(name: str, n_lowest: int = 1) -> tuple[Encoder, Depth]:
    shared = [SHARED[name]] if name in SHARED else []
    if name == "deberta-v2":
        shared.append("encoder.LayerNorm")  # of the relative positions
    encoder = freeze(encoder_of(name), n_lowest, *shared)
    depth = find_depth(encoder, at_most=2)
    assert depth is not None
    return encoder, depth


def upper_of(depth: Depth, pieces: Pieces, windows: Windows, **options: Any) -> torch.Tensor:
    states, _ = depth.lower(pieces, windows)
    return depth.upper(states, pieces, windows, **{"is_train": False, "layers": (2,), "max_batch_pieces": 70} | options)


@pytest.mark.parametrize("name", KNOWN)
def test_an_encoder_is_cut_where_it_bears_it_and_says_why_it_does_not(name: str) -> None:
    reason = why_not_cut(encoder_of(name))

    assert FAMILIES[name].uncut in reason
    assert bool(reason) == bool(FAMILIES[name].uncut)


@pytest.mark.parametrize(("window", "stride"), [(60, 60), (12, 7)], ids=["single", "overlapping"])
@pytest.mark.parametrize("name", CUT)
def test_numbers_and_gradients_are_those_of_the_plain_model(name: str, window: int, stride: int) -> None:
    encoder, depth = frozen_encoder(name)
    pieces = pieces_of(encoder)
    windows = windows_of(pieces, window=window, stride=stride)
    weights = torch.randn(len(pieces), encoder.width, generator=torch.Generator().manual_seed(1))
    plain = expected_of(encoder, pieces, windows)
    plain.backward(weights)
    expected = {key: value.grad.clone() for key, value in encoder.named_parameters() if value.grad is not None}
    encoder.zero_grad()

    with torch.no_grad():
        predicted = upper_of(depth, pieces, windows)
    in_graph = upper_of(depth, pieces, windows, is_train=True)
    in_graph[0].backward(weights)

    assert depth.number == 1
    for vectors in (predicted, in_graph.detach()):
        assert_near(vectors[0], plain.detach())
    found = {key: value.grad for key, value in encoder.named_parameters() if value.grad is not None}
    assert expected.keys() == found.keys() and expected
    assert not any(key.removeprefix("model.") in depth.weights for key in found)
    largest = max(gradient.abs().max() for gradient in expected.values())
    for key, gradient in expected.items():
        assert_near(found[key], gradient, largest=max(gradient.abs().max(), 1e-3 * largest))


@pytest.mark.parametrize("name", ["bert", "modernbert", "fnet"])
def test_what_the_lower_layers_give_does_not_depend_on_the_other_docs(name: str) -> None:
    encoder, depth = frozen_encoder(name)
    table = PieceTable(encoder.tokenizer)

    def states_of(docs: list[Doc]) -> list[torch.Tensor]:
        pieces = table.pieces_of(docs)
        states, lengths = depth.lower(pieces, windows_of(pieces, window=12, stride=5))
        assert states.shape == (1, sum(lengths), encoder.width)
        return list(states.split(lengths, dim=1))

    together = states_of([*DOCS, *reversed(DOCS)])

    for index, doc in enumerate(DOCS):
        (alone,) = states_of([doc])
        assert torch.equal(alone, together[index]) and torch.equal(alone, together[-1 - index])


def test_states_are_hugging_faces_own_hidden_states_of_each_window_special_tokens_included() -> None:
    encoder, depth = frozen_encoder("bert")
    pieces = pieces_of(encoder)
    windows = windows_of(pieces, window=12, stride=7)

    states, lengths = depth.lower(pieces, windows)

    rows = [
        [*encoder.special.prefix, *pieces.ids[first : first + n].tolist(), *encoder.special.suffix]
        for first, n in zip(windows.first_piece.tolist(), windows.n_pieces.tolist(), strict=True)
    ]
    with torch.no_grad():
        outputs = [encoder.model(input_ids=torch.tensor([row]), output_hidden_states=True) for row in rows]
    expected = torch.cat([output.hidden_states[1][0] for output in outputs])
    assert windows.overlap and len(lengths) == len(DOCS)
    assert float((states[0] - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())


def test_docs_without_pieces_and_pieces_without_a_window_are_zeros() -> None:
    encoder, depth = frozen_encoder("bert")
    pieces = PieceTable(encoder.tokenizer).pieces_of([Doc.from_words([" "]), DOCS[0], Doc.from_words([" "])])
    none = Windows(first_piece=np.zeros(0, dtype=np.int64), n_pieces=np.zeros(0, dtype=np.int64))

    states, lengths = depth.lower(pieces, windows_of(pieces, window=60, stride=60))
    without, lengths_without = depth.lower(pieces, none)

    assert lengths == [0, len(pieces) + 2, 0] and states.shape[1] == len(pieces) + 2
    assert lengths_without == [0, 0, 0] and without.shape == (1, 0, encoder.width)
    vectors = depth.upper(without, pieces, none, is_train=False, layers=(1, 2), max_batch_pieces=70)
    assert vectors.shape == (2, len(pieces), encoder.width) and not vectors.any()


def test_other_layers_than_the_last_go_on_from_there_too() -> None:
    encoder, depth = frozen_encoder("modernbert")
    pieces = pieces_of(encoder)
    windows = windows_of(pieces, window=12, stride=7)

    with torch.no_grad():
        expected = encoder(pieces, windows, is_train=False, layers=(1, 2))
        found = upper_of(depth, pieces, windows, layers=(1, 2))

    for layer, vectors in zip(expected, found, strict=True):
        assert_near(vectors, layer)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_dropout_above_is_a_function_of_the_seed_and_computing_twice_changes_nothing(checkpointing: bool) -> None:
    found = []
    for twice in (False, checkpointing):
        encoder = Encoder.from_config(tiny_encoder().model.config, tiny_encoder().tokenizer, seed=0,
                                      checkpointing=twice)  # fmt: skip
        depth = find_depth(freeze(encoder, 1), at_most=2)
        assert depth is not None
        pieces = pieces_of(encoder)
        torch.manual_seed(3)
        upper_of(depth, pieces, windows_of(pieces, window=12, stride=7), is_train=True).square().sum().backward()
        found.append({name: one.grad for name, one in encoder.named_parameters() if one.grad is not None})

    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(values, found[1][name]) for name, values in found[0].items())


def adapted() -> Encoder:
    encoder = tiny_encoder()
    encoder.add_adapters(AdapterSettings(rank=2, alpha=4, targets=("query",)), folder=Path("none"))
    declare({"e": encoder}, {"e.model.*": "frozen", "e.model*lora_*": "train"})
    return encoder


def waiting() -> Encoder:
    encoder = freeze(tiny_encoder(), 1)
    setattr(next(encoder.model.encoder.layer[0].parameters()), STAGE_ATTRIBUTE, "layer-01")
    return encoder


def freeze_albert() -> Encoder:
    encoder = tiny_encoder("albert")
    declare({"e": encoder}, {"e.model.embeddings.*": "frozen"})
    return encoder


NONE: dict[str, Callable[[], Encoder]] = {
    "all moves": lambda: freeze(tiny_encoder(), -1),
    "the embeddings alone": lambda: freeze(tiny_encoder(), 0),
    "the embeddings move": lambda: freeze(tiny_encoder(), 1, modes={"e.model.embeddings.*": "train"}),
    "a part of the embeddings moves": lambda: freeze(tiny_encoder(), 1, modes={"e.*position_embeddings": "train"}),
    "dropout below": lambda: freeze(tiny_encoder(), 1, modes={"e.model.encoder.layer.0.output.dropout": "train"}),
    "samples below": lambda: freeze(tiny_encoder(), 1, modes={"e.model.encoder.layer.0.*": "sample"}),
    "layers wait for their turn": waiting,
    "adapters": adapted,
    "shared positions move": lambda: freeze(tiny_encoder("deberta-v2"), 1),
    "shared layers": freeze_albert,
    "dropout of the whole": lambda: freeze(encoder_of("xlm"), 1),
}


@pytest.mark.parametrize("what", NONE)
def test_nothing_is_kept_where(what: str) -> None:
    assert find_depth(NONE[what](), at_most=2) is None


def test_the_depth_is_the_highest_that_stands_still_and_that_nobody_reads_below() -> None:
    encoder = freeze(tiny_encoder(num_hidden_layers=4), 3)

    found = [find_depth(encoder, at_most=layer) for layer in (4, 3, 2, 1, 0)]

    assert [depth and depth.number for depth in found] == [3, 3, 2, 1, None]


def test_a_depth_holds_until_a_block_of_code_says_otherwise_and_asking_changes_nothing() -> None:
    encoder = freeze(tiny_encoder(), 1)
    flags = [parameter.requires_grad for parameter in encoder.parameters()]
    states, generator = [module.training for module in encoder.modules()], torch.get_rng_state()
    depth = find_depth(encoder, at_most=2)
    assert depth is not None and depth.holds
    assert [parameter.requires_grad for parameter in encoder.parameters()] == flags
    assert torch.equal(torch.get_rng_state(), generator)
    assert [module.training for module in encoder.modules()] == states

    for modes in ({"e.model.encoder.layer.0.*": "train"}, {"e.*": "sample"}, {"e.model.embeddings.dropout": "train"}):
        freeze(encoder, 1, modes=modes)
        assert not depth.holds
    freeze(encoder, 1)

    assert depth.holds


def test_the_models_own_list_of_layers_stays_whole_whatever_interrupts_a_call() -> None:
    encoder, depth = frozen_encoder("bert")
    own = encoder.model.encoder.layer
    whole, seen = list(own), []
    encoder.model.embeddings.register_forward_hook(lambda *ignored: seen.append(list(own)))
    pieces = pieces_of(encoder)

    upper_of(depth, pieces, windows_of(pieces, window=60, stride=60))

    assert len(seen) > 1 and all(layers == whole for layers in seen)
    assert encoder.model.encoder.layer is own


def test_the_digest_is_that_of_the_lower_part() -> None:
    encoder, depth = frozen_encoder("bert")
    before = depth.digest()

    with torch.no_grad():
        encoder.model.encoder.layer[1].output.dense.weight += 1
    above = depth.digest()
    with torch.no_grad():
        encoder.model.encoder.layer[0].output.dense.weight += 1

    assert above == before != depth.digest()


@pytest.mark.parametrize("precision", ["bf16", "float16"])
def test_half_precision_is_near(precision: str) -> None:
    exact, depth = frozen_encoder("bert")
    half = freeze(encoder_of("bert", precision=precision), 1)
    half_depth = find_depth(half, at_most=2)
    pieces = pieces_of(exact)
    windows = windows_of(pieces, window=12, stride=7)
    assert half_depth is not None

    with torch.no_grad():
        wanted = upper_of(depth, pieces, windows)
        predicted = upper_of(half_depth, pieces, windows)
    in_graph = upper_of(half_depth, pieces, windows, is_train=True)
    in_graph.square().mean().backward()

    for vectors in (predicted, in_graph.detach()):
        assert vectors.dtype == torch.float32
        assert float((vectors - wanted).norm() / wanted.norm()) < 0.05


def test_a_hidden_states_graph_names_the_tables_that_all_layers_share() -> None:
    of_state = weights_of_states(encoder_of("deberta-v2"))

    assert "encoder.rel_embeddings.weight" not in of_state[0]
    assert "encoder.rel_embeddings.weight" in of_state[1]
    assert not any(name.startswith("encoder.layer.1.") for name in of_state[1])
