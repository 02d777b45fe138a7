"""Put the outputs that are on record back in place, from the store. What differs and no step made is moved aside."""

from __future__ import annotations

import argparse

from frostline.console import out, say
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.cli.tables import count
from frostline.runner.locks import Locks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project checkout`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="steps or workflows (default: every step on record)")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Bring back each recorded result that the store holds."""
    session = open_session(values, rest)
    names = session.select(values.names, only=True).order if values.names else tuple(session.graph.steps)
    clearing = session.clearing(say)
    brought, lost = [], []
    for name in names:
        record = session.ledger.record(name) if name in session.ledger.managed else None
        step = session.graph.steps[name]
        if record is None or all(
            (seen := session.digest(path)) is not None and seen.md5 == record.digests("outs").get(str(path))
            for path in step.all_outputs
        ):
            continue
        if not session.restorer.store.holds(record.body):
            lost.append(name)
            continue
        paths = [session.root / path for path in step.all_outputs]
        with Locks(session.places.tmp, say, idle=session.under_dvc).paths(
            f"project checkout {name}", read=(), write=paths
        ):
            session.restorer.bring(step, record.body, clearing.spare)
            clearing.release(step.all_outputs)
        brought.append(name)
    session.hasher.save()
    for name in lost:
        say(f"warning: the store no longer holds all outputs of '{name}'; the next run makes them anew")
    out(f"{count(len(brought), 'step')} checked out")
