"""`frostline pretrain`: an encoder from the raw text of a corpus, by guessing hidden pieces.

The same loop as any training, with its evaluations, checkpoints and logs; only the model is another. Annotations of
the corpus are never looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transformers import BertConfig, ModernBertConfig, PretrainedConfig, PreTrainedTokenizerBase

from frostline.config.registry import registry
from frostline.config.user_code import CodeFiles
from frostline.console import say
from frostline.embedding.encoder import Encoder
from frostline.errors import ConfigError
from frostline.files import refuse_to_lose
from frostline.layers.randomness import Clock, seed_for
from frostline.pipeline.devices import device_of
from frostline.pipeline.reading import reader_of
from frostline.pretraining.masked_model import ENCODER_FILES, MaskedModel
from frostline.pretraining.settings import PretrainingSettings, settings_from
from frostline.pretraining.wordpieces import train_tokenizer
from frostline.tokens import Doc
from frostline.training.averages import averages_from
from frostline.training.checking import check_training
from frostline.training.checkpoint import CHECKPOINT_FILES, digest_of_run
from frostline.training.driver import Outcome, Place, Policy, train
from frostline.training.loggers import Logger
from frostline.training.loop import Recipe
from frostline.training.loss_scale import with_loss_scale
from frostline.training.randomness import set_up
from frostline.training.saving import CHECKPOINT, MODEL_BEST, MODEL_LAST
from frostline.training.schedules import Constant


def pretrain(
    config: Mapping[str, Any], output: Path, *, device: str = "", threads: int = 0, logger: Logger | None = None,
    code: CodeFiles = (),
) -> Outcome:  # fmt: skip
    """Pretrain an encoder and write model-best, model-last (Hugging Face folders), log.jsonl and timing.json.

    Reads [system], [corpora.train], [corpora.dev], [training] and [pretraining].

    Args:
        config: filled and interpolated.
        device: in torch's notation; "" for the config's own.
        threads: that torch computes with; 0 for the config's own number.
        code: what was imported for it.
    Raises:
        ConfigError: a section is missing or wrong. CorpusError: a corpus is missing, broken or empty.
        ModelFileError: the encoder to go on from is missing or broken.
    """
    system, training, settings = config.get("system") or {}, config.get("training"), settings_from(config)
    if not training:
        raise ConfigError("There is no section [training] to say how long and how fast.", where="training")
    check_training(config, annotated=False)
    for name in (MODEL_BEST, MODEL_LAST):
        refuse_to_lose(output / name, ENCODER_FILES, "an encoder")
    refuse_to_lose(output / CHECKPOINT, CHECKPOINT_FILES, "a checkpoint")
    seed = int(system.get("seed", 0))
    set_up(seed, deterministic=system.get("deterministic", "yes"), threads=threads or system.get("threads", 0))
    train_docs: Any = reader_of(config, "train")
    dev_docs: Any = reader_of(config, "dev")
    encoder = _make_encoder(settings, train_docs, seed=seed)
    place = device_of(device or system.get("device", "cpu"))
    model = MaskedModel(encoder, window=min(settings.window, encoder.max_content_pieces),
                        mask_rate=settings.mask_rate, seed=seed, device=place,
                        on_out_of_memory=training.get("on_out_of_memory", "fail"))  # fmt: skip
    data = {"train": train_docs.digest, "dev": dev_docs.digest, "encoder": encoder.digest()}
    return train(
        model, train_docs, dev_docs,
        optimizer=with_loss_scale(registry.resolve(training["optimizer"], path="training.optimizer"), [encoder]),
        recipe=_recipe(training, seed),
        policy=Policy(
            max_steps=training.get("max_steps", 0), patience=training.get("patience", 0),
            eval_frequency=training.get("eval_frequency", 0), score_weights={"masked_acc": 1.0},
        ),
        place=Place(output=output, digest=digest_of_run(config, data, code), code=code, precision=settings.precision,
                    device=place),
        averages=averages_from(training.get("averages")), logger=logger,
    )  # fmt: skip


def _make_encoder(settings: PretrainingSettings, docs: Iterable[Doc], *, seed: int) -> Encoder:
    if settings.source:
        encoder = Encoder.from_folder(Path(settings.source), precision=settings.precision)
        if encoder.tokenizer.mask_token_id is None:
            raise ConfigError(
                f"The tokenizer in '{settings.source}' has no mask token, so nothing can be hidden from its encoder.",
                where="pretraining.source",
                fix="Choose an encoder that was made by masked language modelling, such as BERT's kind.",
            )
        return encoder
    tokenizer = train_tokenizer(
        docs, n_pieces=settings.n_pieces, lowercase=settings.lowercase, max_length=settings.max_length
    )
    config = _config_of(settings, tokenizer)
    say(f"made a list of {len(tokenizer):,} word pieces")
    seed_of_weights = seed_for(Clock(seed=seed), "initialize/transformer")
    return Encoder.from_config(config, tokenizer, seed=seed_of_weights, precision=settings.precision)


def _config_of(settings: PretrainingSettings, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": settings.width,
        "num_hidden_layers": settings.n_layers,
        "num_attention_heads": settings.n_heads,
        "intermediate_size": settings.n_inner,
        "max_position_embeddings": settings.max_length,
        "pad_token_id": tokenizer.pad_token_id,
    }
    rate = settings.dropout
    if settings.architecture == "bert":
        return BertConfig(**sizes, hidden_dropout_prob=rate, attention_probs_dropout_prob=rate)
    ends = {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
    ends |= {"bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id}
    return ModernBertConfig(
        **sizes, **ends, local_attention=settings.sight, global_attn_every_n_layers=settings.n_layers_per_global,
        embedding_dropout=rate, mlp_dropout=rate, attention_dropout=rate,
    )  # fmt: skip


def _recipe(training: Mapping[str, Any], seed: int) -> Recipe:
    given = training.get("seed")
    return Recipe(
        seed=seed if given is None else given,
        batcher=registry.resolve(training["batcher"], path="training.batcher"),
        dropout=Constant(value=0.0),  # the encoder's own
        accumulate_gradient=training.get("accumulate_gradient", 1),
        max_epochs=training.get("max_epochs", 0),
        on_out_of_memory=training.get("on_out_of_memory", "fail"),
    )
