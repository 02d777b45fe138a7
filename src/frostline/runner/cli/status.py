"""Show which steps are out of date, and why. Runs nothing."""

from __future__ import annotations

import argparse

from frostline.console import out
from frostline.runner.cli.around import check_dvc_yaml, print_what_follows
from frostline.runner.cli.options import add_project_options, add_strict, open_session
from frostline.runner.cli.tables import decisions_json, print_decisions
from frostline.runner.planning.plan import Action


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project status`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="steps or workflows (default: every step)")
    parser.add_argument("--all", action="store_true", dest="all_steps", help="show steps that are up to date too")
    parser.add_argument("--json", action="store_true", help="decisions as JSON")
    parser.add_argument("--check", action="store_true", help="exit with 1 when something would run")
    add_strict(parser)
    parser.add_argument(
        "--no-data", action="store_true", help="take what is absent as it is on record: needs the ledger, but no data"
    )
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Plan, and show the plan."""
    session = open_session(values, rest)
    session.absent.everything = values.no_data
    check_dvc_yaml(session)
    selection = session.select(values.names)
    decisions = session.plan(selection)
    session.hasher.save()
    if values.json:
        out(decisions_json(decisions))
    else:
        print_decisions(decisions, all_steps=values.all_steps)
        if values.names:
            print_what_follows(session, selection, decisions)
    if values.check and any(decision.action is not Action.SKIP for decision in decisions):
        raise SystemExit(1)
