"""Bring steps, and everything stale that they need, up to date. What is up to date is not run again.

A NAME is a step, a workflow, or the beginning of a matrix's names (`train-frozen` means all its cells); globs work.
"""

from __future__ import annotations

import argparse
import signal
import time

from frostline.console import out, say
from frostline.errors import UsageError
from frostline.runner import upkeep
from frostline.runner.cli.around import check_dvc_yaml, print_what_follows
from frostline.runner.cli.options import add_project_options, add_strict, open_session
from frostline.runner.cli.tables import decisions_json, print_decisions, up_to_date
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
        upkeep.before_plan(session, say)
    decisions = session.plan(selection, force=values.force)
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
        upkeep.refill_lost_store(session, say)
        upkeep.with_nothing_to_run(session, decisions, say)
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
    upkeep.refill_lost_store(session, say)
    upkeep.bring_ledger_up_to_date(session, decisions, say)
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
