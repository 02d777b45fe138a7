"""The modules of an encoder by name, from its config.json alone: no weights are read, and no memory is taken for them.

Lets patterns of module names and the targets of adapters be checked before an encoder is loaded.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from frostline.embedding import hub
from frostline.embedding.adapters import add_adapters
from frostline.embedding.transformer import TransformerSettings
from frostline.errors import FrostlineError


def skeleton_of(settings: TransformerSettings) -> nn.Module | None:
    """A tree with the names of a loaded encoder's modules; None where they are known only once it is loaded.

    Raises:
        ConfigError: the encoder knows no such setting, or no linear layer has the name of an adapter's target.
        ModelFileError: a file of the encoder is missing, or its config can't be read.
    """
    config = hub.read_config(Path(settings.source), settings.transformer_settings)
    try:
        with torch.device("meta"):
            model: nn.Module = hub.model_from_config(config)
            if settings.adapter is not None:
                add_adapters(model, settings.adapter)
    except FrostlineError:
        raise
    except Exception:  # code of many authors, some of which computes with weights while it makes them
        return None
    tree = nn.Module()
    tree.model = model
    return tree
