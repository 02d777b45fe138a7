"""Bring the formats that treebanks and texts come in to a corpus, and docs back to files."""

from __future__ import annotations

from frostline.corpora.converters.columns import read_columns
from frostline.corpora.converters.conllu import read_conllu
from frostline.corpora.converters.conllu_writer import conllu_lines, write_conllu
from frostline.corpora.converters.convert import FORMATS, convert, detect_format, read_docs
from frostline.corpora.converters.jsonl import jsonl_line, read_jsonl, write_jsonl
from frostline.corpora.converters.raw_text import read_text

__all__ = ["FORMATS", "conllu_lines", "convert", "detect_format", "jsonl_line", "read_columns", "read_conllu",
           "read_docs", "read_jsonl", "read_text", "write_conllu", "write_jsonl"]
