"""Remove the outputs of steps. The ledger and the store keep them: the next run restores what is still right.

What nobody has a copy of stays, and is named: `--for-good` removes it too. What was edited since, or put there by
hand, is moved aside.
"""

from __future__ import annotations

import argparse

from frostline.console import out, say
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.cli.tables import some
from frostline.runner.running.locks import Locks
from frostline.runner.sharing.refill import has_no_copy, refill


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project clean`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="steps or workflows (default: every step)")
    parser.add_argument("--for-good", action="store_true", help="remove also what nobody has a copy of")
    parser.add_argument("--dry", action="store_true", help="only say what would be removed")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Remove outputs that are on record, and checkpoints; what no step recorded is left alone."""
    session = open_session(values, rest)
    names = session.select(values.names, only=True).order if values.names else tuple(session.graph.steps)
    if not values.dry:
        refill(session, names, say)
    locks = Locks(session.places.tmp, say, idle=session.under_dvc or values.dry)
    clearing = session.clearing(say)
    n_removed, kept = 0, []
    for name in names:
        step = session.graph.steps[name]
        if session.ledger.record(name) is None or name not in session.ledger.managed:
            continue
        paths = [path for path in (*step.all_outputs, *step.checkpoint) if (session.root / path).exists()]
        if not paths:
            continue
        with locks.paths(f"project clean {name}", read=(), write=[session.root / path for path in paths]):
            for path in paths:
                if not values.for_good and has_no_copy(session, step, path):
                    kept.append(path)
                    continue
                out(str(path))
                n_removed += 1
                if not values.dry:
                    clearing.clear(path)
    if kept:
        say(f"kept, as nobody has a copy: {some(kept)} (project clean --for-good removes what has none)")
    elif not n_removed:
        say("nothing to remove: no recorded output is there")
