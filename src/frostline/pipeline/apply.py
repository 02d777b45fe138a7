"""`frostline apply`: annotate a corpus or raw text and write it as CoNLL-U, JSON lines, or a corpus."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from frostline.corpora.store import open_corpus
from frostline.errors import CorpusError
from frostline.pipeline.serialize import load
from frostline.tokens import Doc
