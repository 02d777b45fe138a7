"""One look at a project: file, steps, graph, ledger and hashes, opened together for a command.

Reading only, but for the stat cache. What acts on a project is run.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from frostline.errors import ProjectFileError
from frostline.runner.absent import Absent
from frostline.runner.context import Contexts
from frostline.runner.expand import Project, expand
from frostline.runner.graph import Graph, Selection, build_graph, check_workflows, select
from frostline.runner.hashing import Digest, Hasher
from frostline.runner.ledger import Body, Ledger, Record, command_of
from frostline.runner.parse import PROJECT_FILE, find_root, read_spec
from frostline.runner.places import Places
from frostline.runner.plan import Decision, Facts, decide, make_plan
from frostline.runner.spec import Step

if TYPE_CHECKING:
    from frostline.runner.clearing import Clearing


class Session:
    """A project opened for one command.

    Args:
        start: the folder to look for project.yml from.
        profile: None for the default.
        overrides: variable -> value, from the command line.
        environ: the caller's environment.
    Raises:
        ProjectFileError: no project file, or faults in it.
        UsageError: no such profile or variable.
    """

    def __init__(
        self,
        start: Path,
        *,
        profile: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.root = find_root(start)
        self.environ = dict(os.environ if environ is None else environ)
        self.spec = read_spec(self.root / PROJECT_FILE)
        self.project: Project = expand(self.spec, profile=profile, overrides=overrides, environ=self.environ)
        check_workflows(self.project)
        self.graph: Graph = build_graph(self.project.steps)
        self.places = Places(root=self.root, profile=self.project.profile, is_default=self.project.is_default_profile)

    @property
    def under_dvc(self) -> bool:
        """Whether `dvc repro` called us: then it holds the locks, and writes the ledger."""
        return "DVC_STAGE" in self.environ and Path(self.environ.get("DVC_ROOT", "")).resolve() == self.root.resolve()

    @cached_property
    def declared(self) -> tuple[Step, ...]:
        """The steps that the file has without the command line's values; a narrowed matrix has fewer."""
        if not self.project.overrides:
            return self.project.steps
        try:
            return expand(self.spec, profile=self.project.profile, environ=self.environ).steps
        except ProjectFileError:  # it is whole with those values only
            return ()

    @property
    def known_steps(self) -> tuple[Step, ...]:
        """The steps whose records are kept: today's, and those that the command line has left out."""
        here, declared = self.graph.steps, self.declared
        names = {step.name for step in declared}
        kept = [here.get(step.name, step) for step in declared]
        return (*kept, *(step for step in self.project.steps if step.name not in names))

    @cached_property
    def expressible(self) -> frozenset[str]:
        """The known steps that DVC can express."""
        if not self.project.overrides:
            return expressible(self.graph)
        left_out = expressible(build_graph(self.declared)) - self.graph.steps.keys()
        return expressible(self.graph) | left_out

    @cached_property
    def hasher(self) -> Hasher:
        """Today's digests."""
        return Hasher(self.root, self.places.local if self.places.dvc.is_dir() else None)

    @cached_property
    def ledger(self) -> Ledger:
        """The records."""
        ledger = Ledger(self.places, frozenset())
        tracked = ledger.state.get("tracked", [])
        ledger.managed = self.expressible.difference(tracked)
        return ledger

    @cached_property
    def contexts(self) -> Contexts:
        """Environment digests and package versions."""
        may_write = self.places.dvc.is_dir()
        return Contexts(self.environ, self.places.local / "salt", may_write=may_write)

    @cached_property
    def restorer(self) -> Any:
        """The store, loaded only when a step is not up to date."""
        from frostline.runner.restore import Restorer

        return Restorer(self.root, self.places, self.hasher)

    def clearing(self, say: Callable[[str], None]) -> Clearing:
        """What makes way for outputs."""
        from frostline.runner.clearing import Clearing

        return Clearing(self.places, self.ledger, self.hasher, self.restorer.store, say)

    @cached_property
    def absent(self) -> Absent:
        """What counts as there though it is not on disk."""
        return Absent(self.project, self.ledger, self.hasher, lambda: self.restorer.store, self.contexts.of)

    def digest(self, path: PurePosixPath) -> Digest | None:
        """Today's digest of what lies at a path."""
        return self.hasher.digest(str(path))

    def select(self, names: Iterable[str], *, only: bool = False) -> Selection:
        """What names on the command line mean."""
        return select(self.project, self.graph, names, only=only)

    def facts(self) -> Facts:
        """What decisions are made from."""

        def restorable(step: Step, deps: Mapping[str, str], trusted: Record | None) -> Body | None:
            if step.name not in self.ledger.managed or not self.places.dvc.is_dir():
                return None
            context = self.contexts.of(step)
            found: Body | None = self.restorer.find(step, deps, trusted, context, whole=step.name in self.absent.wanted)
            return found

        return Facts(
            record=self.ledger.record, digest=self.absent.digest, context=self.contexts.of, restorable=restorable
        )

    def plan(self, selection: Selection, *, force: bool = False) -> list[Decision]:
        """A decision for each selected step. Asking for nothing but the assets means: on disk."""
        forced = selection.named if force else frozenset()
        only_assets = all(self.graph.steps[name].declared is not None for name in selection.named)
        return self.absent.settle(
            lambda: make_plan(self.graph, selection.order, self.facts(), forced=forced),
            lambda step: decide(self.graph, step, self.facts(), {}, force=step.name in forced),
            self.graph,
            asked_for=selection.named if only_assets else (),
        )


def expressible(graph: Graph) -> frozenset[str]:
    """The steps that DVC can express: with outputs that nobody else writes, and not bound to run always."""
    return frozenset(
        step.name
        for step in graph.steps.values()
        if step.all_outputs
        and command_of(step)
        and not step.no_skip
        and step.name not in graph.overlapping
        and PurePosixPath(".") not in step.all_outputs
    )
