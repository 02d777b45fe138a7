"""Deps with a star: `training/*/metrics.json` gathers what other steps write. Pure.

Declared outputs are looked at, not the disk, so the graph is the same before and after a run.
"""

from __future__ import annotations

import bisect
import fnmatch
import re
from dataclasses import replace
from pathlib import PurePosixPath

from frostline.runner.project.spec import Step


def with_patterns_filled(steps: list[Step]) -> list[Step]:
    """Put the outputs of other steps in the place of a dep with `*`.

    `*` stands for any characters of one part of a path. A pattern that matches nothing stays, as a path with a star
    in its name.
    """
    if not any("*" in str(dep) for step in steps for dep in step.deps):
        return steps
    outputs = _Outputs(steps)
    return [_filled(step, outputs) if any("*" in str(dep) for dep in step.deps) else step for step in steps]


def _filled(step: Step, outputs: _Outputs) -> Step:
    deps: dict[PurePosixPath, None] = {}
    for dep in step.deps:
        found = outputs.matching(str(dep), step.name) if "*" in str(dep) else []
        deps |= dict.fromkeys(found or [dep])
    return replace(step, deps=tuple(deps))


class _Outputs:
    """The outputs of all steps, found by the characters that they begin with."""

    def __init__(self, steps: list[Step]) -> None:
        listed = [(str(path), path, step.name) for step in steps for path in step.all_outputs]
        self.ranked = sorted((text, rank, path, owner) for rank, (text, path, owner) in enumerate(listed))
        self.texts = [entry[0] for entry in self.ranked]

    def matching(self, pattern: str, reader: str) -> list[PurePosixPath]:
        """The outputs that a pattern means, the reader's own left out, in the file's order."""
        start = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        parts = [re.compile(fnmatch.translate(part)) for part in pattern.split("/")]
        found = []
        for index in range(bisect.bisect_left(self.texts, start), len(self.ranked)):
            text, rank, path, owner = self.ranked[index]
            if not text.startswith(start):
                break
            if owner != reader and _fits(text.split("/"), parts):
                found.append((rank, path))
        return [path for _, path in sorted(found)]


def _fits(words: list[str], parts: list[re.Pattern[str]]) -> bool:
    return len(words) == len(parts) and all(part.match(word) for word, part in zip(words, parts, strict=True))
