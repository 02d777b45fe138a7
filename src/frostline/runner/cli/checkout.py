"""Put the outputs that are on record back in place, from the store. What differs is overwritten.

What no step made is moved aside first. `project run` does the same for what it needs, and runs what the store lacks.
"""

from __future__ import annotations

import argparse

from frostline.console import out, say
from frostline.errors import StoreError
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.cli.tables import count, some
from frostline.runner.sharing.checkout import CheckedOut, check_out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project checkout`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="steps or workflows (default: every step on record)")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Bring back each recorded output that the store holds."""
    session = open_session(values, rest)
    names = session.select(values.names, only=True).order if values.names else tuple(session.graph.steps)
    result = check_out(session, names, say)
    out(f"{count(len(result.brought), 'step')} checked out")
    tell_missing(result, "The store", "Bring them from a remote: project pull. Or make them anew: project run.")


def tell_missing(result: CheckedOut, place: str, fix: str) -> None:
    """Say which assets come later. Raises StoreError when `place` does not have all outputs."""
    if result.later:
        say(f"{count(len(result.later), 'asset')} not here; `project run` fetches what a step needs")
    if result.lost:
        paths = [path for missing in result.lost.values() for path in missing]
        steps = count(len(result.lost), "step")
        raise StoreError(f"{place} lacks {count(len(paths), 'output')} of {steps}: {some(paths)}.", fix=fix)
