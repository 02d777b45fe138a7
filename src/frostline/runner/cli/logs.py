"""Print what a step printed: in its last run, in the one at work, or in an older one."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from frostline.console import out, say
from frostline.errors import UsageError
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.cli.tables import local_time, table
from frostline.runner.running.logfiles import is_growing, newest_logs
from frostline.runner.running.records import newest_records
from frostline.runner.session import Session

POLL_S = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project logs`."""
    parser.add_argument("step", metavar="STEP", help="step, or beginning of a matrix's names, or glob")
    parser.add_argument("-f", "--follow", action="store_true", help="go on printing until the step ends")
    parser.add_argument(
        "-n", "--run", type=int, default=1, metavar="N", help="the run before the last is 2, and so on (default: 1)"
    )
    parser.add_argument("--list", action="store_true", help="the runs that have a log, newest first")
    parser.add_argument("--path", action="store_true", help="print the log's path only")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Find the log, and print it."""
    session = open_session(values, rest)
    names = session.select([values.step], only=True).order
    if values.follow and len(names) > 1:
        raise UsageError(f"'{values.step}' means {len(names)} steps.", fix=f"Follow one of them: {', '.join(names)}")
    for name in names:
        logs = newest_logs(session.places.logs(name))
        if not logs:
            raise UsageError(f"'{name}' has no log: it never ran here.", fix=f"Run it: project run {name}")
        if values.list:
            _list(session, name, logs)
            continue
        if not 1 <= values.run <= len(logs):
            raise UsageError(f"'{name}' has {len(logs)} logs, no number {values.run}.", fix="See: --list")
        log = logs[values.run - 1]
        if values.path:
            out(str(log))
            continue
        at_work = is_growing(log, session.places.running)
        say(f"{log.relative_to(session.root)}{' (at work)' if at_work else ''}:")
        if values.follow and values.run == 1:
            _follow(session.places.logs(name), log, session.places.running)
        else:
            sys.stdout.flush()
            with log.open("rb") as stream:
                shutil.copyfileobj(stream, sys.stdout.buffer)


def _list(session: Session, name: str, logs: list[Path]) -> None:
    """A line for each log: its number, when the run began, how it ended."""
    wanted = {str(log.relative_to(session.root)): log for log in logs}
    ends = {}
    for record in newest_records(session.places.records):
        if record.get("log") in wanted:
            ends[record["log"]] = record
        if len(ends) == len(wanted):
            break
    rows = []
    for number, (path, log) in enumerate(wanted.items(), 1):
        record = ends.get(path, {})
        status = str(record.get("status") or ("running" if is_growing(log, session.places.running) else "cut off"))
        began = local_time(record.get("started")) or log.name.partition("-")[0]
        rows.append((str(number), began, status, f"{log.stat().st_size:,}", path))
    out(f"{name}\n{table(rows, ('run', 'when', 'status', 'bytes', 'log'))}")


def _follow(folder: Path, log: Path, notes: Path) -> None:
    """Print a log as it grows until its job is over, and go on with the step's next try, if there is one."""
    while True:
        with log.open("rb") as stream:
            grows = True
            while grows:
                grows = is_growing(log, notes)
                shutil.copyfileobj(stream, sys.stdout.buffer)
                sys.stdout.flush()
                if grows:
                    time.sleep(POLL_S)
        time.sleep(POLL_S)  # the next try has its log by then
        newest = newest_logs(folder)[0]
        if newest == log:
            return
        log = newest
        say(f"{log}:")
