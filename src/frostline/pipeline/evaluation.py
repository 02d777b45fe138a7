"""`frostline evaluate`: predict on the tokens of an annotated corpus, score, and write what the report reads."""

from __future__ import annotations

from pathlib import Path

import torch

from frostline.errors import CorpusError
from frostline.evaluation import Scores, Stopwatch, bytes_on_disk, write_evaluation
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.reading import docs_of
from frostline.pipeline.serialize import load
from frostline.pipeline.wiring import embedders_of


def evaluate(model: Path, corpus: Path, output: Path, *, device: str = "", threads: int = 0) -> Scores:
    """Score a saved model on a corpus and write metrics.json, documents.arrow and timing.json to `output`.

    Args:
        corpus: a folder that `frostline convert` wrote; it is cut as the model's config cuts its dev corpus.
        device: in torch's notation; "" for what `require_gpu` chose.
        threads: that torch computes with; 0 leaves what is set.
    Raises:
        ModelFileError, CorpusError: the model or the corpus is missing or broken, or the corpus is empty.
    """
    if threads:
        torch.set_num_threads(threads)
    pipeline = load(model, device=device)
    docs = docs_of(pipeline.config, corpus)
    stopwatch = Stopwatch()
    scores = pipeline.evaluate(docs)
    stopwatch.pause()
    if scores.n_words == 0:
        raise CorpusError(f"The corpus '{corpus}' has no words to evaluate on.", where=str(corpus))
    if not scores.metrics.keys() - {"score"}:
        raise CorpusError(
            f"The corpus '{corpus}' has no annotation to compare with.",
            where=str(corpus),
            fix="Name an annotated corpus; `frostline apply` annotates one that is not.",
        )
    training = pipeline.config.get("training", {})
    scores = scores.weighted(training.get("score_weights"))
    timing = stopwatch.read(
        n_words=scores.n_words,
        n_parameters=pipeline.parameters.n_parameters,
        bytes_on_disk=bytes_on_disk(model),
        threads=torch.get_num_threads(),
        precision=precision_of(pipeline),
        device=pipeline.device,
    )
    write_evaluation(output, scores, timing, seed=training.get("seed"))
    return scores


def precision_of(pipeline: Pipeline) -> str:
    """The precision that the pipeline's embeddings are computed in; "float32" where there is none."""
    precisions = sorted({embedder.precision for embedder in embedders_of(pipeline)})
    return "+".join(precisions) or "float32"
