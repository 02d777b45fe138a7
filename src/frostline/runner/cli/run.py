"""Bring steps, and everything stale that they need, up to date. What is up to date is not run again.

A NAME is a step, a workflow, or the beginning of a matrix's names (`train-frozen` means all its cells); globs work.
"""

from __future__ import annotations

import argparse
import signal
import time
from contextlib import suppress

from frostline.console import out, say
from frostline.errors import StoreError, UsageError
from frostline.runner.cli.around import check_dvc_yaml, print_what_follows
from frostline.runner.cli.options import add_project_options, add_strict, open_session
from frostline.runner.cli.tables import count, decisions_json, print_decisions, up_to_date
from frostline.runner.planning.graph import Selection, refuse_overlaps
from frostline.runner.planning.plan import Action, Decision
from frostline.runner.session import Session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project run`."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="step, workflow, beginning of a matrix's names, or glob"
    )
    parser.add_argument("--only", action="store_true", help="leave out what is upstream")
    parser.add_argument("--force", action="store_true", help="run the named steps even if they are up to date")
    parser.add_argument("--dry", action="store_true", help="say what would be done and why, and do nothing")
    parser.add_argument("--json", action="store_true", help="with --dry: decisions as JSON")
    parser.add_argument("-j", "--jobs", type=_jobs, metavar="N", help="run up to N steps at once")
    parser.add_argument("--keep-going", action="store_true", help="after a failure, go on with what does not need it")
    parser.add_argument("--executor", choices=("local",), default="local", help="where steps run: on this machine")
    parser.add_argument("--no-report", action="store_true", help="do not make the report after a workflow")
    add_strict(parser)
    add_project_options(parser)


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number above 0")
    return int(text)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Plan, and carry the plan out."""
    session = open_session(values, rest)
    for warning in session.spec.warnings:
        say(f"warning: {warning}")
    if not values.names:
        raise UsageError("Say what to run.", fix=_what_there_is(session))
    if values.json and not values.dry:
        raise UsageError("--json shows a plan.", fix="Add --dry.")
    selection = session.select(values.names, only=values.only)
    check_dvc_yaml(session)
    if not values.dry:
        _look_at_git(session)
        _end_leftovers(session)
        _drop_ended_checkpoints(session)
        _take_over_weasels(session)
    decisions = session.plan(selection, force=values.force)
    if not values.dry:
        _refill_store(session)
    if values.dry:
        none = _why_none(session, values.names)
        if values.json:
            out(decisions_json(decisions))
        else:
            print_decisions(decisions, none=none)
            print_what_follows(session, selection, decisions)
        session.hasher.save()
    elif all(decision.action is Action.SKIP for decision in decisions):
        session.hasher.save()
        try:
            _bring_ledger_up_to_date(session, decisions)
            _mend_dvc_yaml(session)
        except OSError as error:  # a project that may only be read is up to date all the same
            say(f"warning: the ledger could not be brought up to date: {error.strerror or error}")
        out(up_to_date(len(decisions)) if decisions else _why_none(session, values.names))
        if selection.workflows and _report_is_due(session) and not values.no_report:
            from frostline.runner.running.reporting import make_report_if_news

            make_report_if_news(session)
    else:
        _carry_out(session, selection, decisions, values)


def _why_none(session: Session, names: list[str]) -> str:
    """The line for names that mean no steps at all; as with weasel, that is no fault."""
    if len(names) == 1 and not session.spec.workflows.get(names[0], names):
        return f"the workflow '{names[0]}' lists no steps: nothing to run"
    where = "with these values" if session.project.overrides else f"in the profile '{session.project.profile}'"
    listed = ", ".join(f"'{name}'" for name in names)
    return f"{listed} {'has' if len(names) == 1 else 'have'} no steps {where}: nothing to run"


def _what_there_is(session: Session) -> str:
    lines = [f"workflow {name}: {', '.join(steps)}" for name, steps in session.spec.workflows.items()]
    lines.append("steps: " + ", ".join(dict.fromkeys(step.command for step in session.project.steps)))
    return "\n         ".join(lines)


def _end_leftovers(session: Session) -> None:
    """End what a runner that was killed has left running."""
    if session.places.running.is_dir() and any(session.places.running.iterdir()):
        from frostline.runner.running.executors.local import end_leftovers

        for step in end_leftovers(session.places.running):
            say(f"ended step '{step}', which a runner that was killed had left behind")


def _drop_ended_checkpoints(session: Session) -> None:
    """Remove what a step needs no more that ended well, where a kill came between its record and that."""
    if not session.places.begun.is_dir() or not any(session.places.begun.iterdir()):
        return
    from frostline.runner.running.locks import Locks, PathsBusy

    clearing = session.clearing(say)
    locks = Locks(session.places.tmp, say, idle=session.under_dvc)
    for step in session.graph.steps.values():
        if step.checkpoint:
            outputs = [session.root / path for path in step.all_outputs]
            with suppress(PathsBusy), locks.paths(f"project run {step.name}", read=(), write=outputs, patient=False):
                clearing.drop_ended(step.checkpoint)


def _look_at_git(session: Session) -> None:
    """Notice a git that came after the first run, and outputs that it has let go of. As a rule, one file is read."""
    if session.under_dvc or not session.places.dvc.is_dir():
        return
    from frostline.runner.keeping.git_place import in_repository

    config = session.places.dvc / "config"
    came_later = config.is_file() and b"no_scm" in config.read_bytes() and in_repository(session.root)
    tracked = session.ledger.state.get("tracked")
    if came_later or tracked:
        from frostline.runner.running.tracking import hide_recorded, settle_tracked, welcome_git
        from frostline.runner.sharing.refill import refill

        try:
            if came_later:
                welcome_git(session, say)
            freed = settle_tracked(session, tracked or (), say)
            if freed:
                hide_recorded(session)
                refill(session, freed, say)
        except OSError as error:  # a project that may only be read
            say(f"warning: the change in git could not be noted: {error.strerror or error}")


def _refill_store(session: Session) -> None:
    """Fill a store that somebody has removed from what is in place. Where it is there, that is one look."""
    cache = session.places.dvc / "cache" / "files"
    if cache.is_dir() or session.under_dvc or len(session.ledger.lock.bodies) == 0 or not session.places.dvc.is_dir():
        return
    if (session.restorer.store.base / "files").is_dir():  # it lies elsewhere
        return
    from frostline.runner.sharing.refill import refill

    try:
        n_back = refill(session, session.graph.steps, say).n_back
    except (OSError, StoreError) as error:
        say(f"warning: the store is gone, and can't be filled again: {error}")
        return
    if n_back:
        say(f"the store was gone: put {count(n_back, 'output')} back into it")


def _take_over_weasels(session: Session) -> None:
    """Record what weasel has done, where its lock lies here and has a step that has no record yet."""
    done = [] if session.under_dvc else session.done_by_weasel()
    if done:
        from frostline.runner.running.takeover import take_over

        take_over(session, done, say)


def _bring_ledger_up_to_date(session: Session, decisions: list[Decision]) -> None:
    """With nothing to run, deps may have changed in comments or layout, or DVC may have run a step."""
    if any(decision.is_behind for decision in decisions):
        from frostline.runner.running.locks import Locks
        from frostline.runner.running.refresh import refresh

        noted = refresh(session, decisions, Locks(session.places.tmp, say))
        for reason in dict.fromkeys(reason for decision in noted for reason in decision.reasons):
            say(reason)


def _mend_dvc_yaml(session: Session) -> None:
    """With nothing to run, dvc.yaml may still be behind: after a kill, or an edit that reruns nothing."""
    if session.under_dvc or not session.places.dvc.is_dir():
        return
    from frostline.runner.keeping import dvcfile

    if not dvcfile.is_current(session.places, session.known_steps, session.ledger):
        from frostline.runner.running.locks import Locks

        with Locks(session.places.tmp, say).ledger():
            session.ledger.reload()
            dvcfile.sync(session.places, session.known_steps, session.ledger)


def _report_is_due(session: Session) -> bool:
    """Whether a run was cut off before its report, or the report is gone."""
    if session.spec.report is None:
        return False
    state = session.ledger.state
    path = state.get("report", {}).get("path")
    return bool(state.get("report_due")) or not path or not (session.root / path).is_file()


def _carry_out(session: Session, selection: Selection, decisions: list[Decision], values: argparse.Namespace) -> None:
    """Run what must run. The parts that only this needs are loaded here."""
    from frostline.runner.cli.progress import failure_of, reporter_for
    from frostline.runner.keeping.setup import prepare
    from frostline.runner.running.budget import Budget, refuse_what_never_fits, this_machine
    from frostline.runner.running.executors.gpus import watch_gpus
    from frostline.runner.running.executors.local import LocalExecutor
    from frostline.runner.running.run import Options, Runner, missing_dep
    from frostline.runner.running.schedule import Schedule, asks_for_parallel
    from frostline.runner.running.signals import ends_like_ctrl_c
    from frostline.runner.running.trespass import trespasses

    order = tuple(decision.step for decision in decisions)
    parallel = asks_for_parallel(session.graph, order, values.jobs) and not session.spec.weasel_only
    if parallel or (values.jobs or 1) > 1:
        refuse_overlaps(session.project, session.graph, order)
        parallel = True
    if not session.spec.weasel_only:
        for decision in decisions:
            for path in decision.missing:
                raise missing_dep(session, session.graph.steps[decision.step], path)
    if prepare(session.root, session.project.directories):
        say("made .dvc/ for the ledger and the store")
        session.forget_state()
    _bring_ledger_up_to_date(session, decisions)
    acting = [decision.step for decision in decisions if decision.action is not Action.SKIP]
    steps = [session.graph.steps[name] for name in acting]
    machine = this_machine(session.environ, wants_gpus=any(step.resources.gpus for step in steps))
    runs = [decision for decision in decisions if decision.action is Action.RUN and decision.is_certain]
    refuse_what_never_fits((session.graph.steps[decision.step] for decision in runs), machine, session.spec.file_name)
    started = time.monotonic()
    executor = LocalExecutor(session.places.running, watch_gpus(session.environ))
    forced = selection.named if values.force else frozenset()
    runner = Runner(session, executor, Options(forced=forced, machine=machine), say)
    runner.prepare(acting)
    budget = Budget(machine, whole_machine=values.jobs is None)
    reporter = reporter_for(len(order), streams=not values.quiet, parallel=parallel)
    schedule = Schedule(
        runner, executor, session.graph, decisions, reporter, budget, parallel=parallel, n_jobs=values.jobs
    )
    try:
        with ends_like_ctrl_c(signal.SIGTERM, signal.SIGHUP), reporter:
            tally = schedule.run(keep_going=values.keep_going)
    finally:
        executor.close()
        runner.close()
    elapsed = time.monotonic() - started
    for line in trespasses(session, (*tally.skipped, *tally.ran, *tally.restored), time.time() - elapsed):
        say(f"warning: {line}")
    out(reporter.summary(tally, elapsed))
    if (error := failure_of(tally)) is not None:
        raise error
    if selection.workflows and not values.no_report:
        from frostline.runner.running.reporting import make_report_if_news

        make_report_if_news(session)
