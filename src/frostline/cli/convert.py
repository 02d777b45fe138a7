"""`frostline convert`: corpora from the formats that treebanks come in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from frostline.cli import options

if TYPE_CHECKING:
    from frostline.corpora.converters.raw_text import TextUnit


def add_to(app: typer.Typer) -> None:
    """Make `convert` a verb of the app."""
    app.command(
        "convert",
        rich_help_panel="Make a pipeline",
        epilog="Example: `frostline convert en_ewt-ud-train.conllu corpus/ewt/train`",
    )(convert)


def convert(
    context: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="SRC... DEST", help="One or more source files, and last the corpus folder to write."),
    ],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="NAME",
            help='Of the sources: "conllu", "columns", "jsonl", "text" or "corpus". "auto" goes by each file\'s ending '
            "and content.",
        ),
    ] = "auto",
    n_sentences: Annotated[
        int,
        typer.Option(
            "--n-sentences",
            metavar="N",
            min=1,
            help="Sentences that make one document, in files that do not say where documents begin.",
        ),
    ] = 1,
    text_unit: Annotated[
        str,
        typer.Option(
            "--text-unit",
            metavar="NAME",
            help='A document of raw text: "file", "block" (up to an empty line) or "line".',
        ),
    ] = "block",
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Turn annotated files or raw text into a corpus that training and evaluation read.

    Reads CoNLL-U (.conllu), columns with BIO or BILUO tags (.iob, .bio), JSON lines (.jsonl), raw text (.txt) and
    corpora that were converted before. Several sources become one corpus, in the order given.

    Written: the folder DEST, which is replaced when it is there. A fault in a source is named with its file and line,
    and nothing is written then. What is odd and can be kept, such as a part of speech that Universal Dependencies does
    not have, is a warning.
    """
    options.begin(context, quiet=quiet, takes_overrides=False)
    from frostline.errors import UsageError

    if len(paths) < 2:
        raise UsageError(
            "convert needs a source and a destination.",
            fix="Write `frostline convert SRC... DEST`, such as `frostline convert train.conllu corpus/train`.",
        )
    from frostline.corpora.converters import convert as run

    *sources, dest = paths
    corpus = run(sources, dest, format=format, n_sentences_per_doc=n_sentences, text_unit=cast("TextUnit", text_unit))
    options.print_result({"docs": len(corpus), "words": corpus.n_words, "output": str(dest)}, as_json=json)
