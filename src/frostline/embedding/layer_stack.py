"""An encoder as a stack from the embeddings up, for freezing by height.

Works for every encoder of transformers whose layers lie in one list, each layer a module of its own: BERT, RoBERTa,
DistilBERT, ELECTRA, DeBERTa, ModernBERT and their like. Encoders that share one layer's weights have no heights.
"""

from __future__ import annotations

from torch import nn

from frostline.errors import ConfigError


def stack_of(encoder: nn.Module, *, n_layers: int, where: str | None = None) -> list[list[str]]:
    """The groups of an encoder's modules, from the bottom: embeddings, first layer, ..., last layer.

    What comes after the layers (such as a last norm) belongs to the last one. What has no parameters (such as a
    dropout) is told by where it stands too, so that frozen embeddings have none.

    Args:
        encoder: holds the transformers model.
        n_layers: how many layers its config says it has.
        where: config path, for the message.
    Returns:
        n_layers + 1 lists of module names within `encoder`; together they own every parameter.
    Raises:
        ConfigError: the layers can't be told apart.
    """
    name, layers = layers_of(encoder, n_layers=n_layers, where=where)
    groups: list[list[str]] = [[], *([f"{name}.{number}"] for number in range(len(layers)))]
    prefix, is_above = f"{name}.", False
    for path, module in encoder.named_modules():
        if path == name or path.startswith(prefix):
            is_above = True
        elif next(module.parameters(recurse=False), None) is not None or next(module.children(), None) is None:
            groups[-1 if is_above else 0].append(path)
    return groups


def layers_of(encoder: nn.Module, *, n_layers: int, where: str | None = None) -> tuple[str, nn.ModuleList]:
    """The list of an encoder's layers, and its name.

    Raises:
        ConfigError: there is none.
    """
    for name, module in encoder.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return name, module
    raise ConfigError(
        f"The {n_layers} layers of this encoder can't be told apart: it has no list of {n_layers} layers.",
        where=where,
        fix="Freeze by patterns of module names in [pipeline.modes]; `frostline debug model` lists them.",
    )
