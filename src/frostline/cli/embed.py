"""`frostline embed`: a frozen transformer's activations of a corpus, once for all runs that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frostline.cli import options


def add_to(app: typer.Typer) -> None:
    """Make `embed` a verb of the app."""
    app.command(
        "embed",
        rich_help_panel="Make a pipeline",
        epilog="Example: `frostline embed configs/frozen-listener.cfg corpus/ewt/train --output corpus/ewt/embed`",
    )(embed)


def embed(
    context: typer.Context,
    source: Annotated[
        Path, typer.Argument(metavar="MODEL|CONFIG", help="A model folder, or a config file with a transformer.")
    ],
    corpora: Annotated[
        list[Path], typer.Argument(metavar="CORPUS...", help="The corpora, cut as the config's [corpora] say.")
    ],
    output: options.Output,
    publisher: Annotated[
        str | None, typer.Option("--publisher", metavar="NAME", help="The transformer, where the pipeline has several.")
    ] = None,
    gpu: options.Gpu = None,
    threads: options.Threads = None,
    code: options.Code = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Compute the activations of a frozen transformer for whole corpora, so that no training run has to.

    A frozen transformer gives the same numbers for the same words in every run: computed here once, they are shared
    by all runs whose config names DIR in [training.activations].

    Written to DIR: the activations, memory-mapped, and the settings that they were made with; a run with other
    settings refuses them.

    With a CONFIG any of its keys can be set: `--section.key value`, such as `--paths.transformer assets/mine`.
    """
    is_model = source.is_dir()
    overrides = options.begin(context, code=code, quiet=quiet, takes_overrides=not is_model)
    device = options.chosen_device(gpu)
    described = source if is_model else options.filled_config(source, overrides)
    from frostline.config.loading import located
    from frostline.training.embedding import embed_corpora

    with located(described):
        n_docs = embed_corpora(described, corpora, output, publisher=publisher, device=device, threads=threads or 0)
    options.print_result({"docs": n_docs, "output": str(output)}, as_json=json)
