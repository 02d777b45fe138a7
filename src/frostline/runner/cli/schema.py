"""Print the JSON Schema of project.yml, with which editors complete and check the file.

For VS Code and others with the YAML language server, write as the first line of project.yml:
  # yaml-language-server: $schema=project.schema.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from frostline.console import out, say, set_quiet
from frostline.errors import UsageError
from frostline.files import write_text_atomic
from frostline.runner.project.schema import schema_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project schema`."""
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there (default: standard output)")
    parser.add_argument("-q", "--quiet", action="store_true", help="print results and errors only")


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Print the schema, or write it."""
    set_quiet(values.quiet)
    if rest:
        raise UsageError(f"Unknown argument '{rest[0]}'.", fix="See: project schema --help")
    if values.output is None:
        out(schema_text().rstrip("\n"))
        return
    path = Path(values.output)
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder.", fix="Name a file, such as project.schema.json.")
    write_text_atomic(path, schema_text())
    say(f"wrote {path}")
