"""Run a step again in a scratch copy, with the inputs on record, and compare what it makes with what is on record.

Neither the store's results nor checkpoints are read, and nothing is recorded as done: the project is left as it was,
but for a line in the history.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from frostline.digest import md5_file
from frostline.errors import StepFailed, UsageError
from frostline.runner.digests.hashing import Hasher
from frostline.runner.keeping.context import LINKS
from frostline.runner.keeping.ledger import Record, command_of
from frostline.runner.keeping.store import Store
from frostline.runner.project.spec import Step
from frostline.runner.proof.differences import FileDifference, details, folder_differences
from frostline.runner.proof.scratch import scratch_copy
from frostline.runner.running.budget import Budget, refuse_what_never_fits, this_machine
from frostline.runner.running.executors.base import Executor, Job, Outcome
from frostline.runner.running.jobs import job_of
from frostline.runner.running.locks import Locks
from frostline.runner.running.logfiles import forget_old_logs
from frostline.runner.running.records import append_record, measured, record_of, surroundings
from frostline.runner.session import Session

MIRROR = "PROJECT_ASSET_MIRROR"
TICK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one step."""

    step: str
    same: tuple[PurePosixPath, ...]  # outputs with the bytes on record
    differences: tuple[FileDifference, ...]
    unpromised: tuple[PurePosixPath, ...]  # outputs_no_cache that differ, as they may
    seconds: float
    scratch: Path | None  # where it was kept

    @property
    def is_same(self) -> bool:
        """Whether every output under the promise has the bytes on record."""
        return not self.differences


def check(session: Session, name: str) -> Record:
    """The record to compare with. Raises UsageError, with the reason, when the step can't be verified."""
    step = session.graph.steps[name]
    record = session.ledger.record(name)
    if not step.all_outputs:
        raise UsageError(f"'{name}' has no outputs, so there is nothing to compare.")
    if record is None:
        raise UsageError(
            f"'{name}' never ran here: there is nothing to compare with.", fix=f"Run it: project run {name}"
        )
    outside = [path for path in step.all_outputs if path.is_absolute() or ".." in path.parts]
    if outside:
        raise UsageError(f"'{name}' writes outside of the project, to '{outside[0]}': no copy keeps it from there.")
    written = [path for path in step.deps for out in step.all_outputs if _touch(path, out)]
    if written:
        raise UsageError(
            f"'{name}' works in place: what it read of '{written[0]}' is no more.",
            fix="Let it write to another path than it reads.",
        )
    changed = _changes(step, record) or _changed_links(session, step, record)
    if changed:
        raise UsageError(f"'{name}' is not as it was recorded: {changed}.", fix=f"Run it first: project run {name}")
    return record


def _touch(one: PurePosixPath, other: PurePosixPath) -> bool:
    return one == other or one in other.parents or other in one.parents


def _changes(step: Step, record: Record) -> str | None:
    if record.body.get("cmd") != command_of(step):
        return "its command has changed"
    read, made = record.digests("deps"), record.digests("outs")
    for path in step.deps:
        if str(path) not in read:
            return f"the dep '{path}' is new"
    return next((f"the output '{path}' is new" for path in step.all_outputs if str(path) not in made), None)


def _changed_links(session: Session, step: Step, record: Record) -> str | None:
    """A link to a folder in a dep that is not as on record: the copy has those of today."""
    before, today = (record.context or {}), session.contexts.of(step)
    keys = [key for key in {**before, **today} if key.startswith(LINKS) and before.get(key) != today.get(key)]
    return f"a link in the dep '{keys[0].removeprefix(LINKS)}' has changed" if keys else None


def verify(
    session: Session,
    name: str,
    record: Record,
    executor: Executor,
    *,
    keep: bool = False,
    say: Callable[[str], None],
    tick: Callable[[str, float], None],
) -> Verdict:
    """Run one step again and compare.

    Args:
        record: from `check`.
        keep: leave the scratch copy where it is.
        say: where lines for people go.
        tick: called with the step and the seconds so far, while it works.
    Raises:
        StepFailed: it failed in the scratch copy, or asks for more than this machine has.
        StoreError: an input is not to be had as it was recorded.
    """
    step = session.graph.steps[name]
    gpus = _own_gpus(session, step)
    read = record.digests("deps")
    inputs = {path: read[str(path)] for path in step.deps}
    locks = Locks(session.places.tmp, say, idle=session.under_dvc)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with ExitStack() as stack:
        with locks.paths(f"project verify {name}", read=[session.root / path for path in step.deps], write=()):
            root = stack.enter_context(scratch_copy(session, inputs, keep=keep))
        if keep:
            say(f"{name}: the copy is {root}")
        job = _job(session, step, root, gpus)
        outcome = _carry_out(executor, job, tick)
        if outcome.exit_code != 0 or outcome.timed_out:
            _note(session, step, started, outcome, "verify failed", job)
            raise _failure(session, step, outcome, job)
        verdict = _compare(session, step, record, root, outcome, keep=keep)
        _note(session, step, started, outcome, "verified" if verdict.is_same else "differs", job)
        return verdict


def _own_gpus(session: Session, step: Step) -> tuple[str, ...] | None:
    """The GPUs that a run would give the step; None: it said nothing of them. Raises StepFailed."""
    machine_now = this_machine(session.environ, wants_gpus=bool(step.resources.gpus))
    refuse_what_never_fits([step], machine_now, session.spec.file_name)
    return Budget(machine_now).take(step)


def _job(session: Session, step: Step, root: Path, gpus: tuple[str, ...] | None) -> Job:
    """The step's job, in the scratch copy; its log lies beside those of runs."""
    environ = dict(session.environ)
    mirror = environ.get(MIRROR)
    if mirror and "://" not in mirror:
        environ[MIRROR] = str((session.root / mirror).absolute())
    if "PWD" in environ:
        environ["PWD"] = str(root)
    job = job_of(step, session.places, environ, gpus=gpus)
    for path in step.all_outputs:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    log = job.log.parent / "verify" / job.log.name
    forget_old_logs(log.parent)
    return replace(job, folder=root, log=log)


def _carry_out(executor: Executor, job: Job, tick: Callable[[str, float], None]) -> Outcome:
    started = time.monotonic()
    try:
        running = executor.start(job)
        while running.outcome is None:
            executor.wait([running], TICK_S)
            tick(job.step, time.monotonic() - started)
    except BaseException:
        executor.end()
        raise
    return running.outcome


def _failure(session: Session, step: Step, outcome: Outcome, job: Job) -> StepFailed:
    how = f"exit code {outcome.exit_code}" if outcome.exit_code >= 0 else f"signal {-outcome.exit_code}"
    how = (
        f"its time limit of {step.timeout_s:g} s was over" if outcome.timed_out else f"{how}: {outcome.failed_command}"
    )
    return StepFailed(
        f"Step '{step.name}' failed in the scratch copy: {how}",
        where=str(job.log.relative_to(session.root)),
        fix="The copy holds the project's own files and the step's deps: does it read what it does not declare?",
    )


def _compare(session: Session, step: Step, record: Record, root: Path, outcome: Outcome, *, keep: bool) -> Verdict:
    hasher = Hasher(root, None)
    made = record.digests("outs")
    same, differences, unpromised = [], [], []
    for path in step.all_outputs:
        seen = hasher.digest(str(path))
        if seen is not None and seen.md5 == made[str(path)]:
            same.append(path)
        elif path in step.outputs_no_cache:
            unpromised.append(path)
        else:
            differences += _differences(session, path, made[str(path)], hasher)
    return Verdict(
        step=step.name,
        same=tuple(same),
        differences=tuple(differences),
        unpromised=tuple(unpromised),
        seconds=outcome.seconds,
        scratch=root if keep else None,
    )


def _differences(session: Session, path: PurePosixPath, md5: str, hasher: Hasher) -> list[FileDifference]:
    """How one output differs, file by file as far as the recorded content is still to be had."""
    new = hasher.digest(str(path))
    if new is None:
        return [FileDifference(path=str(path), change="missing")]
    if new.is_folder != md5.endswith(".dir"):
        kinds = ("a folder", "a file") if new.is_folder else ("a file", "a folder")
        return [FileDifference(path=str(path), change="changed", details=(f"{kinds[0]} now, {kinds[1]} before",))]
    before, after = _listing(session, path, md5), {"": new.md5}
    if new.is_folder:
        after = hasher.files_of(str(path))
    if before is None:
        lost = "what is on record is neither on disk nor in the store, so files can't be compared"
        return [FileDifference(path=str(path), change="changed", details=(lost,))]
    found = []
    for name, change in folder_differences(before, after):
        file = path / name
        old = _content(session, file, before[name]) if change == "changed" else None
        told = details(old, hasher.root / file) if old is not None else ()
        found.append(FileDifference(path=str(file), change=change, details=told))
    return found


def _listing(session: Session, path: PurePosixPath, md5: str) -> dict[str, str] | None:
    """name -> digest of the files of a recorded output; of a file, the one name is empty."""
    if not md5.endswith(".dir"):
        return {"": md5}
    seen = session.hasher.whole(str(path))
    if seen is not None and seen.md5 == md5:
        return session.hasher.files_of(str(path))
    store: Store = session.restorer.store
    return store.listing(md5) if store.object_path(md5).is_file() else None


def _content(session: Session, file: PurePosixPath, md5: str) -> Path | None:
    """A file with the recorded bytes."""
    stored: Path = session.restorer.store.object_path(md5)
    if stored.is_file():
        return stored
    on_disk = session.root / file
    return on_disk if on_disk.is_file() and md5_file(on_disk) == md5 else None


def _note(session: Session, step: Step, started: str, outcome: Outcome, status: str, job: Job) -> None:
    """A line in the history."""
    line = record_of(session, step, status=status, started=started, log=job.log)
    append_record(session.places.records, {**line, **surroundings(session), **measured(outcome)})
