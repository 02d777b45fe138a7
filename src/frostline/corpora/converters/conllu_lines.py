"""Check the lines of CoNLL-U and group them into sentences.

What one line's columns may hold is conllu_columns.py's business, what they mean for a doc conllu.py's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from frostline.corpora.converters.conllu_columns import COLUMNS, UPOS, check_columns, check_tag
from frostline.corpora.converters.faults import Faults, numbered_lines

N_COLUMNS = len(COLUMNS)

_RANGE = re.compile(r"([1-9][0-9]*)-([1-9][0-9]*)")
_EMPTY_NODE = re.compile(r"(0|[1-9][0-9]*)\.([1-9][0-9]*)")
_NUMBER = re.compile(r"0|[1-9][0-9]*")


@dataclass(slots=True, kw_only=True)
class Sentence:
    """A sentence as its file has it."""

    line: int                                                       # of its first line in the file
    comments: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)             # FORM to MISC of each word
    lines: list[int] = field(default_factory=list)                  # of each word in the file
    heads: list[int] = field(default_factory=list)                  # 0: root, -1: missing, else counted from 1
    multiwords: list[tuple[int, int, list[str]]] = field(default_factory=list)  # first word, one past the last
    empty_nodes: list[tuple[str, list[str]]] = field(default_factory=list)
    n_due: int = 1                                                  # the number of the next word
    is_broken: bool = False                                         # a fault is noted that leaves it without use

    def value(self, key: str) -> str | None:
        """What the comment "# key = value" says, "" for a bare "# key", None where there is none."""
        for comment in self.comments:
            name, _, value = comment[1:].partition("=")
            if name.strip() == key:
                return value.strip()
        return None

    def comment_line(self, key: str) -> int:
        """The line of the comment "# key = …" in the file, or the sentence's first."""
        for i, comment in enumerate(self.comments):
            if comment[1:].partition("=")[0].strip() == key:
                return self.line + i
        return self.line


def read_sentences(path: Path, faults: Faults) -> Iterator[Sentence]:
    """The sentences of a file. Faults are noted, and reading goes on with the next line.

    Raises:
        CorpusError: the file can't be read, is not UTF-8, or has twenty faults.
    """
    sentence: Sentence | None = None
    is_empty = True
    for number, line in numbered_lines(path):
        if not line or line.isspace():
            if sentence is not None and _is_whole(sentence, faults):
                yield sentence
            sentence = None
            continue
        is_empty = False
        if sentence is None:
            sentence = Sentence(line=number)
        if line[0] == "#":
            if sentence.rows:
                faults.add(number, "A comment stands among the words of a sentence.",
                           "Put it above the first word, or an empty line before it if a new sentence begins.")
            sentence.comments.append(line)
        else:
            _add_row(sentence, number, line, faults)
    if sentence is not None and _is_whole(sentence, faults):
        yield sentence
    if is_empty:
        faults.add(1, "The file is empty.", "Give a file with at least one sentence.")


def _add_row(sentence: Sentence, number: int, line: str, faults: Faults) -> None:
    columns = line.split("\t")
    is_row = len(columns) == N_COLUMNS
    if not is_row:
        faults.add(number, f"The line has {len(columns)} columns.",
                   "A word has 10, separated by tabs; an unknown one is '_'."
                   + (" There are spaces where tabs should be." if " " in line else ""))
        sentence.is_broken = True  # one cause is one fault: what follows from it is not looked for
        columns = _guessed(columns, line)
    elif "" in columns:
        faults.add(number, f"Column {columns.index('') + 1} is empty.", "Write '_' where nothing is known.")
        columns = [value or "_" for value in columns]
    else:
        check_columns(columns, number, faults)
    word_id, *rest = columns
    if word_id == str(sentence.n_due):
        _add_word(sentence, number, rest, faults)
    elif found := _RANGE.fullmatch(word_id):
        _add_multiword(sentence, int(found[1]), int(found[2]), rest, number, faults)
    elif found := _EMPTY_NODE.fullmatch(word_id):
        if int(found[1]) != sentence.n_due - 1:
            faults.add(number, f"The empty node {word_id} stands after word {sentence.n_due - 1}.",
                       f"Number it {sentence.n_due - 1}.{found[2]}, or move it.")
        sentence.empty_nodes.append((word_id, rest))
    elif is_row:
        faults.add(number, f"The word's number is '{word_id}' where {sentence.n_due} is due.",
                   "Words are numbered from 1 in each sentence; an empty line ends a sentence.")
        sentence.is_broken = True
        sentence.n_due = int(word_id) + 1 if _NUMBER.fullmatch(word_id) else sentence.n_due + 1


def _guessed(columns: list[str], line: str) -> list[str]:
    """Ten columns of a line that has more or fewer tabs: enough to go on counting words."""
    by_space = line.split()
    if len(by_space) == N_COLUMNS:
        return by_space
    word_id = by_space[0] if by_space else "_"
    return [word_id if _NUMBER.fullmatch(word_id) else columns[0], *["_"] * (N_COLUMNS - 1)]


def _add_word(sentence: Sentence, number: int, columns: list[str], faults: Faults) -> None:
    check_tag(columns[UPOS - 1], number, faults)
    sentence.rows.append(columns)
    sentence.lines.append(number)
    sentence.heads.append(_head(columns[5], sentence.n_due, number, faults))
    sentence.n_due += 1


def _head(value: str, expected: int, number: int, faults: Faults) -> int:
    if value == "_":
        return -1
    if not _NUMBER.fullmatch(value):
        faults.add(number, f"HEAD is '{value}'.", "It is the number of a word, 0 for a root, or '_' where unknown.")
        return -1
    if int(value) == expected:
        faults.add(number, "The word is its own head.", "Give the number of another word, or 0 for a root.")
    return int(value)


def _add_multiword(
    sentence: Sentence, first: int, last: int, columns: list[str], number: int, faults: Faults
) -> None:
    if first != sentence.n_due or last <= first:
        faults.add(number, f"The multiword token {first}-{last} stands before word {sentence.n_due}.",
                   "It stands just before its first word and has two words or more, such as 3-4 before 3.")
    elif sentence.multiwords and sentence.multiwords[-1][1] >= first:
        faults.add(number, f"The multiword token {first}-{last} overlaps the one before.",
                   "A word belongs to one multiword token at most.")
    else:
        sentence.multiwords.append((first - 1, last, columns))


def _is_whole(sentence: Sentence, faults: Faults) -> bool:
    """Check what only the whole sentence shows. False where it can't be used."""
    if sentence.is_broken:
        return False
    n = len(sentence.rows)
    if n == 0:
        faults.add(sentence.line, "There are comments or other lines, but no word, before the empty line.",
                   "Add the sentence's words, or remove the lines.")
        return False
    if sentence.multiwords and sentence.multiwords[-1][1] > n:
        first, last, _ = sentence.multiwords.pop()
        faults.add(sentence.lines[first], f"The multiword token {first + 1}-{last} goes beyond the {n} words.",
                   "Mend its range.")
    far = [i for i, head in enumerate(sentence.heads) if head > n]
    for i in far:
        faults.add(sentence.lines[i], f"HEAD is {sentence.heads[i]}, but the sentence has {n} words.",
                   f"Give a number from 0 to {n}.")
        sentence.heads[i] = -1
    roots = [i for i, head in enumerate(sentence.heads) if head == 0]
    if len(roots) > 1:
        faults.add(sentence.lines[roots[1]], f"The word is a second root, after word {roots[0] + 1}.",
                   "A sentence has one word with HEAD 0; give the number of its head, or end the sentence before it.")
    looped = _on_cycle(sentence.heads)
    if looped is not None and sentence.heads[looped] != looped + 1:
        faults.add(sentence.lines[looped], f"The heads of word {looped + 1} lead back to it.",
                   "Give one of the words on the way another head, or 0.")
    return True


def _on_cycle(heads: Sequence[int]) -> int | None:
    """A word whose chain of heads comes back to it, or None."""
    done = [False] * (len(heads) + 1)
    done[0] = True
    for start in range(1, len(heads) + 1):
        chain: list[int] = []
        word = start
        while word > 0 and not done[word]:
            done[word] = True
            chain.append(word)
            word = heads[word - 1]
        if word > 0 and word in chain:
            return word - 1
    return None
