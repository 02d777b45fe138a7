"""The errors of frostline: what happened, where, and how to mend it.

    FrostlineError                 exit code 1
    ├── UsageError            2    a wrong argument, an unknown name
    ├── ProjectFileError      2    a fault in project.yml
    ├── ConfigError           2    a fault in a training config
    ├── CorpusError           2    a fault in a corpus or its source file
    ├── ModelFileError        2    a fault in a saved model
    ├── ResultsError          2    a fault in a metrics, timing or log file
    ├── AssetError            1    an asset that can't be had
    │   └── ChecksumError     1    an asset whose bytes are not the declared ones
    ├── StepFailed            1    a step's command ended with a failure
    ├── StoreError            1    a fault in the ledger, the cache or local state
    └── TrainingError         1    a training run that can't go on

They are raised where the fault is found and printed in one place, `console.report_error`. Standard library only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FrostlineError(Exception):
    """Base of every error that a user can mend.

    Args:
        message: what is wrong, in one or more sentences.
        where: the place, as `file:line`, `file` or a config path such as `training.optimizer`.
        fix: what to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n  {self.fix}" if self.fix else head


class UsageError(FrostlineError):
    """A wrong argument or an unknown name on the command line or in a call."""

    exit_code = 2


class ProjectFileError(FrostlineError):
    """A fault in project.yml."""

    exit_code = 2


class ConfigError(FrostlineError):
    """A fault in a training config."""

    exit_code = 2


class CorpusError(FrostlineError):
    """A fault in a corpus, or in a file that should become one."""

    exit_code = 2


class ModelFileError(FrostlineError):
    """A model folder that is missing, incomplete or of another format."""

    exit_code = 2


class ResultsError(FrostlineError):
    """A metrics, timing or log file that can't be understood."""

    exit_code = 2


class AssetError(FrostlineError):
    """An asset that could not be brought here."""


class ChecksumError(AssetError):
    """An asset whose bytes are not those that were declared. It shows when the bytes are there, so at run time."""


class StepFailed(FrostlineError):
    """A step's command ended with a failure, ran out of time, or left an output out."""


class StoreError(FrostlineError):
    """The ledger, the cache or the local state can't be read or written."""


class TrainingError(FrostlineError):
    """A training run that can't go on, such as a loss that is not a number."""


def nearest(word: str, options: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The option most like `word`, or None when none is near (difflib's ratio is under `likeness`)."""
    found = difflib.get_close_matches(word, list(options), n=1, cutoff=likeness)
    return found[0] if found else None


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """A sentence for `fix`: the nearest option, else the list of what there is."""
    names = sorted(set(options))
    near = nearest(word, names)
    if near is not None:
        return f"Did you mean '{near}'?"
    if not names:
        return "There is none to choose from."
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"Known: {shown}."
