"""Tiny random encoders of several families, and a tokenizer made on the spot, for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AlbertConfig,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from frostline.embedding.encoder import Encoder
from frostline.embedding.pieces import Pieces

LINES = (
    "the frost line is the depth to which the ground water in soil is expected to freeze , and it depends on the "
    "climate of the place . a house stands on unfrozen ground ; engineers don't build above the freezing depth !"
)
TEXT = LINES.split()
WIDTH = 32
SHAPE: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}
FAMILIES = ("bert", "roberta", "distilbert", "electra", "albert", "deberta-v2", "modernbert")


@cache
def wordpiece_tokenizer() -> Any:
    """As BERT's: lower case, [CLS] and [SEP] around a text."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator([TEXT], trainers.WordPieceTrainer(vocab_size=90, special_tokens=specials))
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=64,
    )  # fmt: skip


@cache
def byte_level_tokenizer(*, add_prefix_space: bool = False) -> Any:
    """As RoBERTa's: every byte has a piece, a space before a word belongs to it, <s> and </s> around a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(TEXT)], trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=add_prefix_space, trim_offsets=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", mask_token="<mask>", model_max_length=62,
        add_prefix_space=add_prefix_space,
    )  # fmt: skip


@cache
def unigram_tokenizer() -> Any:
    """As SentencePiece's: a word begins with ▁."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=80, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        model_max_length=62,
    )  # fmt: skip


def tiny_config(family: str, **settings: Any) -> Any:
    """A config with two small layers."""
    n_words = 400
    shape = SHAPE | {"vocab_size": n_words} | settings
    if family == "bert":
        return BertConfig(**shape)
    if family == "roberta":
        return RobertaConfig(**shape, pad_token_id=1, type_vocab_size=1)
    if family == "distilbert":
        return DistilBertConfig(
            vocab_size=n_words, dim=WIDTH, n_layers=2, n_heads=2, hidden_dim=48, max_position_embeddings=64
        )
    if family == "electra":
        return ElectraConfig(**shape, embedding_size=16)
    if family == "albert":
        return AlbertConfig(**shape, embedding_size=16)
    if family == "deberta-v2":
        return DebertaV2Config(
            **shape, relative_attention=True, position_buckets=8, pos_att_type=["p2c", "c2p"], type_vocab_size=0,
            position_biased_input=False, norm_rel_ebd="layer_norm", share_att_key=True,
        )  # fmt: skip
    if family == "modernbert":
        specials = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
        small = {key: value for key, value in shape.items() if not key.endswith("_prob")}
        return ModernBertConfig(**small, **specials, local_attention=16, attention_dropout=0.1)
    raise ValueError(family)


def tiny_encoder(family: str = "bert", *, seed: int = 0, precision: str = "float32", **settings: Any) -> Encoder:
    """An encoder with random weights, in evaluation state."""
    tokenizer = byte_level_tokenizer() if family == "roberta" else wordpiece_tokenizer()
    return Encoder.from_config(tiny_config(family, **settings), tokenizer, seed=seed, precision=precision)


def random_pieces(encoder: Encoder, n_pieces_of_doc: Sequence[int], *, seed: int = 0) -> Pieces:
    """Docs of that many one-piece tokens."""
    ids = np.random.default_rng(seed).integers(5, 330 if encoder.special.pad_id == 1 else 90, sum(n_pieces_of_doc))
    lengths = np.array(n_pieces_of_doc, dtype=np.int32)
    return Pieces(
        ids=ids.astype(np.int64), n_pieces_of_token=np.ones(len(ids), dtype=np.int32),
        n_tokens_of_doc=lengths, n_pieces_of_doc=lengths,
    )  # fmt: skip


def plain_forward(encoder: Encoder, ids: Any, layer: int = -1) -> torch.Tensor:
    """Hugging Face's own forward of one text without any of our machinery: (n_pieces, width)."""
    special = encoder.special
    row = [*special.prefix, *[int(number) for number in ids], *special.suffix]
    output = encoder.model(input_ids=torch.tensor([row]), output_hidden_states=True)
    hidden = output.last_hidden_state if layer == -1 else output.hidden_states[layer]
    vectors: torch.Tensor = hidden[0, len(special.prefix) : len(row) - len(special.suffix)]
    return vectors
