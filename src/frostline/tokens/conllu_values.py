"""What a value of CoNLL-U's columns may be: what a file can hold, and readers read as it was meant.

What else a tag is made of is its corpus's business; lines and files are the converters'.
"""

from __future__ import annotations

import re
from functools import lru_cache

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # not those above 127, which web texts have from old encodings
BREAK = re.compile(r"[\t\n]")
SPACE = re.compile(r"[^\S\t]")
_MAY_HAVE_SPACES = ("lemmas", "misc")


@lru_cache(maxsize=10_000)
def fault_of_feats(feats: str) -> tuple[str, str] | None:
    """What is wrong with a bundle of features, and how to mend it; the order of features is no fault."""
    if feats == "_":
        return None
    seen = set()
    for item in feats.split("|"):
        name, _, value = item.partition("=")
        if not name or not value:
            return (f"FEATS has '{item}', which is no feature.",
                    "Write Name=Value, with '|' between features, such as Case=Nom|Number=Sing; '_' for none.")
        if name in seen:
            return (f"FEATS has the feature '{name}' twice.",
                    f"Write it once; several values have commas between them, such as {name}=A,B.")
        seen.add(name)
    return None


def fault_of_label(column: str, label: str) -> tuple[str, str] | None:
    """What is wrong with a new label of a doc's column, and how to mend it.

    Args:
        column: as Doc names it, such as "xpos" or "feats".
        label: not empty.
    """
    if CONTROL.search(label) or BREAK.search(label):
        return "A line of CoNLL-U can't hold its tab, line break or control character.", "Take it out."
    if SPACE.search(label) and column not in _MAY_HAVE_SPACES:
        return f"In CoNLL-U {column} can't hold white space.", "Take it out, or write '_' in its place."
    if label == "_":
        return "In CoNLL-U '_' says that there is no label.", "Give it a name."
    if column != "feats":
        return None
    in_order = "|".join(sorted(label.split("|"), key=lambda item: item.partition("=")[0].lower()))
    if label != in_order:
        return fault_of_feats(label) or ("Its features are not in the order of their names.", f"Write {in_order}.")
    return fault_of_feats(label)
