"""Monte Carlo dropout (Gal and Ghahramani 2016): predict many times in the mode `sample`, and keep the spread.

https://proceedings.mlr.press/v48/gal16.html. Which dropout fires is a function of the seed and the sample's number.
"""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import torch

from frostline.components.protocol import Growing
from frostline.embedding.embedders import embedders_in
from frostline.errors import UsageError
from frostline.layers.modes import Mode
from frostline.layers.randomness import Clock, counted
from frostline.layers.torch_bridge import dropout_at, torch_modules
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.spread import Sampled, Spread
from frostline.tokens import Doc, StringColumn


def sample(pipeline: Pipeline, doc: Doc, *, n: int, dropout: float, seed: int) -> Sampled:
    """See `Pipeline.sample`.

    Raises:
        UsageError: no whole number of samples, or fewer than two; or a dropout that is not from 0 to below 1.
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise UsageError(f"The number of samples is {n!r}, but must be a whole one.", fix="Give n = 20.")
    if n < 2:
        raise UsageError(f"A spread needs 2 samples or more, not {n}.", fix="Give n = 20.")
    if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise UsageError(f"The dropout is {dropout!r}, but must be from 0 to below 1.", fix="Give a share such as 0.1.")
    samplers = {name: one for name, one in pipeline.components.items() if isinstance(one, Growing)}
    found: dict[tuple[str, str], list[torch.Tensor]] = {}
    with ExitStack() as stack:
        stack.enter_context(pipeline.modes({f"{name}.*": Mode.SAMPLE.value for name in pipeline.order}))
        for name in samplers:
            stack.enter_context(dropout_at_heads(pipeline, name, dropout))
        for number in range(n):
            with counted(Clock(seed=seed, step=number), "sample"):
                for key, probabilities in _one_sample(pipeline, doc):
                    found.setdefault(key, []).append(probabilities.float().cpu())
    spreads: dict[str, dict[str, Spread]] = {name: {} for name in samplers}
    for (name, column), parts in found.items():
        stacked = torch.stack(parts)
        labels = tuple(samplers[name].labels[column])
        mean = stacked.mean(dim=0).numpy()
        std = stacked.std(dim=0).numpy() if stacked.numel() else np.zeros_like(mean)
        spreads[name][column] = Spread(labels=labels, mean=mean, std=std)
        best = mean.argmax(axis=1).astype(np.int32) if len(mean) else np.zeros(0, dtype=np.int32)
        doc.set_column(column, StringColumn(best, labels))
    return Sampled(doc=doc, n=n, spreads=spreads)


def dropout_at_heads(pipeline: Pipeline, name: str, rate: float) -> ExitStack:
    """Set the dropout of a component's own layers, not that of a transformer of its own; close it to set it back."""
    stack = ExitStack()
    model = pipeline.components[name].model
    embedding = {id(part) for embedder in embedders_in(model) for part in embedder.module.modules()}
    for _, module in torch_modules(model):
        if id(module) not in embedding:
            stack.enter_context(dropout_at(module, rate))
    return stack


def _one_sample(pipeline: Pipeline, doc: Doc) -> list[tuple[tuple[str, str], torch.Tensor]]:
    """Per component and column (n_tokens, n_labels); later components see what this sample gave earlier ones."""
    found = []
    with ExitStack() as stack:
        for name in pipeline.order:
            publisher = pipeline.publishers.get(name)
            if publisher is not None:
                writes = name in pipeline.annotating
                stack.enter_context(publisher.publishing([doc], is_train=False, annotating=writes))
                continue
            component = pipeline.components[name]
            if not isinstance(component, Growing):
                component.set_annotations([doc], component.predict([doc]))
                continue
            for column, probabilities in component.probabilities([doc]).items():
                found.append(((name, column), probabilities))
                best = probabilities.argmax(dim=1).to(torch.int32).cpu().numpy()
                doc.set_column(column, StringColumn(best, component.labels[column]))
    return found
