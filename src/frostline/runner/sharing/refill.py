"""Put back into the store what lies in place as it is on record, and name what neither place nor store has.

A store may be emptied by hand, or stay behind when a project is copied. Records nothing, and changes no output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from frostline.errors import StoreError
from frostline.runner.digests.hashing import Digest
from frostline.runner.keeping.gitfiles import is_committed
from frostline.runner.keeping.ledger import Record
from frostline.runner.keeping.store import Store
from frostline.runner.project.spec import Step
from frostline.runner.running.locks import Locks
from frostline.runner.session import Session


@dataclass(slots=True)
class Refilled:
    """What became of the recorded outputs that the store lacked."""

    n_back: int = 0  # outputs that are in the store again
    n_later: int = 0  # outputs that no store has by their nature: assets from elsewhere, folders with links in them
    lacking: dict[str, list[PurePosixPath]] = field(default_factory=dict)  # step -> outputs that nobody here has

    @property
    def paths(self) -> list[PurePosixPath]:
        """All that lacks."""
        return [path for paths in self.lacking.values() for path in paths]

    def add(self, other: Refilled, profile: str) -> None:
        """Count what another profile has, too."""
        self.n_back += other.n_back
        self.n_later += other.n_later
        self.lacking |= {f"{profile}/{name}": paths for name, paths in other.lacking.items()}


def refill(session: Session, names: Iterable[str], say: Callable[[str], None], *, look_only: bool = False) -> Refilled:
    """Bring the store up to what is on record of some steps, from the outputs in place.

    An asset that can be fetched again does not lack, nor does an output that has no copy in the store by its nature.

    Args:
        look_only: put nothing into the store, only say what it lacks.
    """
    result = Refilled()
    locks = Locks(session.places.tmp, say, idle=session.under_dvc)
    for name in names:
        step = session.graph.steps[name]
        record = session.ledger.record(name) if name in session.ledger.managed else None
        if record is None:
            continue
        wanted, back = _not_stored(session, step, record), []
        if wanted and not look_only:
            with locks.paths(f"project run {name}", read=[session.root / path for path in wanted], write=()):
                back = [path for path in wanted if _put_back(session, path, wanted[path])]
            result.n_back += len(back)
        if not look_only:
            _remember(session, step, record)
        lost = [path for path in step.outputs if path in wanted and path not in back]
        coming = [path for path in lost if _comes(session, step, path, wanted[path])]
        result.n_later += len(coming)
        lost = [path for path in lost if path not in coming]
        if lost:
            result.lacking[name] = lost
    session.hasher.save()
    return result


def _not_stored(session: Session, step: Step, record: Record) -> dict[PurePosixPath, str]:
    """path -> digest on record, of the outputs that a run puts into the store and that it has not."""
    made = record.digests("outs")
    kept = step.all_outputs if record.body.get("deps") else step.outputs
    store: Store = session.restorer.store
    return {path: made[str(path)] for path in kept if str(path) in made and not _has(store, made[str(path)])}


def _has(store: Store, md5: str) -> bool:
    try:
        return store.has(md5)
    except StoreError:  # a listing that can't be read
        return False


def _put_back(session: Session, path: PurePosixPath, md5: str) -> bool:
    """Store what lies at a path, if it is what is on record."""
    digest = _in_place(session, path, md5)
    if digest is None or session.hasher.links_in(str(path)):
        return False
    session.restorer.store.keep(str(path), digest)
    return True


def _in_place(session: Session, path: PurePosixPath, md5: str) -> Digest | None:
    try:
        digest = session.digest(path)
    except StoreError:  # what can't be hashed is no output of a step
        return None
    return digest if digest is not None and digest.md5 == md5 else None


def _remember(session: Session, step: Step, record: Record) -> None:
    """Enter the result into the run cache again, where its context is known whole."""
    is_known = record.context is None or record.knows_env or not step.env_names
    if is_known and session.restorer.has_all(step, record.body, whole=True):
        session.restorer.remember(record.body, dict(record.context or {}))


def _comes(session: Session, step: Step, path: PurePosixPath, md5: str) -> bool:
    """Whether an asset is here, or is had again from its own source; or the store has no room for what is in place."""
    if session.hasher.links_in(str(path)):
        return True
    return step.declared is not None and (_in_place(session, path, md5) is not None or bool(session.absent.of(path)))


def has_no_copy(session: Session, step: Step, path: PurePosixPath) -> bool:
    """Whether what lies at a path is a step's own, and would be gone for good: no store takes it, and git lacks it.

    A checkpoint has no copy; an edited output counts as having one, as it is moved aside when it makes way.
    """
    if path in step.checkpoint:
        return True
    record = session.ledger.record(step.name)
    md5 = None if record is None else record.digests("outs").get(str(path))
    if record is None or md5 is None or _in_place(session, path, md5) is None:
        return False
    is_stored = path in step.outputs or bool(record.body.get("deps")) or _has(session.restorer.store, md5)
    if is_stored and not session.hasher.links_in(str(path)):  # links in a folder are nothing that the store brings back
        return False
    return not is_committed(session.root, path)
