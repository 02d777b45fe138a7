"""What the columns of one CoNLL-U line may hold.

A fault is what readers would understand in different ways, or not at all; the official validator refuses it too. What
can be kept as it is, though UD would not have it, is a warning. Lines and sentences are conllu_lines.py's business.
"""

from __future__ import annotations

from collections.abc import Sequence

from frostline.corpora.converters.faults import Faults
from frostline.tokens.conllu_values import CONTROL, SPACE, fault_of_feats

COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
UPOS, FEATS = 3, 5
WITHOUT_SPACE = slice(UPOS, 9)
UD_TAGS = frozenset((
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ",
    "SYM", "VERB", "X",
))  # fmt: skip


def check_columns(columns: Sequence[str], number: int, faults: Faults) -> None:
    """Note the first fault of a line.

    Args:
        columns: all ten.
        number: of the line in the file.
    """
    control = CONTROL.search("\t".join(columns))
    if control:
        where = next(name for name, value in zip(COLUMNS, columns, strict=True) if CONTROL.search(value))
        faults.add(number, f"There is a control character U+{ord(control[0]):04X} in {where}.", "Remove it.")
    elif SPACE.search("\t".join(columns[WITHOUT_SPACE])):
        name, value = next(pair for pair in zip(COLUMNS[WITHOUT_SPACE], columns[WITHOUT_SPACE], strict=True)
                           if SPACE.search(pair[1]))  # fmt: skip
        faults.add(number, f"{name} is '{value}', with white space.",
                   "Only FORM, LEMMA and MISC may hold spaces; columns are separated by tabs.")  # fmt: skip
    elif fault := fault_of_feats(columns[FEATS]):
        faults.add(number, *fault)


def check_tag(upos: str, number: int, faults: Faults) -> None:
    """Warn of a part of speech that UD does not have; a tag set of one's own is learnt like any other."""
    if upos != "_" and upos not in UD_TAGS:
        faults.warn(number, "upos", f"'{upos}' is none of UD's parts of speech.")
