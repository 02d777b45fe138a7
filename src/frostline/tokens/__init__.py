"""Docs, tokens, spans and examples: text with annotations, in columns."""

from __future__ import annotations

from frostline.tokens.alignment import Alignment, align
from frostline.tokens.columns import MISSING, StringColumn, concat
from frostline.tokens.doc import STRING_COLUMNS, Doc
from frostline.tokens.example import Example
from frostline.tokens.source import Comments, EmptyNode, Multiword, Source
from frostline.tokens.views import Span, Token

__all__ = ["MISSING", "STRING_COLUMNS", "Alignment", "Comments", "Doc", "EmptyNode", "Example", "Multiword", "Source",
           "Span", "StringColumn", "Token", "align", "concat"]
