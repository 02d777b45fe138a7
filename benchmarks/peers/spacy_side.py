"""Measure spaCy + spacy-transformers: training and prediction of a tagger and a morphologizer over one transformer.

Runs alone, under an interpreter that has spaCy 3.8 and spacy-transformers (see ../README.md); it imports nothing of
frostline. Reads CoNLL-U itself. Prints one JSON object on the last line of standard output, with the keys that
../frostline_side.py prints too. The config is in spacy.cfg beside this file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import statistics
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import spacy
import torch
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.vocab import Vocab

CONFIG, TOK2VEC_CONFIG = (Path(__file__).with_name(name) for name in ("spacy.cfg", "spacy_tok2vec.cfg"))
FROZEN_RATE = 1e-3  # a frozen encoder's heads want the higher rate
Batches = Iterator[list[Example]]


def main() -> None:
    """Measure one task and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("listener", "annotating", "frozen", "predict", "tok2vec", "tok2vec-predict"))
    parser.add_argument("--model", type=Path, required=True, help="folder of the encoder in Hugging Face's layout")
    parser.add_argument("--train", type=Path, required=True, help="CoNLL-U")
    parser.add_argument("--test", type=Path, required=True, help="CoNLL-U")
    parser.add_argument("--n-sentences", type=int, default=10, help="per doc")
    parser.add_argument("--warm-up", type=int, default=2, help="steps before the clock starts")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--predict-docs", type=int, default=0, help="docs of the test file, 0 for all")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(arguments.threads)
    nlp, examples = build(arguments)
    measured = predict(nlp, arguments) if arguments.task.endswith("predict") else train(nlp, examples, arguments)
    versions = {name: version(name) for name in ("spacy", "spacy-transformers", "thinc", "torch", "transformers")}
    print(json.dumps({"side": "spacy", "task": arguments.task, "precision": "float32", **measured,
                      "peak_memory_mib": peak_memory_mib(), "versions": versions}))  # fmt: skip


def build(arguments: argparse.Namespace) -> tuple[spacy.Language, list[Example]]:
    """The pipeline, its labels taken from the training docs, and those docs as examples."""
    examples: list[Example] = []

    @spacy.registry.readers("frostline_benchmarks.Docs.v1")
    def reader():  # type: ignore[no-untyped-def]
        def read(nlp: spacy.Language) -> list[Example]:
            if not examples:
                docs = read_docs(arguments.train, nlp.vocab, arguments.n_sentences)
                examples.extend(Example(bare(doc), doc) for doc in docs)
            return examples

        return read

    overrides: dict[str, object] = {"paths.model": arguments.model.as_posix()}
    if arguments.task == "frozen":
        overrides["training.optimizer.learn_rate.initial_rate"] = FROZEN_RATE
    if arguments.task in ("frozen", "annotating"):
        overrides["training.annotating_components"] = ["transformer"]
    # frozen_components stays empty: with the transformer in it, initialisation fails (the listener has no width)
    path = TOK2VEC_CONFIG if arguments.task.startswith("tok2vec") else CONFIG
    return init_nlp(spacy.util.load_config(path, overrides=overrides, interpolate=False)), examples


def train(nlp: spacy.Language, examples: list[Example], arguments: argparse.Namespace) -> dict[str, object]:
    """Time optimizer steps, done as spaCy's own training loop does them."""
    section = nlp.config.interpolate()["training"]
    settings = spacy.util.registry.resolve(section, schema=spacy.schemas.ConfigSchemaTraining)
    optimizer, exclude = settings["optimizer"], ["transformer"] if arguments.task == "frozen" else []
    batches = endless(examples, settings["batcher"])
    n_words, seconds = [], []
    for step in range(arguments.warm_up + arguments.steps):
        started = time.perf_counter()
        batch = next(batches)
        nlp.update(batch, drop=settings["dropout"], sgd=False, losses={}, exclude=exclude,
                   annotates=settings["annotating_components"])  # fmt: skip
        for name, component in nlp.pipeline:
            if name not in exclude:
                component.finish_update(optimizer)
        optimizer.step_schedules()
        if step >= arguments.warm_up:
            seconds.append(time.perf_counter() - started)
            n_words.append(sum(len(example) for example in batch))
    return summary(n_words, seconds)


def endless(examples: list[Example], batcher) -> Batches:  # type: ignore[no-untyped-def]
    """Batches for as long as someone asks, the examples shuffled before each epoch."""
    order = random.Random(0)
    while True:
        shuffled = list(examples)
        order.shuffle(shuffled)
        yield from (list(batch) for batch in batcher(shuffled))


def predict(nlp: spacy.Language, arguments: argparse.Namespace) -> dict[str, object]:
    """Time the pipeline over the test docs, whose tokens are given."""
    docs = read_docs(arguments.test, nlp.vocab, arguments.n_sentences)[: arguments.predict_docs or None]
    list(nlp.pipe([bare(doc) for doc in docs[:16]]))
    inputs = [bare(doc) for doc in docs]
    started = time.perf_counter()
    n_words = sum(len(doc) for doc in nlp.pipe(inputs))
    return summary([n_words], [time.perf_counter() - started])


def summary(n_words: list[int], seconds: list[float]) -> dict[str, object]:
    """The rate over all steps, and the median of the steps' own rates."""
    rates = [words / spent for words, spent in zip(n_words, seconds, strict=True)]
    return {"words_per_s": sum(n_words) / sum(seconds), "median_words_per_s": statistics.median(rates),
            "words_per_step": sum(n_words) / len(n_words), "n_steps": len(n_words)}  # fmt: skip


def read_docs(path: Path, vocab: Vocab, n_sentences: int) -> list[Doc]:
    """Docs of at most `n_sentences` sentences of one document, with the treebank's words and annotations."""
    parts: list[list[list[list[str]]]] = []
    for starts_document, rows in read_sentences(path):
        if not parts or starts_document or len(parts[-1]) == n_sentences:
            parts.append([])
        parts[-1].append(rows)
    return [doc_of(list(itertools.chain.from_iterable(part)), vocab) for part in parts]


def read_sentences(path: Path) -> Iterator[tuple[bool, list[list[str]]]]:
    """Sentences of a CoNLL-U file: whether a new document starts there, and the columns of its lines."""
    starts_document, rows = False, []
    for line in path.read_text(encoding="utf8").split("\n"):
        if line.startswith("# newdoc"):
            starts_document = True
        elif line and not line.startswith("#"):
            rows.append(line.split("\t"))
        elif not line and rows:
            yield starts_document, rows
            starts_document, rows = False, []


def doc_of(rows: list[list[str]], vocab: Vocab) -> Doc:
    """One doc of the words in `rows`; the words of a multiword token stand without a space between them."""
    words, tags, poses, morphs, spaces = [], [], [], [], []
    n_left, space_after_range = 0, True  # words of the multiword token that are still to come
    for number, form, _, upos, xpos, feats, _, _, _, misc in rows:
        has_space = "SpaceAfter=No" not in misc
        if "-" in number:
            first, last = number.split("-")
            n_left, space_after_range = int(last) - int(first) + 1, has_space
        elif "." not in number:
            n_left -= 1
            spaces.append(has_space if n_left < 0 else space_after_range if n_left == 0 else False)
            words.append(form)
            tags.append(xpos)
            poses.append(upos)
            morphs.append("" if feats == "_" else feats)
    return Doc(vocab, words=words, spaces=spaces, tags=tags, pos=poses, morphs=morphs)


def bare(doc: Doc) -> Doc:
    """The same tokens without annotations."""
    words = [token.text for token in doc]
    return Doc(doc.vocab, words=words, spaces=[bool(token.whitespace_) for token in doc])


def peak_memory_mib() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
