"""`frostline debug`: what is wrong with a config or what it comes to; what of a model moves; what its encoders are."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from frostline import console
from frostline.cli import options

app = typer.Typer(help="Look for faults before a long run.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Look for faults before a long run."""


@app.command("config", epilog="Example: `frostline debug config configs/frozen-listener.cfg --training.max_epochs 2`")
def config(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file.")],
    code: options.Code = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Check a config and print what it comes to, or all its faults.

    Checked are keys, values and names of functions, with overlays, overrides and references in place; then everything
    is built that needs no data, as `frostline train` would, and docs of dev are read up to one that can be scored. No
    weights are read, so this takes seconds.
    The result is the config with every default filled in; with `--json` it is one JSON object. Faults go to standard
    error, each with its file and line, and the exit code is 2. A corpus or transformer that is not on the disk is told
    there too, but is no fault of the config: an earlier step may bring it.

    Written: nothing.
    """
    overrides = options.begin(context, code=code, quiet=quiet)
    filled = options.filled_config(path, overrides)
    faults, absent = options.faults_of(filled)
    for line in absent:
        console.say(f"warning: {line}")
    if faults:
        from frostline.config.arguments import raise_faults

        raise_faults(faults, filled.locate)
    if json:
        console.out(json_module.dumps(filled, indent=2, ensure_ascii=False))
    else:
        console.out(filled.to_str())
    console.say(f"{path} has no fault.")


@app.command("model", epilog="Example: `frostline debug model training/mine/model-best`")
def model(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="CONFIG_OR_MODEL", help="A config file, or a model's folder.")],
    every: Annotated[bool, typer.Option("--all", help="One row for every module that has parameters itself.")] = False,
    code: options.Code = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Show what of a pipeline moves in training: a row per module with its parameters, mode, optimizer group and bytes.

    Modules of one fate are one row, so that the table shows where frozen ground ends; `--all` shows each by itself.
    Names are those that patterns of [pipeline.modes] are matched against. Of a config the encoders are loaded and the
    labels taken from corpora.train, as at the start of a training; of a model, nothing but the model is read.

    Written: nothing.
    """
    overrides = options.begin(context, code=code, quiet=quiet, takes_overrides=not source.is_dir())
    from frostline.pipeline.inventory import as_table, inventory, what_is_kept

    pipeline = options.pipeline_of(source, overrides)
    rows = inventory(pipeline, every=every)
    if json:
        console.out(json_module.dumps([row.as_json() for row in rows], indent=2, ensure_ascii=False))
    else:
        for line in as_table(rows):
            console.out(line)
        for line in what_is_kept(pipeline):
            console.say(line)


@app.command("encoders", epilog="Example: `frostline debug encoders training/mine/model-best`")
def encoders(
    context: typer.Context,
    source: Annotated[
        Path, typer.Argument(metavar="CONFIG_OR_MODEL", help="A config file with a transformer, or a model's folder.")
    ],
    code: options.Code = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Print what each transformer of a pipeline is and how it computes.

    Among others: its family, width and layers, the longest window it bears, its attention, and how windows become
    rows: packed (without padding, the fastest), padded, or of equal lengths; `rows_reason` says why not packed.
    `keeps_still_layers`: whether a run computes lower layers that never move once only, and if not, why.

    Written: nothing.
    """
    is_model = source.is_dir()
    overrides = options.begin(context, code=code, quiet=quiet, takes_overrides=not is_model)
    described = source if is_model else options.filled_config(source, overrides)
    from frostline.config.loading import located
    from frostline.training.describing import describe_transformers

    with located(described):
        found = describe_transformers(described)
    for name, facts in found.items():
        if not json:
            console.out(f"[{name}]")
        options.print_result({"transformer": name, **facts} if json else facts, as_json=json)
