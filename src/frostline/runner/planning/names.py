"""What a word on the command line, in a workflow or in `wait_for` means: a step, a glob, or cells of a matrix. Pure."""

from __future__ import annotations

import bisect
import fnmatch
from collections.abc import Iterable

from frostline.errors import UsageError
from frostline.runner.project.spec import Step


class Names:
    """The names of steps, found without looking at each of them."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self.rank: dict[str, int] = {}  # in the file's order
        self._cells: list[str] = []
        self._of_command: dict[str, list[str]] = {}
        for step in steps:
            self.rank.setdefault(step.name, len(self.rank))
            if step.cell:
                self._cells.append(step.name)
                self._of_command.setdefault(step.command, []).append(step.name)
        self._cells.sort()

    def matching(self, word: str) -> list[str]:
        """The steps a word means, in the file's order; empty when it means none.

        Raises UsageError when it is a step, and also the beginning of a matrix's names up to a dash.
        """
        cells = self._beginning_with(word)
        if word in self.rank:
            if [cell for cell in cells if cell != word]:
                raise UsageError(
                    f"'{word}' is a step, and also the beginning of {len(cells)} steps of a matrix.",
                    fix=f"Rename one of them, or write '{word}-*' for the cells.",
                )
            return [word]
        if any(mark in word for mark in "*?["):
            return [name for name in self.rank if fnmatch.fnmatchcase(name, word)]
        return cells

    def _beginning_with(self, word: str) -> list[str]:
        """The cells whose names begin with `word` and a dash, and those of the command of that name."""
        start, end = (bisect.bisect_left(self._cells, word + mark) for mark in ("-", "."))
        found = {*self._cells[start:end], *self._of_command.get(word, ())}
        return sorted(found, key=self.rank.__getitem__)
