"""`frostline pretrain`: a transformer from raw text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frostline.cli import options


def add_to(app: typer.Typer) -> None:
    """Make `pretrain` a verb of the app."""
    app.command(
        "pretrain",
        rich_help_panel="Make a pipeline",
        epilog="Example: `frostline pretrain configs/pretrain.cfg --output training/encoder`",
    )(pretrain)


def pretrain(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A config with a section [pretraining].")],
    output: options.Output,
    gpu: options.Gpu = None,
    threads: options.Threads = None,
    code: options.Code = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Make a small transformer out of raw text, by masked language modelling.

    Learns a vocabulary of word pieces from the corpus, then an encoder that guesses hidden pieces from their context.

    Written to DIR: `model-best/` (the best guesses on dev) and `model-last/`, each with config.json, tokenizer.json and
    model.safetensors as Hugging Face's models have them, so that `source` of a `frostline.Transformer.v1` can name it;
    `log.jsonl` and `timing.json`. While it runs there is also `checkpoint/`, from which the same command goes on.

    Any key of the config can be set for this run: `--section.key value`, such as `--training.max_epochs 5`.
    """
    overrides = options.begin(context, code=code, quiet=quiet)
    filled = options.filled_config(config, overrides, needs=("pretraining", "training"))
    device, logger = options.chosen_device(gpu), options.logger_of(filled)
    from frostline.config.loading import located
    from frostline.config.user_code import code_of
    from frostline.pretraining.run import pretrain as run

    with located(filled):
        outcome = run(
            filled, output, device=device, threads=threads or 0, logger=logger, code=code_of(code or ())
        )
    options.print_outcome(outcome, output, as_json=json)
