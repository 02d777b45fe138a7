"""`frostline apply`: annotate texts or a corpus with a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frostline.cli import options


def add_to(app: typer.Typer) -> None:
    """Make `apply` a verb of the app."""
    app.command(
        "apply",
        rich_help_panel="Use a pipeline",
        epilog="Example: `frostline apply training/mine/model-best letters.txt letters.conllu`",
    )(apply)


def apply(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder, such as `training/mine/model-best`.")],
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="Raw text (.txt, an empty line between documents), or a corpus.")
    ],
    dest: Annotated[
        Path,
        typer.Argument(metavar="DEST", help="What to write: a file ending in .conllu or .jsonl, or a corpus folder."),
    ],
    gpu: options.Gpu = None,
    threads: options.Threads = None,
    code: options.Code = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Annotate raw text or a corpus with a saved model.

    Raw text is split into tokens by the model's own tokenizer; the tokens of a corpus are kept. A source without text
    gives a result without documents, and a warning.

    Written: DEST, which is replaced when it is there, whole or not at all.
    """
    options.begin(context, code=code, quiet=quiet, takes_overrides=False)
    device = options.chosen_device(gpu)
    from frostline.pipeline.apply import apply as run

    n_docs = run(model, source, dest, device=device, threads=threads or 0)
    options.print_result({"docs": n_docs, "output": str(dest)}, as_json=json)
