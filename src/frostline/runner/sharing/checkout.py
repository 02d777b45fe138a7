"""Put what is on record back in place from the store, output by output. Decides nothing, records nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from frostline.runner.keeping.ledger import Record
from frostline.runner.project.spec import Step
from frostline.runner.running.locks import Locks
from frostline.runner.session import Session

Say = Callable[[str], None]


@dataclass(slots=True)
class CheckedOut:
    """What became of the recorded outputs."""

    brought: list[str] = field(default_factory=list)  # steps of which something was put in place
    lost: dict[str, list[PurePosixPath]] = field(default_factory=dict)  # step -> outputs the store does not hold
    later: list[PurePosixPath] = field(default_factory=list)  # absent assets, fetched when a step needs them


def check_out(session: Session, names: Iterable[str], say: Say) -> CheckedOut:
    """Bring back the outputs of the named steps as the ledger has them; what differs makes way."""
    result = CheckedOut()
    locks = Locks(session.places.tmp, say, idle=session.under_dvc)
    clearing = session.clearing(say)
    store = session.restorer.store
    for name in names:
        step = session.graph.steps[name]
        record = session.ledger.record(name) if name in session.ledger.managed else None
        if record is None:
            continue
        wanted = {path: md5 for path, md5 in _recorded(step, record).items() if not _is_there(session, path, md5)}
        here = {path: md5 for path, md5 in wanted.items() if store.has(md5)}
        _sort_missing(session, step, [path for path in wanted if path not in here], result)
        if not here:
            continue
        executable = {entry["path"] for entry in record.body["outs"] if entry.get("isexec")}
        with locks.paths(f"project checkout {name}", read=(), write=[session.root / path for path in here]):
            for path, md5 in here.items():
                clearing.spare(path)
                store.place(md5, str(path), is_exec=str(path) in executable)
                session.hasher.forget(str(path))
                clearing.release([path])
        result.brought.append(name)
    session.hasher.save()
    return result


def _recorded(step: Step, record: Record) -> dict[PurePosixPath, str]:
    made = record.digests("outs")
    return {path: made[str(path)] for path in step.all_outputs if str(path) in made}


def _is_there(session: Session, path: PurePosixPath, md5: str) -> bool:
    seen = session.hasher.whole(str(path))
    return seen is not None and seen.md5 == md5


def _sort_missing(session: Session, step: Step, missing: list[PurePosixPath], result: CheckedOut) -> None:
    """Tell what is lost from what can be done without for now."""
    for path in missing:
        if session.hasher.is_gone(str(path)) and session.absent.of(path):
            if step.declared is not None:
                result.later.append(path)
        elif path not in step.dispensable:
            result.lost.setdefault(step.name, []).append(path)


def profiles_on_record(root: Path, names: Iterable[str], default: str) -> list[str]:
    """The profiles that have a ledger, the default one first."""
    return [
        name
        for name in dict.fromkeys([default, *names])
        if (root / "dvc.lock" if name == default else root / "ledger" / name / "dvc.lock").is_file()
    ]
