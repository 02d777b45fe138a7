"""`frostline evaluate`: the scores of a saved model on a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frostline.cli import options


def add_to(app: typer.Typer) -> None:
    """Make `evaluate` a verb of the app."""
    app.command(
        "evaluate",
        rich_help_panel="Use a pipeline",
        epilog="Example: `frostline evaluate training/mine/model-best corpus/ewt/test --output training/mine/test`",
    )(evaluate)


def evaluate(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder, such as `training/mine/model-best`.")],
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="An annotated corpus (see `frostline convert`).")],
    output: options.Output,
    gpu: options.Gpu = None,
    threads: options.Threads = None,
    code: options.Code = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Score a saved model on an annotated corpus.

    The model annotates the corpus' tokens without seeing its annotations; then both are compared. Documents are cut
    as the model's config cuts those of [corpora.dev], for instance into ten sentences each; `frostline apply` reads
    them whole, so that a few tags may differ.

    Written to DIR: `metrics.json` (fractions from 0 to 1), `documents.arrow` (for each document the counts that the
    metrics are made of) and `timing.json` (seconds, words per second, memory).
    """
    options.begin(context, code=code, quiet=quiet, takes_overrides=False)
    from frostline.pipeline.evaluation import evaluate as run

    scores = run(model, corpus, output, device=options.chosen_device(gpu), threads=threads or 0)
    metrics = dict(scores.metrics)
    shown = metrics if json else {name: value for name, value in metrics.items() if "/" not in name}
    options.print_result(shown, as_json=json)
