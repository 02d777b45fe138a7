"""The config that `frostline init config` writes: complete, with a comment on every key, ready to be edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frostline.config.arguments import settings_of
from frostline.config.fill import fill_config
from frostline.config.loading import Config, with_overrides
from frostline.config.registry import registry
from frostline.config.writing import commented
from frostline.errors import UsageError, did_you_mean

READINGS = {
    "listener": "frostline.Listener.v1",
    "annotating": "frostline.Annotations.v1",
    "detached": "frostline.Annotations.v1",
    "independent": "frostline.Independent.v1",
}
VARIANTS = (
    "frozen-listener", "frozen-annotating", "unfrozen-listener", "unfrozen-annotating", "unfrozen-independent",
    "unfrozen-detached",
)  # fmt: skip
PUBLISHERS = ("transformer", "tok2vec")
_SCORES = {"tagger": ("xpos_acc",), "morphologizer": ("upos_acc", "feats_acc")}


def starting_config(
    components: Sequence[str], *, variant: str, lang: str, overrides: Mapping[str, Any] | None = None
) -> str:
    """The text of a filled config with comments; references such as ${paths.train} stay.

    Args:
        components: names of factories, publishers before their readers.
        variant: one of VARIANTS.
        lang: of the texts.
        overrides: as for `load_config`.
    Raises:
        UsageError: an unknown variant, or components that make no pipeline.
        ConfigError: an unknown component, or an override that names nothing.
    """
    if variant not in VARIANTS:
        raise UsageError(f"There is no variant '{variant}'.", where="--variant", fix=did_you_mean(variant, VARIANTS))
    publishers = [name for name in components if name in PUBLISHERS]
    readers = [name for name in components if name not in PUBLISHERS]
    if len(publishers) != 1 or not readers:
        raise UsageError(
            "A pipeline to start from has one publisher and at least one component that reads it.",
            where="--components",
            fix="Write --components transformer,tagger, for example.",
        )
    frozen, _, reading = variant.partition("-")
    for name in components:
        registry.components.get(name, where="--components")
    data: dict[str, Any] = {
        "paths": {
            "train": "corpus/train", "dev": "corpus/dev",
            **({"transformer": "assets/transformer"} if publishers[0] == "transformer" else {}),
        },
        "pipeline": {
            "components": readers if reading == "independent" else [*publishers, *readers],
            "tokenizer": _tokenizer(lang),
            "modes": {f"{publishers[0]}.*": "frozen"} if frozen == "frozen" else {},
        },
        "components": {
            publishers[0]: {"factory": publishers[0], "model": _publisher(publishers[0])},
            **{name: _reader(name, publishers[0], reading) for name in readers},
        },
        "corpora": {name: _corpus(name) for name in ("train", "dev")},
        "training": _training(readers, publishers, annotates=reading in ("annotating", "detached")),
    }
    config = with_overrides(Config(data, is_interpolated=False), overrides or {})
    return commented(fill_config(config)[0])


def _tokenizer(lang: str) -> dict[str, Any]:
    name = "frostline.Tokenizer.v1"
    takes_lang = any(setting.name == "lang" for setting in settings_of(registry.tokenizers.get(name))[0])
    return {"@tokenizers": name, **({"lang": lang} if takes_lang else {})}


def _publisher(name: str) -> dict[str, Any]:
    block: dict[str, Any] = {"@architectures": _architecture(name)}
    if name == "transformer":
        block["source"] = "${paths.transformer}"
    else:
        block["embed"] = {"@architectures": "frostline.HashEmbed.v1", "width": 96}
        block["encode"] = {
            "@architectures": "frostline.MaxoutWindow.v1", "width": f"${{components.{name}.model.embed.width}}",
        }  # fmt: skip
    return block


def _reader(name: str, publisher: str, reading: str) -> dict[str, Any]:
    embedding: dict[str, Any] = {"@architectures": READINGS[reading]}
    if reading == "independent":
        embedding["transformer"] = f"${{components.{publisher}.model}}"
    else:
        embedding["publisher"] = publisher
    if reading == "detached":
        embedding["attached"] = False
    return {"factory": name, "model": {"@architectures": _architecture(name), "embedding": embedding}}


def _architecture(component: str) -> str:
    """`frostline.Tagger.v1` for "tagger": the registered name that is spelt so but for capitals."""
    wanted = f"frostline.{component.replace('_', '')}.v1"
    found = [name for name in registry.architectures.names() if name.lower() == wanted]
    return found[0] if found else wanted


def _corpus(name: str) -> dict[str, Any]:
    return {
        "@readers": "frostline.Corpus.v1", "path": f"${{paths.{name}}}", "unit": "sentences", "n_sentences": 10,
    }  # fmt: skip


def _training(readers: Sequence[str], publishers: Sequence[str], *, annotates: bool) -> dict[str, Any]:
    # What starts from nothing takes bigger steps than a transformer, which knows a lot already.
    initial_rate = 0.0004 if "transformer" in publishers else 0.002
    return {
        "max_epochs": 8,
        "seed": "${system.seed}",
        "annotating_components": list(publishers) if annotates else [],
        "score_weights": {score: 1.0 for name in readers for score in _SCORES.get(name, ())},
        "batcher": {"@batchers": "frostline.batch_by_words.v1", "n_words": 1000},
        "optimizer": {
            "@optimizers": "frostline.Adam.v1",
            "learn_rate": {
                "@schedules": "frostline.warmup_linear.v1", "initial_rate": initial_rate, "warmup_steps": 100,
            },
        },
    }  # fmt: skip
