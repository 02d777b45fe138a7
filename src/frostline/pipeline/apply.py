"""`frostline apply`: annotate raw text or a corpus, and write CoNLL-U, JSON lines, or a corpus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from frostline.console import say
from frostline.corpora.converters import read_docs, write_conllu, write_jsonl
from frostline.corpora.store import write_corpus
from frostline.errors import CorpusError, UsageError
from frostline.pipeline.serialize import load
from frostline.tokens import Doc


def apply(model: Path, source: Path, dest: Path, *, device: str = "", threads: int = 0) -> int:
    """Annotate every doc of `source` with a saved model and write it to `dest`, whole or not at all.

    Args:
        source: raw text, which the model's own tokenizer splits; or a file or corpus folder with tokens, which stay.
        dest: a file ending in .conllu or .jsonl, or a corpus folder.
        device: in torch's notation; "" for what `require_gpu` chose.
        threads: that torch computes with; 0 leaves what is set.
    Returns:
        How many docs were written; a warning says when there were none.
    Raises:
        UsageError: `dest` has another extension, or is `source`.
        CorpusError, ModelFileError: the source or the model is missing or broken.
    """
    if dest.suffix not in ("", ".conllu", ".jsonl"):
        raise UsageError(
            f"'{dest}' should end in .conllu or .jsonl, or be a folder.",
            fix=f"For instance {dest.with_suffix('.conllu')}.",
        )
    if dest.suffix and dest.is_dir():
        raise UsageError(f"'{dest}' is a folder.", fix="Name a file, or a folder without an extension.")
    if not source.exists():
        raise CorpusError("There is no such file.", where=str(source), fix="Check the path.")
    if dest.resolve() == source.resolve():
        raise UsageError("The result would replace its own source.", fix="Name another destination.")
    if threads:
        torch.set_num_threads(threads)
    pipeline = load(model, device=device)
    counted = _Counted(pipeline.pipe(read_docs(source, tokenizer=pipeline.tokenizer)))
    if dest.suffix == ".conllu":
        write_conllu(counted, dest)
    elif dest.suffix == ".jsonl":
        write_jsonl(counted, dest)
    else:
        write_corpus(counted, dest, meta={"annotated_by": "frostline apply"})
    if not counted.n_docs:  # no error: a stream of files may have an empty one among them
        say(f"warning: there is no text in '{source}', so '{dest}' has no docs")
    return counted.n_docs


class _Counted:
    """An iterable of docs that counts what it hands out."""

    def __init__(self, docs: Iterable[Doc]) -> None:
        self._docs = docs
        self.n_docs = 0

    def __iter__(self) -> Iterator[Doc]:
        for doc in self._docs:
            self.n_docs += 1
            yield doc
