"""What `project run` puts right before and after its plan: what kills, edits, git, DVC and weasel have left.

Each looks at one file or folder where there is nothing to do, and loads what it works with only where there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from frostline.errors import StoreError
from frostline.runner.planning.plan import Decision
from frostline.runner.session import Session

Say = Callable[[str], None]


def before_plan(session: Session, say: Say) -> None:
    """What decisions must find in order."""
    _look_at_git(session, say)
    _end_leftovers(session, say)
    _drop_ended_checkpoints(session, say)
    _take_over_weasels(session, say)


def with_nothing_to_run(session: Session, decisions: Sequence[Decision], say: Say) -> None:
    """Bring ledger and dvc.yaml up to date; a project that may only be read is up to date all the same."""
    with _forgiven(say, "the ledger could not be brought up to date"):
        bring_ledger_up_to_date(session, decisions, say)
        _mend_dvc_yaml(session, say)


@contextmanager
def _forgiven(say: Say, what: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn what can't be written, and errors of other kinds given, into a warning: no step's result depends on it."""
    forgiven: tuple[type[Exception], ...] = (OSError, *kinds)
    try:
        yield
    except forgiven as error:
        say(f"warning: {what}: {getattr(error, 'strerror', None) or error}")


def _end_leftovers(session: Session, say: Say) -> None:
    """End what a runner that was killed has left running."""
    if session.places.running.is_dir() and any(session.places.running.iterdir()):
        from frostline.runner.running.executors.local import end_leftovers

        for step in end_leftovers(session.places.running):
            say(f"ended step '{step}', which a runner that was killed had left behind")


def _drop_ended_checkpoints(session: Session, say: Say) -> None:
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


def _look_at_git(session: Session, say: Say) -> None:
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

        with _forgiven(say, "the change in git could not be noted"):
            if came_later:
                welcome_git(session, say)
            freed = settle_tracked(session, tracked or (), say)
            if freed:
                hide_recorded(session)
                refill(session, freed, say)


def refill_lost_store(session: Session, say: Say) -> None:
    """Fill a store that somebody has removed from what is in place. Where it is there, that is one look."""
    cache = session.places.dvc / "cache" / "files"
    if cache.is_dir() or session.under_dvc or len(session.ledger.lock.bodies) == 0 or not session.places.dvc.is_dir():
        return
    if (session.restorer.store.base / "files").is_dir():  # it lies elsewhere
        return
    from frostline.runner.sharing.refill import refill

    with _forgiven(say, "the store is gone, and can't be filled again", StoreError):
        n_back = refill(session, session.graph.steps, say).n_back
        if n_back:
            say(f"the store was gone: put {n_back} output{'s' if n_back > 1 else ''} back into it")


def _take_over_weasels(session: Session, say: Say) -> None:
    """Record what weasel has done, where its lock lies here and has a step that has no record yet."""
    done = [] if session.under_dvc else session.done_by_weasel()
    if done:
        from frostline.runner.running.takeover import take_over

        take_over(session, done, say)


def bring_ledger_up_to_date(session: Session, decisions: Sequence[Decision], say: Say) -> None:
    """With nothing to run, deps may have changed in comments or layout, or DVC may have run a step."""
    if any(decision.is_behind for decision in decisions):
        from frostline.runner.running.locks import Locks
        from frostline.runner.running.refresh import refresh

        noted = refresh(session, decisions, Locks(session.places.tmp, say))
        for reason in dict.fromkeys(reason for decision in noted for reason in decision.reasons):
            say(reason)


def _mend_dvc_yaml(session: Session, say: Say) -> None:
    """With nothing to run, dvc.yaml may still be behind: after a kill, or an edit that reruns nothing."""
    if session.under_dvc or not session.places.dvc.is_dir():
        return
    from frostline.runner.keeping import dvcfile

    if not dvcfile.is_current(session.places, session.known_steps, session.ledger):
        from frostline.runner.running.locks import Locks

        with Locks(session.places.tmp, say).ledger():
            session.ledger.reload()
            dvcfile.sync(session.places, session.known_steps, session.ledger)
