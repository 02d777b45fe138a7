"""The whole pipeline once more as one plain torch graph, and the rows that cover all pairs of settings.

Takes weights and labels from a pipeline and nothing else: windows, averages, pooling, mixes and losses are redone here,
in the slowest and plainest way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, PreTrainedTokenizerFast

from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.wiring import embedders_of
from frostline.tokens import Doc

POOLINGS = {
    "mean": lambda pieces: pieces.mean(dim=0),
    "sum": lambda pieces: pieces.sum(dim=0),
    "max": lambda pieces: pieces.max(dim=0).values,
    "first": lambda pieces: pieces[0],
    "last": lambda pieces: pieces[-1],
}


def plain_gradients(
    source: Path, pipeline: Pipeline, docs: Sequence[Doc], *, pooling: str = "mean", layer: int | str = -1,
    grad_factors: Sequence[float] = (1.0, 1.0, 1.0), window: int = 1000, stride: int = 1000,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Gradients by the names of the pipeline's parameters; zeros where nothing arrives. All parts count as unfrozen.

    The pipeline's components share one transformer, or have one each, in their order.
    """
    tokenizer = PreTrainedTokenizerFast.from_pretrained(source)
    encoders = [_copied(source, embedder.module.model) for embedder in embedders_of(pipeline)]
    values = {name: value.clone().requires_grad_() for name, value in pipeline.parameters.named_values.items()}
    losses = []
    for number, (name, component) in enumerate(pipeline.components.items()):
        encoder = encoders[number % len(encoders)]
        read = (pooling, layer, values, name, window, stride)
        vectors = torch.cat([_embed(encoder, tokenizer, doc, *read) for doc in docs])
        factor = grad_factors[number]
        vectors = _scaled(encoder, vectors, factor)
        scores = vectors @ _ending(values, name, "output.weight").T + _ending(values, name, "output.bias")
        start = 0
        for column in component.columns:
            labels = component.labels[column]
            gold = torch.tensor([labels.index(value) for doc in docs for value in doc.column(column).values()])
            losses.append(torch.nn.functional.cross_entropy(scores[:, start : start + len(labels)], gold))
            start += len(labels)
    torch.autograd.backward(losses)
    owners = list(pipeline.publishers) or [f"{name}.transformer" for name in pipeline.components]
    found = {name: value.grad for name, value in values.items() if value.grad is not None}
    for owner, encoder in zip(owners, encoders, strict=True):
        for key, parameter in encoder.named_parameters():
            (name,) = [one for one in values if one.startswith(f"{owner}/") and one.endswith(f"model.{key}")]
            found[name] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return found


def _scaled(encoder: Any, vectors: torch.Tensor, factor: float) -> torch.Tensor:
    """The same numbers, whose gradient is multiplied on its way to the encoder, not on its way to a mix."""
    if factor == 1.0:
        return vectors
    vectors.register_hook(lambda gradient: gradient * factor)  # readers of one layer have nothing in between
    return vectors


def _copied(source: Path, model: Any) -> Any:
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    plain = AutoModel.from_pretrained(source, add_pooling_layer=False, attn_implementation="eager", **quiet).eval()
    plain.load_state_dict({name: value.detach().clone() for name, value in model.state_dict().items()})
    return plain


def _embed(
    encoder: Any, tokenizer: Any, doc: Doc, pooling: str, layer: int | str, values: Mapping[str, torch.Tensor],
    name: str, window: int, stride: int,
) -> torch.Tensor:  # fmt: skip
    """(n_tokens, width)"""
    batch = tokenizer(doc.words.values(), is_split_into_words=True)
    first, final = batch["input_ids"][0], batch["input_ids"][-1]
    ids, words = batch["input_ids"][1:-1], batch.word_ids(0)[1:-1]
    sums: list[list[torch.Tensor]] = [[] for _ in ids]
    for start, end in _windows(words, window, stride):
        row = torch.tensor([[first, *ids[start:end], final]])
        hidden = torch.stack(encoder(input_ids=row, output_hidden_states=True).hidden_states)[:, 0, 1:-1]
        for place in range(start, end):
            sums[place].append(hidden[:, place - start])
    pieces = torch.stack([torch.stack(found).mean(dim=0) for found in sums], dim=1)  # (n_layers, n_pieces, width)
    of_words = [[place for place, word in enumerate(words) if word == number] for number in range(len(doc))]
    tokens = torch.stack(
        [torch.stack([POOLINGS[pooling](hidden[places]) for places in of_words]) for hidden in pieces]
    )
    if layer != "mix":
        return tokens[layer]
    shares = torch.softmax(_ending(values, name, ".weights"), dim=0)
    mixed: torch.Tensor = (shares[:, None, None] * tokens).sum(dim=0) * _ending(values, name, ".gamma")
    return mixed


def _windows(words: Sequence[int], window: int, stride: int) -> list[tuple[int, int]]:
    borders = [0, *[i for i in range(1, len(words)) if words[i] != words[i - 1]], len(words)]

    def border(start: int, limit: int) -> int:
        best = max(one for one in borders if one <= limit)
        return best if best > start else limit

    cuts, start = [], 0
    while len(words) - start > window:
        cuts.append((start, border(start, start + window)))
        start = border(start, start + stride)
    return [*cuts, (start, len(words))]


def _ending(values: Mapping[str, torch.Tensor], component: str, end: str) -> torch.Tensor:
    (found,) = [value for name, value in values.items() if name.startswith(f"{component}/") and name.endswith(end)]
    return found


def rows_covering_pairs(factors: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Few rows in which every two values of two factors meet at least once (greedy; Cohen et al. 1997)."""
    names = list(factors)
    missing = {((a, x), (b, y)) for a, b in combinations(names, 2) for x, y in product(factors[a], factors[b])}
    everything = [dict(zip(names, values, strict=True)) for values in product(*factors.values())]
    rows = []
    while missing:
        best = max(everything, key=lambda row: len(missing.intersection(combinations(row.items(), 2))))
        missing -= set(combinations(best.items(), 2))
        rows.append(best)
    return rows
