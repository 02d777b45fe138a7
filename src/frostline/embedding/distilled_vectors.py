"""Static vectors out of a transformer: what it says of each word by itself.

Every word of a vocabulary is a text of its own; its vector is the mean of its pieces in one hidden state. Much is lost
beside the transformer in context, but a table lookup costs nothing (Bommasani et al. 2020, "Interpreting pretrained
contextualized representations via reductions to static embeddings", their decontextualised vectors).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from frostline.embedding.embedders import check_layer
from frostline.embedding.pooling import pool
from frostline.embedding.transformer import Transformer, TransformerSettings
from frostline.errors import ModelFileError, UsageError
from frostline.tokens import Doc
from frostline.vectors import Vectors

WORDS_AT_ONCE = 1024


def vectors_from_transformer(
    source: Path, words: Sequence[str], *, layer: int = -1, precision: str = "float32", device: str = "cpu"
) -> Vectors:
    """The vectors of a vocabulary, (n_words, width) float32; a word of which the tokenizer makes no piece gets none.

    Args:
        source: a folder in Hugging Face's layout, or a model of ours with a transformer, of which the first is taken.
        words: the most frequent first, if they are to be pruned; of a word that comes again the first counts.
        layer: hidden state, 0 (embeddings) to -1 (last).
    Raises:
        ModelFileError: there is no transformer, or it is broken.
        ConfigError: it has no such layer.
        UsageError: none of the words has a piece.
    """
    settings = TransformerSettings(
        source=str(source), precision=precision, window=254, stride=190, max_batch_pieces=2048,
        tokenizer_settings={}, transformer_settings={},
    )  # fmt: skip
    transformer = Transformer(settings=settings, layers=(layer,), device=device)
    transformer.load(encoder_folder(source))
    check_layer(layer, transformer.n_hidden_states, where="--layer")
    distinct = tuple(dict.fromkeys(words))
    table = np.empty((len(distinct), transformer.width), dtype=np.float32)
    has_pieces = np.zeros(len(distinct), dtype=np.bool_)
    for start in range(0, len(distinct), WORDS_AT_ONCE):
        docs = [Doc.from_words([word]) for word in distinct[start : start + WORDS_AT_ONCE]]
        with torch.no_grad():
            given = transformer.read(docs)
            pieces, _ = transformer.frozen_activations(given)
            n_pieces = torch.from_numpy(given.pieces.n_pieces_of_token).to(pieces.device)
            has_pieces[start : start + len(docs)] = (n_pieces > 0).cpu().numpy()
            table[start : start + len(docs)] = pool(pieces[0], n_pieces, mode="mean").cpu().numpy()
    if not has_pieces.any():
        fix = "Give a list of words that its tokenizer knows."
        raise UsageError("The transformer's tokenizer makes no piece of any of the words.", where="--words", fix=fix)
    if not has_pieces.all():
        distinct, table = tuple(itertools.compress(distinct, has_pieces)), table[has_pieces]
    return Vectors(distinct, table)


def encoder_folder(source: Path) -> Path:
    """The folder with the encoder: `source` itself, or the first of a model of ours."""
    if not (source / "meta.json").is_file():
        return source
    found = sorted(source.glob("*/encoder"))
    if not found:
        raise ModelFileError("The model has no transformer.", where=str(source),
                             fix="Name a model whose pipeline has one.")  # fmt: skip
    return found[0]
