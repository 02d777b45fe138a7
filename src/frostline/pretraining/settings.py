"""[pretraining]: which encoder is made or taken, and how its text is masked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from frostline.errors import ConfigError, did_you_mean

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class PretrainingSettings(BaseModel):
    """What `frostline pretrain` reads in [pretraining]; the loop reads [training], the text comes from [corpora]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = ""  # a folder in Hugging Face's layout to go on from; "": a new encoder, made of what follows
    architecture: Literal["bert", "modernbert"] = "modernbert"  # the second learns faster: rotary positions, near sight
    n_pieces: Positive = 2000  # in the list of word pieces, special ones included
    lowercase: bool = False
    n_layers: Positive = 2
    width: Positive = 128
    n_heads: Positive = 4
    n_inner: Positive = 256  # width between the two matrices of a feed-forward part
    dropout: Share = 0.0  # while pretraining; the saved config keeps it for training that follows
    sight: Positive = 8  # pieces that a layer of modernbert looks at around each one, besides its global layers
    n_layers_per_global: Positive = 3  # of modernbert: the first of so many layers looks at the whole window
    max_length: Annotated[int, Field(ge=8)] = 160  # pieces in a row, special ones included, at most
    window: Positive = 128  # pieces of a document that one row sees
    precision: Literal["float32", "bf16"] = "float32"
    mask_rate: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15  # of the pieces are to be guessed


def settings_from(config: Mapping[str, Any]) -> PretrainingSettings:
    """The section as values.

    Raises:
        ConfigError: an unknown key, a value out of range, or settings that do not fit together; all faults at once.
    """
    section = dict(config.get("pretraining") or {})
    known = PretrainingSettings.model_fields
    unknown = sorted(section.keys() - known.keys())
    faults = [f"'{key}' is no setting of [pretraining]. {did_you_mean(key, known)}" for key in unknown]
    try:
        settings = PretrainingSettings(**{key: value for key, value in section.items() if key in known})
    except ValidationError as error:
        faults += [f"pretraining.{'.'.join(map(str, fault['loc']))}: {fault['msg']}." for fault in error.errors()]
    else:
        if settings.width % settings.n_heads:
            faults.append(f"The width {settings.width} can't be divided among {settings.n_heads} heads.")
        if settings.window + 2 > settings.max_length:
            faults.append(f"A window of {settings.window} pieces and 2 special ones exceed max_length.")
        if not faults:
            return settings
    raise ConfigError(" ".join(faults), where="pretraining")
