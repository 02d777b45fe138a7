"""`frostline train`: a pipeline from a config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frostline.cli import options


def add_to(app: typer.Typer) -> None:
    """Make `train` a verb of the app."""
    app.command(
        "train",
        rich_help_panel="Make a pipeline",
        epilog="Example: `frostline train configs/frozen-listener.cfg --output training/mine --training.max_epochs 2`",
    )(train)


def train(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file (see `frostline init config`).")],
    output: options.Output,
    gpu: options.Gpu = None,
    threads: options.Threads = None,
    code: options.Code = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Train a pipeline as a config describes it.

    Reads the corpora that the config names under [corpora], trains on `train`, and scores on `dev` every now and then.

    Written to DIR: `model-best/` (the highest score on dev) and `model-last/`, each a whole model that `frostline
    evaluate` and `frostline apply` read; `log.jsonl` (losses and scores of each evaluation) and `timing.json`. While
    it runs there is also `checkpoint/`: the same command, started again after an interruption, goes on from there.

    Any key of the config can be set for this run: `--section.key value`, such as `--training.max_epochs 2` or
    `--paths.train corpus/mine`.
    """
    overrides = options.begin(context, code=code, quiet=quiet)
    filled = options.filled_config(config, overrides, needs=("pipeline", "training"))
    device, logger = options.chosen_device(gpu), options.logger_of(filled)
    from frostline.config.loading import located
    from frostline.config.user_code import code_of
    from frostline.training.run import train as run

    with located(filled):
        outcome = run(
            filled, output, device=device, threads=threads or 0, logger=logger, code=code_of(code or ())
        )
    options.print_outcome(outcome, output, as_json=json)
