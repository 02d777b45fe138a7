"""The digests of a folder's files between two runs, in a compact file: columns of bytes rather than text.

Read only when something in the folder has changed, so that only that is read again. A file that is spoilt, or of
another version, counts as absent.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass
from pathlib import Path

from frostline.runner.digests.walking import N_MARKS, Mark, Tree

MAGIC = b"frostline tree 4\n"
ITEM_BYTES = 8  # of a number in a column
MD5_BYTES = 16


@dataclass(frozen=True, slots=True)
class TreeMemory:
    """What was known of a folder's files when its digest was made last."""

    tree: Tree
    digests: list[str]  # hex MD5, in the order of tree.names

    def by_name(self) -> dict[str, tuple[Mark, str]]:
        """Relative path -> (mark, MD5)."""
        marks = self.tree.marks
        rows = zip(marks[0::N_MARKS], marks[1::N_MARKS], marks[2::N_MARKS], marks[3::N_MARKS], strict=True)
        return dict(zip(self.tree.names, zip(rows, self.digests, strict=True), strict=True))

    def to_bytes(self) -> bytes:
        """The file's content."""
        names = os.fsencode("\0".join(self.tree.names))
        count = len(self.tree.names).to_bytes(ITEM_BYTES, "little")
        return b"".join((MAGIC, count, self.tree.marks.tobytes(), bytes.fromhex("".join(self.digests)), names))


def load_tree(path: Path) -> TreeMemory | None:
    """Read a file that `to_bytes` made; None when there is none that can be used."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if not data.startswith(MAGIC):
        return None
    start = len(MAGIC) + ITEM_BYTES
    count = int.from_bytes(data[len(MAGIC) : start], "little")
    middle = start + count * N_MARKS * ITEM_BYTES
    end = middle + count * MD5_BYTES
    names = os.fsdecode(data[end:]).split("\0") if count else []
    if len(names) != count or len(data) < end:
        return None
    marks = array("q")
    marks.frombytes(data[start:middle])
    digits = data[middle:end].hex()
    width = 2 * MD5_BYTES
    return TreeMemory(Tree(names, marks), [digits[at : at + width] for at in range(0, width * count, width)])
