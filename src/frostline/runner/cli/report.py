"""Make the report of a profile's results, from metrics files and run records."""

from __future__ import annotations

import argparse

from frostline.errors import UsageError
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.running.reporting import make_report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project report`."""
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Call the report room's own command."""
    session = open_session(values, rest)
    if session.spec.report is None:
        raise UsageError(
            "The project has no report.",
            where=session.spec.file_name,
            fix="Add a section to it: `report: {}`, with title, baseline, axes and metrics as you like.",
        )
    make_report(session)
