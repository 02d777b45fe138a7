"""Describe the project in a README: its commands, workflows, profiles and assets, in a section between two markers.

The rest of the file is left as it is; a section that weasel or spaCy has made is replaced.
"""

from __future__ import annotations

import argparse

from frostline.console import out, say
from frostline.errors import UsageError
from frostline.files import write_text_atomic
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.furnishing.documenting import merged, section


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project document`."""
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="README.md",
        help="the file with the section, from the project's folder (default: README.md; -: print the section)",
    )  # fmt: skip
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 when the section is not up to date"
    )
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Describe, and put it where it belongs."""
    session = open_session(values, rest)
    if values.output == "-":
        out(section(session.project, has_title=False))
        return
    file = session.root / values.output
    if file.is_dir():
        raise UsageError(f"'{values.output}' is a folder.", fix="Name a file: --output README.md.")
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
    except UnicodeDecodeError as error:
        raise UsageError(f"'{values.output}' is no text in UTF-8.", fix="Name another file.") from error
    after = merged(before, session.project)
    if after == before:
        say(f"{values.output} is up to date")
    elif values.check:
        out(f"{values.output} is not up to date: project document")
        raise SystemExit(1)
    else:
        write_text_atomic(file, after)
        say(f"written: {values.output}")
