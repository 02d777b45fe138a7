"""A run in which layers thaw and a reader's factor follows a schedule; killed at a step when it is told one.

    python tiny_unfreezing.py ENCODER OUTPUT [STEP]
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from frostline.config import Config
from frostline.training.averages import averages_from
from frostline.training.driver import Place, Policy, train
from frostline.training.loop import Recipe, StepResult
from frostline.training.optimizer import build_adam
from frostline.training.schedules import Constant
from tests.pipeline.tiny import make_config, make_docs, make_pipeline


class Killer:
    """A logger that ends the process without a goodbye."""

    def __init__(self, step: int) -> None:
        self.step = step

    def started(self, plan: object) -> None:
        pass

    def stepped(self, result: StepResult) -> None:
        if result.step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)

    def evaluated(self, record: object) -> None:
        pass

    def finished(self, message: str) -> None:
        pass


def main(encoder: Path, output: Path, kill_at: int) -> None:
    config = make_config(encoder, ["listener", "annotating"])
    config["components"]["transformer"]["model"]["transformer_settings"] = {"hidden_dropout_prob": 0.1}
    config["components"]["tagger"]["model"]["embedding"]["grad_factor"] = {
        "@schedules": "frostline.piecewise.v1", "boundaries": [2, 7], "values": [0.0, 1.0, 0.5],
    }  # fmt: skip
    config["components"]["morphologizer"]["model"]["embedding"]["layer"] = "mix"
    config["training"]["freezing"] = {
        "unfreezing": {"transformer": {"@schedules": "frostline.one_by_one.v1", "steps_each": 3, "first": 0}}
    }
    docs = make_docs()
    pipeline = make_pipeline(config, docs)
    pipeline.config = Config(pipeline.config)
    recipe = Recipe(seed=1, batcher=lambda stream: ([doc] for doc in stream), dropout=Constant(value=0.1), max_epochs=2)
    train(pipeline, docs, docs, optimizer=build_adam(learn_rate=0.01), recipe=recipe, policy=Policy(eval_frequency=2),
          place=Place(output=output, digest="same"), averages=averages_from(0.9), logger=Killer(kill_at))  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else -1)
