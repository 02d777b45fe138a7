"""A small tok2vec for tests, and the same model as a plain torch graph."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from frostline.embedding.hash_embed import rows_of_hashes
from frostline.pipeline.pipeline import Pipeline
from frostline.tokens import Doc
from frostline.tokens.attributes import ATTRIBUTES, stable_hash

WIDTH = 16
ATTRIBUTE_ROWS = {"norm": 40, "prefix": 11, "suffix": 30, "shape": 9}


def tok2vec(*, dropout: float = 0.0, depth: int = 2, window: int = 1, **options: Any) -> dict[str, Any]:
    """The block of a tok2vec without dropout."""
    return {
        "@architectures": "frostline.Tok2Vec.v1",
        "embed": {
            "@architectures": "frostline.HashEmbed.v1", "width": WIDTH, "attributes": list(ATTRIBUTE_ROWS),
            "rows": list(ATTRIBUTE_ROWS.values()), "dropout": dropout, **options.pop("embed", {}),
        },
        "encode": {
            "@architectures": "frostline.MaxoutWindow.v1", "width": WIDTH, "depth": depth, "window": window,
            "dropout": dropout,
        },
        **options,
    }  # fmt: skip


def with_tok2vec(config: dict[str, Any], **options: Any) -> dict[str, Any]:
    """A config of `tests.pipeline.tiny.make_config`, with a tok2vec in the place of its transformers."""
    changed = copy.deepcopy(config)
    for section in changed["components"].values():
        model = section["model"]
        if section["factory"] == "transformer":
            section["factory"], section["model"] = "publisher", tok2vec(**options)
        elif "transformer" in model["embedding"]:
            model["embedding"]["transformer"] = tok2vec(**options)
    return changed


def plain_states(weights: dict[str, torch.Tensor], docs: Sequence[Doc], *, window: int = 1) -> list[torch.Tensor]:
    """The hidden states of the tok2vec, token by token and doc by doc, from nothing but its weights and torch.

    weights: by the names within the tok2vec.
    """
    states: list[list[torch.Tensor]] = []
    for doc in docs:
        rows = torch.stack([_embedded(weights, word or "") for word in doc.words.values()])
        of_doc = [rows]
        depth = 0
        while f"encode.layers.{depth}.weight" in weights:
            zeros = torch.zeros(window, rows.shape[1])
            padded = torch.cat([zeros, rows, zeros])
            beside = torch.stack([padded[i : i + 2 * window + 1].flatten() for i in range(len(rows))])
            rows = rows + _maxout(weights, f"encode.layers.{depth}.", beside)
            of_doc.append(rows)
            depth += 1
        states.append(of_doc)
    return [torch.cat(parts) for parts in zip(*states, strict=True)]


def _embedded(weights: dict[str, torch.Tensor], word: str) -> torch.Tensor:
    parts = []
    for attribute, n_rows in ATTRIBUTE_ROWS.items():
        hashed = stable_hash(f"{attribute}\0{ATTRIBUTES[attribute](word)}")
        name = f"embed.words.hashed.{attribute}.weight"
        rows = rows_of_hashes(np.array([hashed], dtype=np.uint64), n_rows, 4)[0].tolist()
        parts.append(sum(weights[name][row] for row in rows))
    return _maxout(weights, "embed.words.maxout.", torch.cat(parts)[None])[0]


def _maxout(weights: dict[str, torch.Tensor], prefix: str, inputs: torch.Tensor) -> torch.Tensor:
    pieces = (inputs @ weights[f"{prefix}weight"].T + weights[f"{prefix}bias"]).unflatten(1, (3, -1))
    scale, shift = weights[f"{prefix}norm.weight"], weights[f"{prefix}norm.bias"]
    return torch.nn.functional.layer_norm(pieces.max(dim=1).values, scale.shape, scale, shift)


def plain_gradients(
    pipeline: Pipeline, docs: Sequence[Doc], *, grad_factors: Sequence[float], layer: int = -1, window: int = 1,
    owners: Sequence[str] = (),
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Gradients of the pipeline's model as one plain torch graph, under the pipeline's names.

    owners: of the tok2vec that each component reads, where it is not the shared one.
    """
    leaves = {name: values.clone().requires_grad_() for name, values in pipeline.parameters.named_values.items()}
    losses = []
    for number, (component, factor) in enumerate(zip(pipeline.components.values(), grad_factors, strict=True)):
        owner = owners[number] if owners else next(iter(pipeline.publishers))
        prefix = f"{owner}/"
        own = {name.removeprefix(prefix): value for name, value in leaves.items() if name.startswith(prefix)}
        embedded = plain_states(own, docs, window=window)[layer]
        embedded = embedded * factor + embedded.detach() * (1 - factor)
        (head,) = (n for n in leaves if n.startswith(f"{component.name}/") and n.endswith("output.weight"))
        scores = embedded @ leaves[head].T + leaves[head.removesuffix("weight") + "bias"]
        start = 0
        for column in component.columns:
            labels = component.labels[column]
            gold = torch.tensor([labels.index(value) for doc in docs for value in doc.column(column).values()])
            losses.append(torch.nn.functional.cross_entropy(scores[:, start : start + len(labels)], gold))
            start += len(labels)
    sum(losses).backward()
    return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
