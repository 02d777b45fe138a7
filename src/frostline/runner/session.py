"""One look at a project: file, steps, graph, ledger and hashes, opened together for a command.

Reading only, but for the stat cache. What acts on a project is run.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from frostline.errors import ProjectFileError
from frostline.runner.digests.hashing import Digest, Hasher
from frostline.runner.keeping.context import Contexts
from frostline.runner.keeping.ledger import Body, Ledger, Record, body_of, command_of
from frostline.runner.keeping.places import Places
from frostline.runner.meaning.closure import follow_imports
from frostline.runner.meaning.sources import Sources
from frostline.runner.planning.absent import Absent
from frostline.runner.planning.graph import Graph, Selection, build_graph, check_workflows, select
from frostline.runner.planning.plan import Decision, Facts, decide, make_plan
from frostline.runner.project.expand import Project, expand
from frostline.runner.project.parse import PROJECT_FILE, find_root, read_spec
from frostline.runner.project.spec import Step

if TYPE_CHECKING:
    from frostline.runner.keeping.clearing import Clearing
    from frostline.runner.project.weasel import WeaselLock


class Session:
    """A project opened for one command.

    Args:
        start: the folder to look for project.yml from.
        profile: None for the default.
        overrides: variable -> value, from the command line.
        environ: the caller's environment.
        strict: every changed byte of a dep counts, comments and layout too.
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
        strict: bool = False,
    ) -> None:
        self.strict = strict
        self.root = find_root(start)
        self.environ = dict(os.environ if environ is None else environ)
        self.spec = read_spec(self.root / PROJECT_FILE)
        project = expand(self.spec, profile=profile, overrides=overrides, environ=self.environ)
        check_workflows(project)
        self.places = Places(root=self.root, profile=project.profile, is_default=project.is_default_profile)
        self.project: Project = replace(project, steps=follow_imports(self.root, project.steps, self.sources))
        self.graph: Graph = build_graph(self.project.steps)

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
            steps = expand(self.spec, profile=self.project.profile, environ=self.environ).steps
        except ProjectFileError:  # it is whole with those values only
            return ()
        return follow_imports(self.root, steps, self.sources)

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
    def sources(self) -> Sources:
        """What the project's text files say."""
        sources = Sources(self.root, self.hasher, self.places.local if self.places.dvc.is_dir() else None)
        self.hasher.saved_with.append(sources.save)
        return sources

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
        return Contexts(self.environ, self.places.local / "salt", self.hasher.links_in, may_write=may_write)

    @cached_property
    def restorer(self) -> Any:
        """The store, loaded only when a step is not up to date."""
        from frostline.runner.keeping.restore import Restorer

        return Restorer(self.root, self.places, self.hasher)

    def forget_state(self) -> None:
        """Open what lies in `.dvc/` anew, where that was made only now."""
        for name in ("hasher", "sources", "contexts", "restorer"):
            self.__dict__.pop(name, None)

    @cached_property
    def _weasel_lock(self) -> WeaselLock | None:
        if not (self.root / "project.lock").is_file():
            return None
        from frostline.runner.project.weasel import WeaselLock

        return WeaselLock(self.root, self.environ)

    def done_by_weasel(self) -> list[str]:
        """The steps without a record here that weasel's project.lock says are done, and that still are."""
        lock = self._weasel_lock
        if lock is None:
            return []
        unknown = [name for name in self.graph.steps if self.ledger.record(name) is None]
        return [name for name in unknown if lock.is_done(self.graph.steps[name])]

    def record(self, name: str) -> Record | None:
        """What is on record for a step; of one that weasel has done, what is on disk."""
        found = self.ledger.record(name)
        if found is None and self._weasel_lock is not None and self._weasel_lock.is_done(self.graph.steps[name]):
            return Record(body=body_of(self.graph.steps[name], self.digest))
        return found

    def clearing(self, say: Callable[[str], None]) -> Clearing:
        """What makes way for outputs."""
        from frostline.runner.keeping.clearing import Clearing

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

        meanings: dict[str, dict[str, str]] = {}

        def equivalent(step: Step, record: Record, dep: PurePosixPath) -> bool:
            recorded = record.meanings.get(str(dep))
            if self.strict or recorded is None:
                return False
            if step.name not in meanings:
                meanings[step.name] = self.meanings(step)
            from frostline.runner.meaning.equivalence import is_same

            today = meanings[step.name].get(str(dep))
            return today is not None and is_same(recorded, today)

        return Facts(
            record=self.record,
            digest=self.absent.digest,
            context=self.contexts.of,
            restorable=restorable,
            equivalent=equivalent,
            is_there=lambda path: not self.hasher.is_gone(str(path)),
        )

    def meanings(self, step: Step) -> dict[str, str]:
        """What goes on record of a step's deps that no step makes: path -> what it says apart from comments."""
        from frostline.runner.meaning.equivalence import on_record

        found, md5s = {}, {}
        for dep in step.deps:
            meaning = None if self.graph.producers[step.name][dep] else self.sources.meaning(str(dep))
            digest = self.digest(dep)
            if meaning is not None and digest is not None:
                found[str(dep)], md5s[str(dep)] = meaning, digest.md5
        return on_record(found, md5s)

    def _look_ahead(self, names: Iterable[str]) -> None:
        """Hash together what the decisions on these steps will ask for: sources, and outputs that are on record."""
        paths: dict[PurePosixPath, None] = {}
        for name in names:
            producers = self.graph.producers[name]
            paths |= dict.fromkeys(dep for dep in self.graph.steps[name].deps if not producers[dep])
            if self.ledger.knows(name):
                paths |= dict.fromkeys(self.graph.steps[name].all_outputs)
        self.hasher.look_ahead(map(str, paths))

    def plan(self, selection: Selection, *, force: bool = False) -> list[Decision]:
        """A decision for each selected step. Asking for nothing but the assets means: on disk."""
        self._look_ahead(selection.order)
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
        and not any(path.is_absolute() or ".." in path.parts or not path.parts for path in step.all_outputs)
    )
