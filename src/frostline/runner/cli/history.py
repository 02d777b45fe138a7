"""List the runs of steps, newest last: when, how long, how much memory, how they ended; all that is known as JSON."""

from __future__ import annotations

import argparse
import itertools
import json
from typing import Any

from frostline.console import out, paint_out
from frostline.errors import UsageError
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.cli.tables import duration, local_time, table
from frostline.runner.running.records import newest_records

COLOURS = {"failed": "red", "verify failed": "red", "differs": "red", "interrupted": "yellow", "retried": "yellow"}
GOOD = ("done", "verified")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project history`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="steps or workflows (default: every step)")
    parser.add_argument(
        "-n", type=int, default=20, metavar="N", help="at most so many, the newest (default: 20; 0: all)"
    )
    parser.add_argument("--failed", action="store_true", help="only runs that did not end well")
    parser.add_argument("--json", action="store_true", help="one record per line, as JSON")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Read the records, and print those that were asked for."""
    if values.n < 0:
        raise UsageError(f"-n takes 0 or more, not {values.n}.", fix="0 stands for all.")
    session = open_session(values, rest)
    wanted = set(session.select(values.names, only=True).order) if values.names else None
    found = (
        record
        for record in newest_records(session.places.records)
        if record.get("profile") == session.project.profile
        and (wanted is None or record.get("step") in wanted)
        and not (values.failed and record.get("status") in GOOD)
    )
    records = list(itertools.islice(found, values.n or None))[::-1]
    if values.json:
        for record in records:
            out(json.dumps(record, sort_keys=True, ensure_ascii=False))
    elif not records:
        out("no such run is on record" if wanted is not None or values.failed else "nothing ran here yet")
    else:
        _print(records)


def _print(records: list[dict[str, Any]]) -> None:
    headings = ["when", "step", "status", "time", "CPU", "MiB", "commit", "because"]
    rows = [_row(record) for record in records]
    if any("gpus" in record for record in records):
        headings.insert(6, "GPU MiB")
        for row, record in zip(rows, records, strict=True):
            row.insert(6, _number(record.get("peak_gpu_mib")))
    heading, *lines = table(rows, headings).splitlines()
    out(heading)
    for line, record in zip(lines, records, strict=True):
        colour = COLOURS.get(str(record.get("status")))
        out(paint_out(line, colour) if colour else line)


def _row(record: dict[str, Any]) -> list[str]:
    status = str(record.get("status", "-"))
    if status in ("failed", "verify failed", "retried") and record.get("exit_code"):
        status += " (time limit)" if record.get("timed_out") else f" ({record['exit_code']})"
    commit = str(record.get("git_commit") or "-")[:8] + ("+" if record.get("git_dirty") else "")
    reasons = record.get("reasons") or ["-"]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return [
        local_time(record.get("started")), str(record.get("step")), status, _time(record.get("seconds")),
        _time(record.get("cpu_seconds")), _number(record.get("peak_memory_mib")), commit, f"{reasons[0]}{more}",
    ]  # fmt: skip


def _time(seconds: Any) -> str:
    return duration(seconds) if isinstance(seconds, int | float) else "-"


def _number(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, int | float) else "-"
