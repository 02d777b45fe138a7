"""List the runs of steps: when, how long, how much memory, how they ended."""

from __future__ import annotations

import argparse
import json
from typing import Any

from frostline.console import out
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.cli.tables import table
from frostline.runner.records import read_records


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project history`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="steps or workflows (default: every step)")
    parser.add_argument(
        "-n", type=int, default=20, metavar="N", help="at most so many, the newest (default: 20; 0: all)"
    )
    parser.add_argument("--json", action="store_true", help="one record per line, as JSON")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Read the records, and print those that were asked for."""
    session = open_session(values, rest)
    wanted = set(session.select(values.names, only=True).order) if values.names else None
    records = [
        record
        for record in read_records(session.places.records)
        if record.get("profile") == session.project.profile and (wanted is None or record.get("step") in wanted)
    ]
    records = records[-values.n :] if values.n else records
    if values.json:
        for record in records:
            out(json.dumps(record, sort_keys=True, ensure_ascii=False))
    elif not records:
        out("nothing ran here yet")
    else:
        headings = ("when", "step", "status", "seconds", "cpu s", "MiB", "exit", "commit")
        out(table([_row(record) for record in records], headings))


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    def shown(key: str) -> str:
        return str(record[key]) if record.get(key) is not None else "-"

    when = shown("started").replace("T", " ").removesuffix("+00:00")
    commit = shown("git_commit")[:8]
    return (
        when, shown("step"), shown("status"), shown("seconds"), shown("cpu_seconds"), shown("peak_memory_mib"),
        shown("exit_code"), commit,
    )  # fmt: skip
