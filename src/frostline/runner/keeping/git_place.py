"""Whether a folder lies in a git repository: told from the disk alone, as every run asks."""

from __future__ import annotations

from pathlib import Path


def in_repository(root: Path) -> bool:
    """Whether `root` lies in a git repository."""
    return any((folder / ".git").exists() for folder in (root, *root.parents))
