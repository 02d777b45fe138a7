"""Fine-grained part-of-speech tags (XPOS in CoNLL-U), one per token."""

from __future__ import annotations

from thinc.api import Model, chain
from torch import Tensor

from frostline.components.token_classifier import TokenClassifier
from frostline.config import registry
from frostline.layers.token_head import token_head
from frostline.tokens import Doc


@registry.architectures("frostline.Tagger.v1")
def build_tagger_model(*, embedding: Model[list[Doc], Tensor], hidden_width: int = 0) -> Model[list[Doc], Tensor]:
    """Score every tag for every token.

    embedding: docs -> (n_tokens, width). hidden_width: of a layer between embedding and scores, 0 for none.
    Gives (n_tokens, n_tags) float32, not normalised; the tags are known after initialisation.
    """
    return chain(embedding, token_head(hidden_width=hidden_width))


@registry.components("tagger")
def build_tagger(*, name: str, model: Model[list[Doc], Tensor]) -> TokenClassifier:
    """Predicts `doc.xpos`."""
    return TokenClassifier(name, model, columns=("xpos",))
