"""`frostline evaluate`: predict on the tokens of an annotated corpus, score, and write what the report reads."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from frostline.errors import CorpusError
from frostline.evaluation import Scores, Timing, peak_memory_mib, write_evaluation
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.reading import docs_of
from frostline.pipeline.serialize import load
from frostline.pipeline.wiring import transformers_of


def evaluate(
    model: Path, corpus: Path, output: Path, *, device: str = "", threads: int = 0, seed: int | None = None
) -> Scores:
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
    started = time.perf_counter()
    scores = pipeline.evaluate(docs)
    seconds = time.perf_counter() - started
    if scores.n_words == 0:
        raise CorpusError(f"The corpus '{corpus}' has no words to evaluate on.", where=str(corpus))
    timing = Timing(
        seconds=seconds,
        n_words=scores.n_words,
        peak_memory_mib=peak_memory_mib(),
        n_parameters=pipeline.parameters.n_parameters,
        bytes_on_disk=sum(file.stat().st_size for file in model.rglob("*") if file.is_file()),
        threads=torch.get_num_threads(),
        precision=precision_of(pipeline),
        device=pipeline.device,
    )
    write_evaluation(output, scores, timing, weights=pipeline.config.get("training", {}).get("score_weights", {}))
    return scores


def precision_of(pipeline: Pipeline) -> str:
    """The precision that the pipeline's transformers compute in; "float32" where there is none."""
    precisions = sorted({transformer.settings.precision for transformer in transformers_of(pipeline)})
    return "+".join(precisions) or "float32"


