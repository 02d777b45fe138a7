"""Bring steps up to date: carry out a plan, and record each step only when its outputs exist and are hashed.

Before a step starts, it is decided again with what is on disk by then: a step whose inputs turned out the same is
skipped after all. Order and limits are schedule.py's business, processes the executor's.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from frostline.errors import StepFailed, StoreError, nearest
from frostline.runner.digests.hashing import Digest
from frostline.runner.keeping import dvcfile, gitfiles
from frostline.runner.keeping.ledger import Body, Entry, body_of
from frostline.runner.keeping.restore import Restorer
from frostline.runner.keeping.store import replace_links
from frostline.runner.planning.graph import all_needed
from frostline.runner.planning.plan import Action, Decision, decide
from frostline.runner.project.spec import Step
from frostline.runner.running.budget import Machine, refuse_what_never_fits
from frostline.runner.running.executors.base import Executor, Job, Running
from frostline.runner.running.failures import failure_of
from frostline.runner.running.jobs import job_of
from frostline.runner.running.leftovers import remove_leftovers
from frostline.runner.running.locks import Locks
from frostline.runner.running.logfiles import forget_old_logs
from frostline.runner.running.origins import origin_of
from frostline.runner.running.records import append_record, measured, record_of, surroundings
from frostline.runner.running.refresh import refresh, with_deps_of_today
from frostline.runner.running.refusals import check_made, check_read
from frostline.runner.running.tracking import hide_recorded, settle_tracked, unhidden
from frostline.runner.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a run goes about it."""

    forced: frozenset[str] = frozenset()  # steps that run whatever is on record
    machine: Machine | None = None  # what steps can be given; None: not known


@dataclass(slots=True, kw_only=True)
class Work:
    """A step between its start and its record."""

    step: Step
    decision: Decision
    running: Running
    deps: dict[PurePosixPath, Digest | None]  # what it reads, as it was at the start
    context: Mapping[str, str]  # as it was at the start
    locks: ExitStack
    tries_left: int
    started: str
    gpus: tuple[str, ...] | None = None  # its own; None: it said nothing of them


class Runner:
    """Carries out steps of one session, one call at a time.

    Args:
        say: where lines for people go.
    """

    def __init__(self, session: Session, executor: Executor, options: Options, say: Callable[[str], None]) -> None:
        self.session = session
        self.executor = executor
        self.options = options
        self.say = say
        self.places = session.places
        self.locks = Locks(self.places.tmp, say, idle=session.under_dvc)
        self.restorer: Restorer = session.restorer
        self.clearing = session.clearing(say)
        self.to_ignore: set[PurePosixPath] = set()
        remove_leftovers(self.places)
        self.same = surroundings(session)  # in every record of this run

    def prepare(self, names: list[str]) -> None:
        """Note in local state that a report is due, and which steps can't be DVC's as git tracks their outputs."""
        ledger = self.session.ledger
        settle_tracked(self.session, names, self.say)
        if self.session.spec.report is not None:
            ledger.state["report_due"] = True
        ledger.write_state()
        managed = [name for name in names if name in ledger.managed]
        paths = [path for name in managed for path in self.session.graph.steps[name].outputs]
        self.to_ignore = set(unhidden(self.session, paths))

    def begin(self, name: str, *, gpus: tuple[str, ...] | None = None, patient: bool = True) -> Work | Decision:
        """Start a step; or, where it need not run after all, restore or skip it, and give that decision.

        Args:
            gpus: the devices that are its own; None: it said nothing of them.
            patient: whether to wait where another process works on its paths; else PathsBusy is raised.
        """
        step = self.session.graph.steps[name]
        locks = ExitStack()
        try:
            root = self.session.root
            locks.enter_context(
                self.locks.paths(
                    f"project run {name}",
                    read=[root / path for path in step.deps],
                    write=[root / path for path in step.all_outputs],
                    patient=patient,
                )
            )
            self.session.ledger.reload()
            for path in (*step.deps, *step.all_outputs):
                self.session.hasher.forget(str(path))
            force = name in self.options.forced
            decision = decide(self.session.graph, step, self.session.facts(), {}, force=force)
            if decision.action is Action.SKIP:
                self.clearing.release(step.all_outputs)
                refresh(self.session, [decision], self.locks)
                locks.close()
                return decision
            if decision.action is Action.RESTORE:
                self._restore(step, decision)
                locks.close()
                return decision
            return self._start(step, decision, locks, gpus)
        except BaseException:
            locks.close()
            raise

    def _restore(self, step: Step, decision: Decision) -> None:
        assert decision.body is not None
        deps = {path: self.session.digest(path) for path in step.deps}
        self.restorer.bring(step, decision.body, self.clearing.spare)
        self.clearing.release(step.all_outputs)
        self._ignore(step)
        self._record(step, with_deps_of_today(self.session, step, decision.body))
        if step.checkpoint:
            origin = origin_of(self.session, step, deps)
            self.clearing.drop_served(step.checkpoint, origin, strict=self.session.strict)

    def _start(self, step: Step, decision: Decision, locks: ExitStack, gpus: tuple[str, ...] | None) -> Work:
        if self.options.machine is not None:
            refuse_what_never_fits([step], self.options.machine, self.session.spec.file_name)
        missing = [path for path in step.deps if self.session.digest(path) is None]
        if missing:
            raise missing_dep(self.session, step, missing[0])
        deps = {path: self.session.digest(path) for path in step.deps}
        check_read(self.session, step, self.say)
        context = self.session.contexts.of(step)
        self._clear_outputs(step)
        self._ignore(step)
        self.clearing.begin(self._cleared(step))
        if step.checkpoint:
            self.clearing.hand_over(step.checkpoint, origin_of(self.session, step, deps), strict=self.session.strict)
        forget_old_logs(self.places.logs(step.name))
        return Work(
            step=step,
            decision=decision,
            running=self.executor.start(self._job(step, gpus)),
            deps=deps,
            context=context,
            locks=locks,
            tries_left=step.retries,
            started=_now(),
            gpus=gpus,
        )

    def _ignore(self, step: Step) -> None:
        """Hide outputs from git before anybody reads their folder: the .gitignore is a file of it."""
        gitfiles.ignore(self.session.root, self.to_ignore.intersection(step.outputs))
        self.to_ignore.difference_update(step.outputs)

    def _job(self, step: Step, gpus: tuple[str, ...] | None) -> Job:
        return job_of(step, self.places, self.session.environ, gpus=gpus)

    def _clear_outputs(self, step: Step) -> None:
        """Take outputs away before a command makes them anew, so that nothing is written through a link.

        A step that works in place finds its outputs as they are, links into the store replaced by files.
        """
        for path in step.all_outputs:
            full = self.session.root / path
            if self._works_in_place(step):
                if not step.keeps_outputs and full.exists():
                    replace_links([full])
            else:
                self.clearing.clear(path)
            full.parent.mkdir(parents=True, exist_ok=True)
            self.session.hasher.forget(str(path))

    def _works_in_place(self, step: Step) -> bool:
        """Whether a step's outputs are left where they are; any step's are, in a file of weasel's vocabulary."""
        return step.keeps_outputs or self.session.spec.weasel_only or step.name in self.session.graph.overlapping

    def _cleared(self, step: Step) -> tuple[PurePosixPath, ...]:
        """The outputs that are the step's alone, as they were taken away before it began."""
        return () if self._works_in_place(step) else step.all_outputs

    def again(self, work: Work) -> bool:
        """Start a failed step's next try, if it has one left."""
        if work.tries_left <= 0:
            return False
        work.tries_left -= 1
        self._write_record(work, "retried")
        self._clear_outputs(work.step)
        work.started = _now()
        work.running = self.executor.start(self._job(work.step, work.gpus))
        return True

    def adopt(self, step: Step) -> None:
        """Record and store a step that another tool ran, with its files as they are."""
        reads, writes = ([self.session.root / path for path in paths] for paths in (step.deps, step.all_outputs))
        with self.locks.paths(f"project run {step.name}", read=reads, write=writes):
            body = body_of(step, self.session.digest)
            if step.name in self.session.ledger.managed:
                self._keep(step, body, self.session.contexts.of(step))
            self._record(step, body)

    def finish(self, work: Work) -> None:
        """Look at what a step left, hash, store and record it. Raises StepFailed."""
        step = work.step
        outcome = work.running.outcome
        assert outcome is not None
        try:
            if outcome.exit_code != 0 or outcome.timed_out:
                raise failure_of(self.session, step, outcome, work.running.job.log)
            written = step.deps if step.name in self.session.graph.overlapping else ()
            for path in (*step.all_outputs, *written):
                self.session.hasher.forget(str(path))
            self._check_outputs(step, work.running.job.log)
            self.session.hasher.look_ahead(map(str, step.all_outputs))
            try:
                body = self._body(step, work)
                works_on_deps = step.name in self.session.graph.overlapping
                context = self.session.contexts.of(step) if works_on_deps else work.context
            except StoreError as error:
                message = f"What step '{step.name}' left can't be recorded: {error.message}"
                raise StepFailed(message, fix=error.fix) from error
            if step.name in self.session.ledger.managed:
                self._keep(step, body, context)
            self.clearing.release(self._cleared(step))  # before the record: what is edited after it is the user's
            self.clearing.end(step.checkpoint)
            self._record(step, body, context)
            for path in step.checkpoint:
                self.clearing.clear(path)
            self.clearing.release(step.checkpoint)
        except StepFailed:
            self.clearing.leave([*self._cleared(step), *step.checkpoint])
            self._write_record(work, "failed")
            raise
        finally:
            work.locks.close()
        self._write_record(work, "done")

    def _body(self, step: Step, work: Work) -> Body:
        """The entry for dvc.lock: deps as they were at the start, those that it wrote itself as they are."""
        own = step.all_outputs if step.name in self.session.graph.overlapping else ()

        def digest(path: PurePosixPath) -> Digest | None:
            seen = work.deps.get(path)
            in_place = any(path == out or out in path.parents or path in out.parents for out in own)
            return self.session.digest(path) if seen is None or in_place else seen

        return body_of(step, digest)

    def _check_outputs(self, step: Step, log: Path) -> None:
        dangling = [path for path in step.all_outputs if _leads_nowhere(self.session.root / path)]
        if dangling:
            raise StepFailed(
                f"Step '{step.name}' left '{dangling[0]}' as a link that leads nowhere.",
                where=str(log.relative_to(self.session.root)),
                fix="Let it write the file itself, or link to one that is there.",
            )
        missing = [path for path in step.all_outputs if not (self.session.root / path).exists()]
        if missing:
            raise StepFailed(
                f"Step '{step.name}' ended well but did not make '{missing[0]}'.",
                where=str(log.relative_to(self.session.root)),
                fix="Does the command write to another path than its `outputs` say?",
            )

    def _keep(self, step: Step, body: Body, context: Mapping[str, str]) -> None:
        """Put a fresh result into the store, where it can be had from there whole. Raises StepFailed."""
        if check_made(self.session, step, self.say):
            self.restorer.keep(step, body, context)

    def _record(self, step: Step, body: Body, context: Mapping[str, str] | None = None) -> None:
        """Write the ledger, under DVC's lock, unless DVC itself is at it.

        Args:
            context: None: today's.
        """
        if self.session.under_dvc:
            return
        context = self.session.contexts.of(step) if context is None else context
        meanings = self.session.meanings(step)
        entry = Entry(step=step, body=body, context=context, meanings=meanings)
        with self.locks.ledger():
            self.session.ledger.put([entry])
        self.session.hasher.save()

    def stop(self, works: list[Work]) -> None:
        """End running steps with all their processes; nothing of them is recorded as done."""
        self.executor.end()
        for work in works:
            with contextlib.suppress(OSError):
                self.clearing.leave([*self._cleared(work.step), *work.step.checkpoint])
                self._write_record(work, "interrupted")
            work.locks.close()

    def close(self) -> None:
        """Bring dvc.yaml and the .gitignore files up to date with the ledger."""
        self.session.hasher.save()
        if self.session.under_dvc:
            return
        with self.locks.ledger():
            self.session.ledger.reload()
            changed = dvcfile.sync(self.places, self.session.known_steps, self.session.ledger)
        if changed:
            hide_recorded(self.session)

    def _write_record(self, work: Work, status: str) -> None:
        step, outcome = work.step, work.running.outcome
        line = record_of(self.session, step, status=status, started=work.started, log=work.running.job.log)
        line |= {"reasons": list(work.decision.reasons), **self.same}
        if outcome is not None:
            line |= measured(outcome)
        append_record(self.places.records, line)


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def missing_dep(session: Session, step: Step, dep: PurePosixPath) -> StepFailed:
    """The error for a dep that nobody makes and that is not there."""
    makers = session.graph.producers[step.name].get(dep, ())
    where = f"{session.spec.file_name}:{step.line}"
    if any(dep == path or path in dep.parents for path in step.all_outputs):
        return StepFailed(
            f"Step '{step.name}' reads '{dep}', which it writes itself, and it is not there.",
            where=where,
            fix=f"Put a first '{dep}' there by hand, or take it out of the step's deps.",
        )
    if makers:
        return StepFailed(
            f"Step '{step.name}' needs '{dep}', which '{makers[0]}' makes, but it is not there.",
            where=where,
            fix=f"'{makers[0]}' needs '{step.name}' in its turn: put a first '{dep}' there by hand."
            if step.name in all_needed(session.graph.upstream, makers[0])
            else f"Run it: project run {makers[0]}",
        )
    for asset in session.project.assets:
        if dep == asset.dest or asset.dest in dep.parents or dep in asset.dest.parents:
            by_hand = asset.description or "Bring the file by hand."
            lack = "has no url" if asset.is_private else "is not here"
            return StepFailed(
                f"Step '{step.name}' needs the asset '{dep}', which {lack}.",
                where=f"{session.spec.file_name}:{asset.line}",
                fix=by_hand if asset.is_private else f"Bring it: project assets{' --extra' if asset.extra else ''}",
            )
    known = [str(path) for other in session.project.steps for path in other.all_outputs]
    near = nearest(str(dep), known)
    return StepFailed(
        f"Step '{step.name}' needs '{dep}', but no step or asset produces it and it is not on disk.",
        where=where,
        fix=(f"Did you mean '{near}'? " if near else "") + "If the file comes from outside, declare it under 'assets'.",
    )
