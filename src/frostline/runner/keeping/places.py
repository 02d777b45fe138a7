"""Where a project keeps what: ledger files, DVC's folders, local state. Only names; touches nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frostline.runner.project.naming import plain_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The paths of one project and profile."""

    root: Path
    profile: str
    is_default: bool  # the default profile's ledger stands at the root

    @property
    def ledger(self) -> Path:
        """The folder of dvc.yaml and dvc.lock."""
        return self.root if self.is_default else self.root / "ledger" / self.profile

    @property
    def dvc_yaml(self) -> Path:
        """DVC's view of the steps."""
        return self.ledger / "dvc.yaml"

    @property
    def dvc_lock(self) -> Path:
        """What each step saw and made."""
        return self.ledger / "dvc.lock"

    @property
    def dvc(self) -> Path:
        """DVC's own folder."""
        return self.root / ".dvc"

    @property
    def tmp(self) -> Path:
        """DVC's locks."""
        return self.dvc / "tmp"

    @property
    def local(self) -> Path:
        """Our local state: it may vanish, and is ignored by git."""
        return self.tmp / "frostline"

    @property
    def state(self) -> Path:
        """What dvc.lock can't say about each step."""
        return self.local / f"state-{self.profile}.json"

    @property
    def lock_mirror(self) -> Path:
        """A copy of dvc.lock that is read faster."""
        return self.local / f"lock-{self.profile}.json"

    @property
    def running(self) -> Path:
        """One file for each process group that is at work."""
        return self.local / "running"

    @property
    def begun(self) -> Path:
        """One file for each path that a step was to write and has not been recorded for."""
        return self.local / "begun"

    @property
    def asides(self) -> Path:
        """What was in the way of outputs and was no step's. Users' own: nothing of ours removes it."""
        return self.local / "aside"

    @property
    def assets(self) -> Path:
        """What is known of how assets came."""
        return self.local / "assets"

    @property
    def records(self) -> Path:
        """One line of JSON for each run of a step."""
        return self.local / "records.jsonl"

    def logs(self, step: str) -> Path:
        """The folder of a step's logs."""
        return self.local / "logs" / self.profile / plain_name(step)
