"""`python -m frostline.report --root . --profile P`: parse, make the report, name it and the best variant."""

from __future__ import annotations

import argparse
from pathlib import Path

from frostline.console import out, run_command
from frostline.report.making import make_report
from frostline.report.spec import ReportSpec, read_spec


def main(arguments: list[str] | None = None) -> None:
    """Make the report of one profile and print where it is."""
    parser = argparse.ArgumentParser(
        prog="python -m frostline.report",
        description="Compare the trained variants of a profile: reports/<profile>/report.html and report.md.",
    )
    parser.add_argument("--root", type=Path, default=Path(), help="the project's folder (default: here)")
    parser.add_argument("--profile", required=True, help="whose runs, as in training/<profile>/")
    parser.add_argument("--spec", type=Path, metavar="FILE.json", help="title, baseline, axes and metrics")
    chosen = parser.parse_args(arguments)
    spec = read_spec(chosen.spec) if chosen.spec else ReportSpec()
    made = make_report(chosen.root, chosen.profile, spec)
    out(f"report: {made.html.relative_to(chosen.root) if made.html.is_relative_to(chosen.root) else made.html}")
    out(f"best: {made.best}")


if __name__ == "__main__":
    run_command(main)
