"""Thinc layers of frostline, one per file, and the door between Thinc and torch."""

from __future__ import annotations
