"""The pipeline itself: predict on texts, and make one training step.

It owns the order of things. In a step the publishers compute each batch once, the components read and send their
gradients back, and then the pipeline, once per publisher, runs the backward pass. It moves no parameter: that is the
optimizer's business. It builds nothing and saves nothing: see wiring.py and serialize.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frostline.components.protocol import Component, Growing
from frostline.corpora.batching import batch_by_words
from frostline.embedding.activations import Activations
from frostline.embedding.embedders import embedders_in
from frostline.embedding.listener import publishers_read_by
from frostline.embedding.publisher import Publisher
from frostline.embedding.static_vectors import static_vectors_in
from frostline.errors import UsageError, did_you_mean
from frostline.evaluation import Scorer, Scores
from frostline.layers.parameters import ParameterStore
from frostline.layers.randomness import Clock, counted
from frostline.pipeline import freezing
from frostline.pipeline.fitting import Fitting
from frostline.pipeline.freezing import Freezing
from frostline.pipeline.spread import Sampled
from frostline.tokens import Doc, Example
from frostline.tokens.surrogates import half_character
from frostline.vectors import Vectors

PREDICTION_BATCH_WORDS = 4000


@dataclass(slots=True, kw_only=True)
class Pipeline:
    """A tokenizer and named parts, in the order in which they work.

    Made by `frostline.load(path)` or by training; call it on a text, or `pipe` many texts through it.
    """

    config: dict[str, Any]
    tokenizer: Any
    publishers: dict[str, Publisher]
    components: dict[str, Component]
    order: tuple[str, ...]  # names of publishers and components, as in pipeline.components
    annotating: frozenset[str] = frozenset()  # parts that write to the docs during training, publishers always included
    frozen: frozenset[str] = frozenset()  # components that are not updated
    device: str = "cpu"
    parameters: ParameterStore = field(default_factory=lambda: ParameterStore.gather([]))
    freezing: Freezing = field(default_factory=Freezing)
    fitting: Fitting = field(default_factory=Fitting)  # of evaluations into the memory

    def __call__(self, text: str | Doc, *, keep_activations: bool = False) -> Doc:
        """Annotate one text, or a doc, whose tokens are then kept; `keep_activations` as for `pipe`."""
        return next(self.pipe([text], keep_activations=keep_activations))

    def pipe(
        self, texts: Iterable[str | Doc], *, batch_words: int = PREDICTION_BATCH_WORDS, keep_activations: bool = False
    ) -> Iterator[Doc]:
        """Annotate texts or docs as a stream, in their order; memory depends on the batch, not on the stream.

        Args:
            batch_words: words that go through the pipeline at once, in whole docs.
            keep_activations: leave what every publisher computed in `doc.activations`.
        Raises:
            TypeError: something is neither a text nor a doc, or there is one text where several are due.
            UsageError: a text holds half a character, which no encoder can read.
        """
        if isinstance(texts, str | Doc):
            raise TypeError("pipe takes several texts or docs; for one, call the pipeline itself")
        docs = (self._doc_of(text) for text in texts)
        for batch in batch_by_words(docs, batch_words):
            self._annotate(batch, self.order, keep_activations=keep_activations)
            yield from batch

    def part(self, name: str) -> Publisher | Component:
        """A publisher or component by name; UsageError names the nearest when there is none."""
        found = self.publishers.get(name) or self.components.get(name)
        if found is None:
            raise UsageError(f"The pipeline has no component '{name}'.", fix=did_you_mean(name, self.order))
        return found

    def bind_schedules(self, *, total_steps: int | None) -> None:
        """Tell the schedules of gradient factors and of unfreezing how long the run is; None when it has no length.

        Raises:
            ConfigError: a schedule needs a length and there is none.
        """
        for publisher in self.publishers.values():
            for reader in publisher.readers:
                reader.bind_schedule(total_steps=total_steps)
        freezing.bind_schedules(self.freezing, total_steps=total_steps)

    def begin_step(self, *, step: int, last_score: float | None) -> None:
        """Let what follows a schedule be as it is at a step; without it, all stays as it was at the step before.

        A publisher to which nobody sends a gradient in this step computes without a graph, and rests: the optimizer
        leaves its weights alone.

        Args:
            step: optimizer steps done before this one.
            last_score: of the last evaluation, if there was one.
        """
        for publisher in self.publishers.values():
            for reader in publisher.readers:
                reader.begin_step(step=step, last_score=last_score)
        freezing.begin_step(self, step=step, last_score=last_score)
        self.parameters.resting = frozenset(
            name for name, publisher in self.publishers.items()
            if not any(reader.wants_gradient for reader in publisher.readers)
        )  # fmt: skip

    @contextmanager
    def modes(self, patterns: Mapping[str, str]) -> Iterator[None]:
        """Let modules be in other modes for the block, such as `{"transformer.*": "frozen"}`, and then as before.

        Patterns are those of `[pipeline.modes]` and lie over them; blocks may be nested. An optimizer that steps
        inside forgets its moments of what is frozen there.

        Raises:
            ConfigError: a pattern matches nothing, or there is no such mode; nothing has changed then.
        """
        with freezing.overlaid(self, patterns):
            yield

    def update(self, step: Sequence[Sequence[Example]], *, dropout: float, clock: Clock) -> dict[str, float]:
        """The forward and backward pass of one optimizer step; gradients are added, nothing moves.

        Args:
            step: its sub-batches. However a step is divided, its gradient is the mean over all its targets.
            dropout: rate for the components' own layers.
            clock: what the step's randomness is a function of.
        Returns:
            The step's mean loss per component, in nats per target.
        """
        updated = [component for name, component in self.components.items() if name not in self.frozen]
        n_targets = {component.name: _total(component.count_targets(batch) for batch in step) for component in updated}
        losses = {component.name: 0.0 for component in updated}
        for number, examples in enumerate(step):
            docs = [example.predicted for example in examples]
            with ExitStack() as stack, ExitStack() as predictions:
                opened = []
                for name in self.order:  # so that a publisher can read what components before it annotate
                    if name in self.publishers:
                        opened.append(stack.enter_context(self._publishing(name, docs, clock, number)))
                        continue
                    component = self.components[name]
                    if name in losses:
                        with counted(clock, f"{name}/{number}"):
                            part = component.update(examples, n_targets=n_targets[name], dropout=dropout)
                        losses[name] += part
                    if self._writes(name):  # a frozen one too: its annotations may be read
                        with counted(clock, f"{name}/{number}/predict"):
                            self._annotate_in_step(component, docs, predictions)
                predictions.close()
                for activations in reversed(opened):
                    activations.backward()
        return losses

    def predict(self, docs: Sequence[Doc], *, before: str | None = None) -> None:
        """Annotate a batch of docs in place, in one piece; with `before`, by the parts that come before this one."""
        order = self.order if before is None else self.order[: self.order.index(before)]
        self._annotate(docs, order, keep_activations=False)

    def evaluate(self, references: Iterable[Doc], *, batch_words: int = PREDICTION_BATCH_WORDS) -> Scores:
        """Predict on the tokens of annotated docs and compare; streams, so memory does not grow with the docs.

        Raises:
            TrainingError: a batch does not fit the memory, and `training.on_out_of_memory` leaves no way on.
        """
        scorer = Scorer()
        policy = (self.config.get("training") or {}).get("on_out_of_memory", "fail")
        with ExitStack() as stack:
            for name in self.order:
                for embedder in embedders_in(self.part(name).model):
                    stack.enter_context(embedder.fixed_weights())
            for batch in batch_by_words(references, batch_words):
                for reference, prediction in self.fitting.predicted(batch, self.predict, policy=policy):
                    scorer.add(reference, prediction)
        return scorer.finish()

    def replace_listeners(self, *names: str) -> None:
        """Give components a frozen copy of the publisher they read, with the weights it has now, for themselves.

        The publisher may then move without them. Hold no component of this pipeline from before.

        Raises:
            ConfigError: a name is no component, or one that reads no publisher.
        """
        from frostline.pipeline.surgery import replace_listeners  # builds pipelines, so it needs this class

        replace_listeners(self, names)

    def add_labels(self, name: str, labels: Sequence[str] | Mapping[str, Sequence[str]]) -> None:
        """Give a trained component new labels; its scores for the others stay as they are, bit for bit.

        A new label starts with a score of 0 everywhere and learns from there; an optimizer's moments and averages
        of the weights follow at their next step.

        Args:
            labels: of the component's one column, or by column, such as {"upos": ["X"]}.
        Raises:
            UsageError: no such component or column, or labels that are no texts or that it knows already; nothing has
                changed then.
        """
        component = self.part(name)
        if not isinstance(component, Growing):
            raise UsageError(f"The component '{name}' has no labels that could grow.")
        if not isinstance(labels, Mapping):
            columns = list(component.labels)
            if len(columns) != 1:
                fix = f'Give them by column, such as {{"{columns[0] if columns else "xpos"}": ["X"]}}.'
                raise UsageError(f"It is open which labels of '{name}' these are.", fix=fix)
            labels = {columns[0]: labels}
        self.parameters.refresh(component.add_labels(labels))

    def sample(self, text: str | Doc, *, n: int = 20, dropout: float = 0.1, seed: int = 0) -> Sampled:
        """Annotate one text n times with dropout on: how sure the pipeline is (Gal and Ghahramani 2016).

        Args:
            n: predictions, 2 or more.
            dropout: rate of the components' own layers; a transformer has its own rates in its settings.
            seed: what the samples are a function of.
        Returns:
            The doc, annotated by the mean probabilities, and per component and column their mean and spread.
        """
        from frostline.pipeline.sampling import sample  # works on pipelines, so it needs this class

        return sample(self, self._doc_of(text), n=n, dropout=dropout, seed=seed)

    def to_disk(self, path: Path | str) -> None:
        """Save to a folder, whole or not at all; an older model there is replaced."""
        from frostline.pipeline.serialize import save  # serialize needs this class to load into

        save(self, Path(path))

    @staticmethod
    def from_disk(path: Path | str) -> Pipeline:
        """The same as `frostline.load(path)`."""
        from frostline.pipeline.serialize import load

        return load(path)

    def _doc_of(self, text: str | Doc) -> Doc:
        if not isinstance(text, str | Doc):
            raise TypeError(f"a pipeline takes texts and docs, not {type(text).__name__}")
        characters = text if isinstance(text, str) else text.text
        place = half_character(characters)
        if place is not None:
            raise UsageError(
                f"The text holds half a character: U+{ord(characters[place]):04X}, at {place}, is a surrogate without "
                "its other half.",
                fix='Take it out, or replace it: text.encode("utf-16", errors="surrogatepass")'
                '.decode("utf-16", errors="replace").',
            )
        doc: Doc = self.tokenizer(text) if isinstance(text, str) else text
        return doc

    @property
    def vectors(self) -> Vectors | None:
        """The static vectors of the first layer that reads some; docs get them for `vector` and `similarity`."""
        for name in self.order:
            for _, layer in static_vectors_in(self.part(name).model):
                return layer.vectors
        return None

    def _annotate(self, docs: Sequence[Doc], order: Sequence[str], *, keep_activations: bool) -> None:
        vectors = self.vectors
        if vectors is not None:
            for doc in docs:
                doc.vectors = vectors
        with ExitStack() as stack:
            for name in order:
                if name in self.publishers:
                    stack.enter_context(
                        self.publishers[name].publishing(
                            docs, is_train=False, annotating=keep_activations or self._writes(name),
                            keep=keep_activations,
                        )
                    )
                else:
                    component = self.components[name]
                    component.set_annotations(docs, component.predict(docs))

    @contextmanager
    def _publishing(self, name: str, docs: Sequence[Doc], clock: Clock, number: int) -> Iterator[Activations]:
        """Open a training batch at a publisher; its randomness is that of the computation alone."""
        with ExitStack() as stack:
            with counted(clock, f"{name}/{number}"):
                publishing = self.publishers[name].publishing(docs, is_train=True, annotating=self._writes(name))
                activations = stack.enter_context(publishing)
            yield activations

    def _annotate_in_step(self, component: Component, docs: Sequence[Doc], predictions: ExitStack) -> None:
        """Let a component predict in the middle of a training step, on what its publishers give in prediction.

        predictions: closed with the sub-batch; what one component has opened serves the next.
        """
        for publisher in publishers_read_by(component.model):
            if publisher.find(docs, is_train=False) is None:
                opened = publisher.publishing(docs, is_train=False, annotating=self._writes(publisher.name))
                predictions.enter_context(opened)
        component.set_annotations(docs, component.predict(docs))

    def _writes(self, name: str) -> bool:
        return name in self.annotating


def _total(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for of_batch in counts:
        for kind, count in of_batch.items():
            total[kind] = total.get(kind, 0) + count
    return total
