"""The command `project`: find the verb, load its module, map errors to exit codes.

argparse rather than typer, which alone would take half of the time that a run with nothing to do may take.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from frostline.console import out, run_command
from frostline.errors import UsageError, did_you_mean
from frostline.runner.cli.options import Parser, show_help, take_overrides, verb_first

VERBS = {
    "run": "bring steps, and all they need, up to date",
    "status": "which steps are out of date, and why",
    "why": "everything that decides about one step",
    "render": "the final steps, with every reference filled in",
    "graph": "which step needs which",
    "assets": "bring the files that the project declares",
    "logs": "what a step printed",
    "history": "the runs of steps: when, how long, how they ended",
    "report": "make the report of the results",
    "diff": "steps and metrics against a git revision",
    "verify": "run steps again elsewhere, and compare the bytes",
    "checkout": "put the recorded outputs back in place",
    "push": "send outputs and results to a remote",
    "pull": "bring them from a remote",
    "gc": "remove from the store what no ledger refers to",
    "init": "start a project in a folder",
    "clone": "start from another project",
    "document": "describe the project in its README",
    "clean": "remove outputs (the store keeps them)",
    "schema": "the JSON Schema of project.yml, for editors",
}

HELP = """usage: project [-C DIR] VERB [options]

Brings every output that project.yml declares up to date, and runs nothing twice.

verbs:
{verbs}

Start with:
  project run all                 everything of the workflow 'all' that is out of date
  project run all --dry           what that would do, and why
  project run train-frozen        one step, or all cells of a matrix that begin so
  project run all --set vars.lr=0.01 --profile ewt

'project VERB --help' tells the options of a verb; those that every verb has may stand before it too."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command `project`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    run_command(lambda: dispatch(words))


def dispatch(words: list[str]) -> None:
    """Run one command line. Raises FrostlineError, KeyboardInterrupt."""
    words = verb_first(words)
    if not words or words[0] in ("-h", "--help", "help"):
        show_help(HELP.format(verbs="\n".join(f"  {verb:<10} {what}" for verb, what in VERBS.items())))
        return
    if words[0] in ("--version", "-V"):
        import frostline

        out(f"project {frostline.__version__}")
        return
    verb = words[0]
    if verb.startswith("-"):
        raise UsageError("There is no verb on this command line.", fix=f"Name a verb: {', '.join(VERBS)}.")
    if verb not in VERBS:
        raise UsageError(f"There is no verb '{verb}'.", fix=did_you_mean(verb, VERBS))
    module = importlib.import_module(f"frostline.runner.cli.{verb}")
    parser = Parser(
        prog=f"project {verb}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    own, overrides = take_overrides(words[1:])
    values, rest = parser.parse_known_args(own)
    module.run(values, [*overrides, *rest])


if __name__ == "__main__":
    main()
