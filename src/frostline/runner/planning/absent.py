"""What is not on disk and counts as unchanged all the same, until a step needs it.

Two kinds of outputs: assets whose declared checksum is the one they had when they were recorded (they can be fetched
again, to the byte), and outputs without a copy in the store of steps whose other outputs have one (times, logs: they
travel by git or not at all). With `everything`, whatever is on record: then decisions need no data, only the ledger.

A step that runs needs its inputs on disk: `settle` puts those who bring them back into the plan. Reads the ledger,
digests and the store; changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from frostline.digest import md5_bytes
from frostline.errors import StoreError
from frostline.runner.digests.hashing import Digest, Hasher, listing_bytes
from frostline.runner.keeping.ledger import Ledger
from frostline.runner.planning.causes import Cause, Kind
from frostline.runner.planning.graph import Graph
from frostline.runner.planning.plan import Action, Decision
from frostline.runner.project.expand import Project
from frostline.runner.project.spec import Step

if TYPE_CHECKING:
    from frostline.runner.keeping.store import Store  # loaded only when something is absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a path will hold once somebody brings it."""

    md5: str
    maker: str | None  # the step that brings it; None: it is brought by hand
    is_certain: bool  # the maker gives these very bytes


class Absent:
    """The promises of one session.

    Args:
        store: opened only when a path is absent.
        context: today's context of a step.
        everything: let all that is on record count.
    """

    def __init__(
        self,
        project: Project,
        ledger: Ledger,
        hasher: Hasher,
        store: Callable[[], Store],
        context: Callable[[Step], Mapping[str, str]],
        *,
        everything: bool = False,
    ) -> None:
        self.project = project
        self.ledger = ledger
        self.hasher = hasher
        self.store = store
        self.context = context
        self.everything = everything
        self.wanted: set[str] = set()  # steps whose absent outputs are missed after all
        self._promises: dict[PurePosixPath, Promise] | None = None

    def digest(self, path: PurePosixPath) -> str | None:
        """Today's digest of a path, promised files counted in; None when it is neither there nor promised."""
        found = self.hasher.digest(str(path))
        if found is not None and not found.is_folder:
            return found.md5
        promises = self.of(path)
        if path in promises:
            return promises[path].md5
        if promises:
            return self._folder(path, found, promises)
        if found is None and self.everything:
            return self._on_record(path)
        return None if found is None else found.md5

    def of(self, path: PurePosixPath) -> dict[PurePosixPath, Promise]:
        """The promises that `path` stands for: its own, or those of what lies in it."""
        if self._promises is None:
            self._promises = self._all_promises()
        return {
            other: promise
            for other, promise in self._promises.items()
            if (other == path or path in other.parents)
            and promise.maker not in self.wanted
            and self.hasher.is_gone(str(other))
        }

    def _all_promises(self) -> dict[PurePosixPath, Promise]:
        found = {
            asset.dest: Promise(md5=asset.md5, maker=None, is_certain=False)
            for asset in self.project.assets
            if asset.md5 is not None and (asset.is_private or asset.extra)
        }
        for step in self.project.steps:
            paths = step.all_outputs if self.everything else (*self._checked_assets(step), *step.dispensable)
            lost = [path for path in paths if self.hasher.is_gone(str(path))]
            record = self.ledger.record(step.name) if lost else None
            if record is None:
                continue
            made = record.digests("outs")
            for path in lost:
                md5 = made.get(str(path))
                if md5 is not None and (self.everything or not self._is_stored(md5)):
                    found[path] = Promise(md5=md5, maker=step.name, is_certain=step.declared is not None)
        return found

    def _checked_assets(self, step: Step) -> list[PurePosixPath]:
        """The assets that a step brings with the checksum they had when it was recorded."""
        if step.declared is None:
            return []
        record = self.ledger.record(step.name)
        if record is None:
            return []
        made = record.digests("outs")
        same = (record.context or {}).get("declared") == self.context(step).get("declared")
        return [
            asset.dest
            for asset in self.project.assets
            if (asset.sha256 is not None and same) or (asset.md5 is not None and made.get(str(asset.dest)) == asset.md5)
        ]

    def _is_stored(self, md5: str) -> bool:
        try:
            return self.store().has(md5)
        except StoreError:
            return False

    def _folder(
        self, path: PurePosixPath, found: Digest | None, promises: Mapping[PurePosixPath, Promise]
    ) -> str | None:
        """The digest of a folder once what is promised lies in it."""
        files = {} if found is None else self.hasher.files_of(str(path))
        for other, promise in promises.items():
            name = str(other.relative_to(path))
            if not promise.md5.endswith(".dir"):
                files[name] = promise.md5
            elif self._is_stored(promise.md5):
                files |= {f"{name}/{inner}": md5 for inner, md5 in self.store().listing(promise.md5).items()}
            else:
                return self._on_record(path)
        return md5_bytes(listing_bytes(files)) + ".dir"

    def _on_record(self, path: PurePosixPath) -> str | None:
        """What the readers of a path saw, if they agree, where some step or asset makes it, or makes part of it."""
        made = {path for step in self.project.steps for path in step.all_outputs}
        made |= {asset.dest for asset in self.project.assets}
        if not any(path == other or path in other.parents or other in path.parents for other in made):
            return None
        records = (self.ledger.record(step.name) for step in self.project.steps if path in step.deps)
        seen = {record.digests("deps").get(str(path)) for record in records if record is not None}
        return seen.pop() if len(seen) == 1 else None

    def settle(
        self,
        plan: Callable[[], list[Decision]],
        redecide: Callable[[Step], Decision],
        graph: Graph,
        asked_for: Iterable[str] = (),
    ) -> list[Decision]:
        """A plan in which every step that runs finds its inputs.

        Args:
            plan: makes the plan, with the promises as they are.
            redecide: decides one step by what is there now, whatever comes before it.
            asked_for: steps whose outputs are wanted on disk whoever needs them.
        """
        self.wanted = set(asked_for)
        if self.everything:
            return plan()
        while True:
            decisions = plan()
            needs = self._needs(decisions, redecide, graph)
            unsure = {maker for maker in needs if graph.steps[maker].declared is None}
            if not unsure:
                break
            self.wanted |= unsure  # what they make may differ, so all that follows is planned anew
        self.wanted |= needs.keys()
        return [
            _because(redecide(graph.steps[decision.step]), needs[decision.step])
            if decision.step in needs and decision.action is Action.SKIP
            else decision
            for decision in decisions
        ]

    def _needs(self, decisions: list[Decision], redecide: Callable[[Step], Decision], graph: Graph) -> dict[str, Cause]:
        """maker -> the cause why it must bring what it promised."""
        running = {decision.step: None for decision in decisions if decision.action is Action.RUN}
        needs: dict[str, Cause] = {}
        for name in running:
            step = graph.steps[name]
            lacking = {path: promise.maker for dep in step.deps for path, promise in self.of(dep).items()}
            for path, maker in lacking.items():
                others = running.keys() & set(graph.upstream[name]) - {maker}
                if maker is not None and (others or redecide(step).action is Action.RUN):
                    needs.setdefault(maker, Cause(kind=Kind.NEEDED, name=str(path), steps=(name,)))
        return needs


def _because(decision: Decision, cause: Cause) -> Decision:
    return replace(decision, causes=(cause, *decision.causes))
