"""`frostline apply`: annotate a corpus or raw text and write it as CoNLL-U, JSON lines, or a corpus."""

from __future__ import annotations

