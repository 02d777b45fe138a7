"""A WordPiece tokenizer learnt from a corpus, the same on every run.

The trainer of the tokenizers library numbers characters in the order of a hash map that differs from process to
process, and breaks ties by these numbers; so all characters are numbered here, sorted, before it starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers
from transformers import BertTokenizer

from frostline.errors import ConfigError, CorpusError
from frostline.tokens import Doc

Tokenizer: TypeAlias = Any  # a fast tokenizer of transformers, which come without usable types

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTINUES = "##"  # before a piece that does not begin its word


def train_tokenizer(docs: Iterable[Doc], *, n_pieces: int, lowercase: bool, max_length: int) -> Tokenizer:
    """A BERT tokenizer whose pieces fit the words of the docs.

    Args:
        docs: gone through once; each word counts by itself.
        n_pieces: at most so many, the special ones and all single characters included.
        lowercase: fold case, in training and in use.
        max_length: of a row, for the tokenizer's own record.
    Raises:
        CorpusError: the docs have no words.
        ConfigError: n_pieces is too small for the characters that occur.
    """
    normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=False)
    lines = [" ".join(word or "" for word in doc.words) for doc in docs]
    characters = sorted({character for line in lines for character in normalizer.normalize_str(line)} - {" "})
    if not characters:
        raise CorpusError("There is no text to learn word pieces from.", where="corpora.train")
    first = [*SPECIAL, *characters, *(CONTINUES + character for character in characters)]
    if n_pieces < len(first):
        raise ConfigError(
            f"n_pieces is {n_pieces}, but the {len(characters)} characters of the corpus alone need {len(first)}.",
            where="pretraining.n_pieces",
            fix=f"Use {2 * len(first)} or more.",
        )
    learner = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer = normalizer
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=n_pieces, min_frequency=2, special_tokens=first, continuing_subword_prefix=CONTINUES,
        show_progress=False,
    )  # fmt: skip
    learner.train_from_iterator(iter(lines), trainer)
    return BertTokenizer(vocab=learner.get_vocab(), do_lower_case=lowercase, strip_accents=False,
                         model_max_length=max_length)  # fmt: skip


def vocabulary_text(tokenizer: Tokenizer) -> str:
    """vocab.txt as older tools read it: one piece a line, in the order of their numbers."""
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return "".join(f"{piece}\n" for piece, _ in pieces)
