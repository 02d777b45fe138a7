"""Print what a step printed in its last run."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from frostline.console import out, say
from frostline.errors import UsageError
from frostline.runner.cli.options import add_project_options, open_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project logs`."""
    parser.add_argument("step", metavar="STEP")
    parser.add_argument("--list", action="store_true", help="the log files of all its runs, newest first")
    parser.add_argument("--follow", "-f", action="store_true", help="go on printing while the step runs")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Find the newest log, and print it."""
    session = open_session(values, rest)
    for name in session.select([values.step], only=True).order:
        logs = sorted(session.places.logs(name).glob("*.log"), reverse=True)
        if not logs:
            raise UsageError(f"'{name}' has no log: it never ran here.", fix=f"Run it: project run {name}")
        if values.list:
            for log in logs:
                out(str(log.relative_to(session.root)))
            continue
        say(f"{logs[0].relative_to(session.root)}:")
        if values.follow:
            _follow(logs[0], session.places.running)
        else:
            sys.stdout.flush()
            with logs[0].open("rb") as stream:
                shutil.copyfileobj(stream, sys.stdout.buffer)


def _follow(log: Path, notes: Path) -> None:
    """Print a log as it grows, until no step is at work."""
    with log.open("rb") as stream:
        while True:
            at_work = notes.is_dir() and any(notes.glob("*.json"))
            data = stream.read()
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
            if not data and not at_work:
                return
            time.sleep(0.2)
