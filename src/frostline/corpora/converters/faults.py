"""Faults of a source file: collected line by line, then raised as one error that shows up to twenty.

Beside them warnings, of what is kept as it is: told once for each kind, with the first line and how many there are.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from frostline.console import say
from frostline.errors import CorpusError
from frostline.tokens import iob

MOST_FAULTS = 20


class Faults:
    """What is wrong in one file. `add` stops the reading at the twentieth fault."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: list[tuple[int, str, str]] = []
        self._warnings: dict[str, tuple[int, str]] = {}  # by kind, the first one's line and message
        self._n_warnings: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._found)

    def add(self, line: int, message: str, fix: str) -> None:
        """Note a fault. line: counted from 1. Raises CorpusError when it is one too many to go on."""
        self._found.append((line, message, fix))
        if len(self._found) >= MOST_FAULTS:
            self.raise_any()

    def warn(self, line: int, kind: str, message: str) -> None:
        """Note something that is odd, and no fault. kind: tells those apart that are told together."""
        self._warnings.setdefault(kind, (line, message))
        self._n_warnings[kind] += 1

    def read_tags(self, tags: Sequence[str | None], lines: Sequence[int]) -> list[str | None]:
        """Entity tags of one sentence in IOB2; warns of entities that go on without having begun.

        lines: of each tag in the file. Raises TagError for what is no entity tag.
        """
        for repair in iob.repairs_of(tags):
            message = f"'{repair.tag}' {repair.cause.value}; it is read as '{repair.read_as}'."
            self.warn(lines[repair.row], repair.cause.name, message)
        return iob.normalise(tags)

    def tell_warnings(self) -> None:
        """Say each kind of warning once."""
        for kind, (line, message) in self._warnings.items():
            n_more = self._n_warnings[kind] - 1
            more = f" There {'is' if n_more == 1 else 'are'} {n_more} more like it." if n_more else ""
            say(f"warning: {self.path}:{line}: {message}{more}")

    def raise_any(self) -> None:
        """Raise CorpusError where something was noted, with every fault on a line of its own."""
        if self._found:
            self._raise()

    def _raise(self) -> NoReturn:
        self._found.sort(key=lambda fault: fault[0])
        first_line, first_message, first_fix = self._found[0]
        where = f"{self.path}:{first_line}"
        if len(self._found) == 1:
            raise CorpusError(first_message, where=where, fix=first_fix)
        lines = [f"  {self.path}:{line}: {message} {fix}" for line, message, fix in self._found]
        more = " (and there may be more)" if len(self._found) >= MOST_FAULTS else ""
        raise CorpusError(f"{len(self._found)} faults{more}:\n" + "\n".join(lines), where=where,
                          fix="Mend the lines above and convert again; nothing was written.")


def stem_of(path: Path) -> str:
    """A file's name without its ending, for the ids of docs; bytes that are not UTF-8 become U+FFFD."""
    return as_text(path.stem)


def as_text(name: str) -> str:
    """A file name that can be written; what of it is not UTF-8 becomes U+FFFD."""
    return os.fsencode(name).decode("utf-8", errors="replace")


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file with their numbers from 1, without line ends ("\\n" or "\\r\\n") and byte-order mark.

    Raises:
        CorpusError: the file can't be read, or a line is not UTF-8.
    """
    number = 0
    try:
        with path.open("rb") as stream:
            for number, data in enumerate(stream, start=1):
                line = data.decode("utf-8")
                if number == 1:
                    line = line.removeprefix("\ufeff")
                yield number, line.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise CorpusError(f"The line is not UTF-8: {error.reason} at its byte {error.start + 1}.",
                          where=f"{path}:{number}", fix="Save the file as UTF-8.") from error
    except OSError as error:
        raise CorpusError(f"The file can't be read: {error.strerror}.", where=str(path),
                          fix="Check the path and its permissions.") from error
