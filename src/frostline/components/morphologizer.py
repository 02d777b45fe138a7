"""Universal part of speech and morphological features (UPOS and FEATS in CoNLL-U), one of each per token."""

from __future__ import annotations

from thinc.api import Model, chain
from torch import Tensor

from frostline.components.token_classifier import TokenClassifier
from frostline.config import registry
from frostline.layers.token_head import token_head
from frostline.tokens import Doc


@registry.architectures("frostline.Morphologizer.v1")
def build_morphologizer_model(
    *, embedding: Model[list[Doc], Tensor], hidden_width: int = 0
) -> Model[list[Doc], Tensor]:
    """Score every part of speech and every bundle of features for every token.

    embedding: docs -> (n_tokens, width). hidden_width: of a layer between embedding and scores, 0 for none.
    Gives (n_tokens, n_upos + n_feature_bundles) float32, not normalised: two softmaxes side by side.
    """
    return chain(embedding, token_head(hidden_width=hidden_width))


@registry.components("morphologizer")
def build_morphologizer(*, name: str, model: Model[list[Doc], Tensor]) -> TokenClassifier:
    """Predicts `doc.upos` and `doc.feats`."""
    return TokenClassifier(name, model, columns=("upos", "feats"))
