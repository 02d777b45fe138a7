"""Make the sample corpus: three CoNLL-U files, the same bytes on every machine.

    python scripts/make_sample.py assets/sample --seed 0

A small invented world (see sample_world/) takes the place of a treebank where there is no network.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sample_world.conllu import document_lines
from sample_world.documents import make_documents

SPLITS = {"train": 4000, "dev": 500, "test": 500}


def write_split(path: Path, *, seed: int, split: str, n_sentences: int) -> int:
    """Write one split and return how many words it has. The file takes its name when it is whole."""
    temporary = path.with_name(path.name + ".tmp")
    n_words = 0
    with temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for document in make_documents(seed=seed, split=split, n_sentences=n_sentences):
            for line in document_lines(document):
                stream.write(line)
                n_words += line[0].isdigit() and "-" not in line.split("\t", 1)[0]
    os.replace(temporary, path)  # noqa: PTH105
    return n_words


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and write the splits."""
    parser = argparse.ArgumentParser(description="Make the sample corpus: train, dev and test as CoNLL-U.")
    parser.add_argument(
        "folder", type=Path, help="where sample-train.conllu, sample-dev.conllu and sample-test.conllu go"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed is another world (default: %(default)s)")
    for split, n in SPLITS.items():
        parser.add_argument(f"--{split}", type=int, default=n, metavar="N", help="sentences (default: %(default)s)")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        path = options.folder / f"sample-{split}.conllu"
        n_sentences = getattr(options, split)
        n_words = write_split(path, seed=options.seed, split=split, n_sentences=n_sentences)
        print(f"{path}: {n_sentences:,} sentences, {n_words:,} words", file=sys.stderr)


if __name__ == "__main__":
    main()
