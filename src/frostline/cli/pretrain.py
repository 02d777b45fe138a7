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
        epilog="Example: `frostline pretrain configs/pretrain.cfg --output assets/sample/transformer`",
    )(pretrain)


def pretrain(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A config file with a section [pretraining].")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The folder for everything that is written.")
    ],
    gpu: options.Gpu = None,
    threads: options.Threads = None,
    code: options.Code = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Make a small transformer out of raw text, by masked language modelling.

    Learns a vocabulary of word pieces from the corpus, then an encoder that guesses hidden pieces from their context.

    Written to DIR: `config.json`, `tokenizer.json` and `model.safetensors`, as Hugging Face's models have them, so that
    `source = "DIR"` of a `frostline.Transformer.v1` reads it.

    Any key of the config can be set for this run: `--section.key value`, such as `--pretraining.max_steps 500`.
    """
    overrides = options.begin(context, code=code, quiet=quiet)
    from frostline.config.sections import require

    filled = options.filled_config(config, overrides)
    require(filled, "pretraining", of="frostline pretrain")
    device = options.chosen_device(gpu)
    from frostline.pretraining.run import pretrain as run

    result = run(filled, output, device=device, threads=threads or 0)
    options.print_result({**result, "output": str(output)}, as_json=json)
