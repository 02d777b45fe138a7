"""Tiny random encoders of many families, each with a tokenizer of the kind that its family has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import CONFIG_MAPPING

from frostline.embedding.encoder import Encoder
from tests.embedding.tiny import byte_level_tokenizer, unigram_tokenizer, wordpiece_tokenizer

TOKENIZERS = {"wordpiece": wordpiece_tokenizer, "bytes": byte_level_tokenizer, "unigram": unigram_tokenizer}
N_WORDS = 400
_SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
_T5 = {"d_model": 32, "num_layers": 2, "num_heads": 2, "d_ff": 48, "d_kv": 16, "dropout_rate": 0.0}
_XLM = {"emb_dim": 32, "n_layers": 2, "n_heads": 2, "n_words": N_WORDS, "dropout": 0.0,
        "attention_dropout": 0.0}  # fmt: skip
_LLAMA = {"num_key_value_heads": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How a family is told apart, and what is expected of it."""

    config: dict[str, Any]  # beside the shape that all share
    tokenizer: str
    rows: str  # how its windows are laid out
    reason: str = ""  # a part of why they are not packed
    uncut: str = ""  # a part of why its layers can't be computed apart; "" where they can
    has_shape: bool = True  # whether the config knows the shape by its usual names


OTHER_ATTENTION = "can't be replaced"
LEAK = "padding"
FAMILIES: dict[str, Family] = {
    "bert": Family(config={}, tokenizer="wordpiece", rows="packed"),
    "roberta": Family(config={"pad_token_id": 1, "type_vocab_size": 1}, tokenizer="bytes", rows="packed"),
    "xlm-roberta": Family(config={"pad_token_id": 1, "type_vocab_size": 1}, tokenizer="unigram", rows="packed"),
    "camembert": Family(config={"pad_token_id": 1, "type_vocab_size": 1}, tokenizer="unigram", rows="packed"),
    "electra": Family(config={"embedding_size": 16}, tokenizer="wordpiece", rows="packed"),
    "albert": Family(
        config={"embedding_size": 16}, tokenizer="unigram", rows="packed", uncut="no list of 2 layers"
    ),
    "distilbert": Family(
        config={"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48}, tokenizer="wordpiece", rows="packed",
        has_shape=False,
    ),
    "deberta-v2": Family(
        config={
            "relative_attention": True, "position_buckets": 8, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0,
            "position_biased_input": False, "norm_rel_ebd": "layer_norm", "share_att_key": True,
        },
        tokenizer="unigram", rows="padded", reason=OTHER_ATTENTION,
    ),
    "deberta": Family(
        config={"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "max_relative_positions": 8},
        tokenizer="bytes", rows="padded", reason=OTHER_ATTENTION,
    ),
    "modernbert": Family(
        config={
            "pad_token_id": 1, "cls_token_id": 0, "sep_token_id": 2, "bos_token_id": 0, "eos_token_id": 2,
            "local_attention": 16,
        },
        tokenizer="bytes", rows="padded", reason="local",
    ),
    "ernie": Family(config={}, tokenizer="wordpiece", rows="packed"),
    "mpnet": Family(config={"pad_token_id": 1}, tokenizer="wordpiece", rows="padded", reason=OTHER_ATTENTION),
    "roformer": Family(
        config={"embedding_size": 32}, tokenizer="wordpiece", rows="padded", reason=OTHER_ATTENTION
    ),
    "rembert": Family(
        config={"input_embedding_size": 16, "output_embedding_size": 16}, tokenizer="unigram", rows="padded",
        reason=OTHER_ATTENTION,
    ),
    "mobilebert": Family(
        config={
            "embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16, "num_feedforward_networks": 1,
        },
        tokenizer="wordpiece", rows="equal", reason=LEAK,
    ),
    "convbert": Family(
        config={"embedding_size": 16, "head_ratio": 1, "conv_kernel_size": 3, "num_groups": 1}, tokenizer="wordpiece",
        rows="equal", reason=LEAK,
    ),
    "fnet": Family(config={}, tokenizer="unigram", rows="equal", reason=LEAK),
    "xlnet": Family(
        config={"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 48, "dropout": 0.0}, tokenizer="unigram",
        rows="padded", reason=OTHER_ATTENTION, uncut="can't be computed apart", has_shape=False,
    ),
    "xlm": Family(config=_XLM | {"pad_index": 1}, tokenizer="unigram", rows="padded", reason=OTHER_ATTENTION,
                  uncut="can't be computed apart", has_shape=False),
    "t5": Family(config=_T5, tokenizer="unigram", rows="padded", reason=OTHER_ATTENTION,
                 uncut="need more of the lower ones", has_shape=False),
    "nomic_bert": Family(config={}, tokenizer="wordpiece", rows="packed"),
    "gpt2": Family(
        config={"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}, tokenizer="bytes", rows="padded",
        has_shape=False,
    ),
    "llama": Family(config=_LLAMA, tokenizer="bytes", rows="padded"),
}  # fmt: skip
KNOWN = {name: family for name, family in FAMILIES.items() if name in CONFIG_MAPPING}  # by this transformers


def encoder_of(name: str, *, seed: int = 0, **settings: Any) -> Encoder:
    """A tiny encoder of a family, without dropout; `settings` are the Encoder's own."""
    family = FAMILIES[name]
    shape: dict[str, Any] = {"vocab_size": N_WORDS}
    if family.has_shape:
        shape |= _SHAPE | {"max_position_embeddings": 64}
    config = CONFIG_MAPPING[name](**{**shape, **family.config})
    tokenizer = TOKENIZERS[family.tokenizer]()
    encoder = Encoder.from_config(config, tokenizer, seed=seed, **settings)
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return encoder
