"""Write an evaluation: metrics.json, documents.arrow, timing.json.

Each file is written whole or not at all. metrics.json goes last: where it stands, the rest belongs to it.
"""

from __future__ import annotations

from pathlib import Path

from frostline.evaluation.documents import write_documents
from frostline.evaluation.scorer import Scores
from frostline.evaluation.timing import Timing
from frostline.files import write_json_atomic


def write_evaluation(output: Path, scores: Scores, timing: Timing, *, seed: int | None = None) -> None:
    """Write the three files into the folder `output`, which is made if need be.

    Args:
        output: such as training/ewt/frozen-listener-0/dev.
        scores: with `score` among the metrics if readers are to compare by it (`Scores.weighted`).
        timing: of the prediction.
        seed: of the run that is evaluated, for documents.arrow; None when unknown.
    """
    write_documents(output / "documents.arrow", scores.documents, seed=seed)
    write_json_atomic(output / "timing.json", timing.to_json())
    write_json_atomic(output / "metrics.json", dict(scores.metrics))
