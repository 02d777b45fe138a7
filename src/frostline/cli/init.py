"""`frostline init config`, `frostline init fill-config` and `frostline init vectors`: things to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frostline import console
from frostline.cli import options

app = typer.Typer(help="Make configs and word vectors to start from.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Make configs and word vectors to start from."""


@app.command(
    "config", epilog="Example: `frostline init config my.cfg --components transformer,tagger --variant frozen-listener`"
)
def config(
    context: typer.Context,
    dest: Annotated[Path, typer.Argument(metavar="DEST", help='The file to write; "-" prints it.')],
    components: Annotated[
        str, typer.Option("--components", "-c", metavar="A,B", help="The pipeline's components, publishers first.")
    ] = "transformer,tagger,morphologizer",
    variant: Annotated[
        str,
        typer.Option(
            "--variant",
            help="How components and transformer live together: frozen-listener, frozen-annotating, unfrozen-listener, "
            "unfrozen-annotating, unfrozen-independent or unfrozen-detached.",
        ),
    ] = "unfrozen-listener",
    lang: Annotated[str, typer.Option("--lang", "-l", help="The language of the texts, for the tokenizer.")] = "en",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    code: options.Code = None,
    quiet: options.Quiet = False,
) -> None:
    """Write a complete config with a comment on every key.

    It trains as it stands once [paths] says where the corpora and the transformer are.

    Written: DEST.
    """
    overrides = options.begin(context, code=code, quiet=quiet)
    from frostline.config.starting import starting_config

    names = [name.strip() for name in components.split(",") if name.strip()]
    text = starting_config(names, variant=variant, lang=lang, overrides=overrides)
    _write(text, dest, force=force)


@app.command("fill-config", epilog="Example: `frostline init fill-config my.cfg my-full.cfg`")
def fill_config(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="CONFIG", help="A config that leaves things out.")],
    dest: Annotated[Path, typer.Argument(metavar="DEST", help='The file to write; "-" prints it.')],
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    code: options.Code = None,
    quiet: options.Quiet = False,
) -> None:
    """Write a config with every default filled in, and say which keys were added.

    Overlays ([extends]) are laid over their base; references such as ${paths.train} stay as they are.

    Written: DEST.
    """
    overrides = options.begin(context, code=code, quiet=quiet)
    from frostline.config import fill_config as fill
    from frostline.config import load_config

    filled, added = fill(load_config(source, overrides, interpolated=False))
    _write(filled.to_str(interpolate=False) + "\n", dest, force=force)
    for path in added:
        console.say(f"added {path}")


@app.command("vectors", epilog="Example: `frostline init vectors cc.de.300.bin vectors/de --prune 50000`")
def vectors(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="word2vec text or binary, GloVe, fastText .vec or .bin, gensim's "
                       "KeyedVectors, .npy or .safetensors with --words; with --from-model a transformer."),
    ],
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="The folder to write.")],
    format: Annotated[
        str, typer.Option("--format", help="auto, text, word2vec-binary, fasttext, gensim, array or frostline.")
    ] = "auto",
    words: Annotated[
        Path | None, typer.Option("--words", metavar="FILE", help="One word on a line, the most frequent first.")
    ] = None,
    max_words: Annotated[
        int | None, typer.Option("--max-words", min=1, metavar="N", help="Read no more than the first N words.")
    ] = None,
    prune: Annotated[
        int | None,
        typer.Option("--prune", metavar="N", help="Keep N vectors; other words get the nearest of them."),
    ] = None,
    from_model: Annotated[
        bool, typer.Option("--from-model", help="SOURCE is a transformer: ask it for a vector of each of --words.")
    ] = False,
    layer: Annotated[int, typer.Option("--layer", help="Hidden state that --from-model reads, -1 for the last.")] = -1,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Turn word vectors of any usual format into a folder that pipelines map into memory.

    Files list the most frequent words first, and so --prune keeps those. fastText's .bin brings its subwords along, so
    that words it never met have vectors too.

    Written to DEST: the vectors, their words, and the digest by which a pipeline knows them again.
    """
    options.begin(context, quiet=quiet, takes_overrides=False)
    from frostline.vectors.making import make_vectors, vocabulary_of

    if from_model:
        from frostline.embedding.distilled_vectors import vectors_from_transformer

        made = vectors_from_transformer(source, vocabulary_of(words, max_words), layer=layer)
        result = make_vectors(made, dest, prune_to=prune)
    else:
        from frostline.vectors.reading import read_vectors

        result = make_vectors(
            read_vectors(source, format=format, words=words, max_words=max_words), dest, prune_to=prune
        )
    options.print_result(result, as_json=json)


def _write(text: str, dest: Path, *, force: bool) -> None:
    if str(dest) == "-":
        console.out(text.rstrip("\n"))
        return
    from frostline.errors import UsageError
    from frostline.files import write_text_atomic

    if dest.exists() and not force:
        raise UsageError(f"'{dest}' is there already.", fix="Choose another name, or add --force to replace it.")
    write_text_atomic(dest, text)
    console.say(f"wrote {dest}")
