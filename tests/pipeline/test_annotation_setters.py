"""Functions that write to docs what they make of a publisher's output, and what docs tell of their pieces."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from thinc.api import Model

from frostline.config import registry
from frostline.embedding.activations import Activations
from frostline.embedding.annotation_setters import AnnotationSetter, in_evaluation_mode
from frostline.embedding.transformer import Transformer
from frostline.errors import ConfigError, TrainingError
from frostline.layers.randomness import Clock
from frostline.pipeline import wiring
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.wiring import assemble
from frostline.tokens import Doc, Example
from frostline.training import initialize
from tests.pipeline.tiny import examples_of, make_config, make_docs, make_encoder, make_pipeline

CLOCK = Clock(seed=0)
DROPOUT = {"transformer_settings": {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.1}}
SEEN: list[tuple[int, torch.Tensor]] = []


@registry.annotation_setters("test.plain.v1")
def build_plain() -> AnnotationSetter:
    def plain(docs: Sequence[Doc], output: Activations) -> None:
        SEEN.append((len(docs), output.pieces.clone()))
        assert not output.pieces.requires_grad
        for doc, share in zip(docs, output.shares(), strict=True):
            doc.cats["seen"] = float(share.tokens().sum())

    return plain


@registry.annotation_setters("test.evaluating.v1")
def build_evaluating() -> AnnotationSetter:
    return in_evaluation_mode(build_plain())


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    SEEN.clear()
    yield


def pipeline_with(encoder: Path, *names: str, kind: str = "annotating", **options: Any) -> Pipeline:
    config = make_config(encoder, [kind], **options)
    setters = {name: {"@annotation_setters": f"test.{name}.v1"} for name in names}
    config["components"]["transformer"]["annotation_setters"] = setters
    return make_pipeline(config, make_docs())


def step(pipeline: Pipeline) -> list[Doc]:
    pipeline.parameters.zero_gradients()
    examples = examples_of(make_docs())
    pipeline.update([examples], dropout=0.0, clock=CLOCK)
    return [example.predicted for example in examples]


def gradients(pipeline: Pipeline) -> dict[str, bytes]:
    return {name: values.numpy().tobytes() for name, values in pipeline.parameters.named_gradients.items()}


@pytest.mark.parametrize("kind", ["annotating", "listener"])
def test_a_setter_writes_what_it_likes_in_prediction(encoder: Path, kind: str) -> None:
    pipeline = pipeline_with(encoder, "plain", kind=kind)

    docs = list(pipeline.pipe(doc.without_annotations() for doc in make_docs()))

    assert all(doc.cats["seen"] != 0.0 for doc in docs)
    assert not any(doc.activations for doc in docs)


def test_a_setter_sees_the_training_step_where_the_publisher_annotates(encoder: Path) -> None:
    annotating = pipeline_with(encoder, "plain")
    listening = pipeline_with(encoder, "plain", kind="listener")

    docs = step(annotating)
    step(listening)

    assert len(SEEN) == 1
    assert all("seen" in doc.cats for doc in docs)


def test_a_setter_in_evaluation_mode_sees_the_prediction_and_the_step_keeps_its_dropout(encoder: Path) -> None:
    both = pipeline_with(encoder, "plain", "evaluating", settings=DROPOUT)
    none = pipeline_with(encoder, settings=DROPOUT)

    step(both)
    step(none)
    (_, in_training), (_, in_evaluation) = SEEN
    both.predict([doc.without_annotations() for doc in make_docs()])

    assert gradients(both) == gradients(none)
    assert not torch.allclose(in_training, in_evaluation)
    torch.testing.assert_close(SEEN[-1][1], in_evaluation, atol=1e-6, rtol=1e-5)


def test_a_second_forward_is_paid_only_where_it_is_asked_for(
    encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bool] = []
    pipelines = [pipeline_with(encoder, *names) for names in (["plain"], ["plain", "evaluating"])]
    compute = Transformer.compute

    def counted(self: Transformer, docs: Sequence[Doc], **settings: Any) -> Activations:
        calls.append(settings["is_train"])
        return compute(self, docs, **settings)

    monkeypatch.setattr(Transformer, "compute", counted)
    for pipeline in pipelines:
        calls.clear()
        step(pipeline)
        n_forwards = len(calls)
        pipeline.predict(make_docs())
        assert len(calls) == n_forwards + 1
    assert n_forwards == 2


@pytest.mark.parametrize("modes", [{}, {"transformer.*": "frozen"}], ids=["moving", "frozen"])
def test_what_a_setter_writes_into_the_output_is_seen_by_nobody(encoder: Path, modes: dict[str, str]) -> None:
    seen: list[torch.Tensor] = []

    def vandal(docs: Sequence[Doc], output: Activations) -> None:
        seen.append(output.pieces.clone())
        for share in output.shares():
            share.tokens().zero_()
        output.pieces.numpy().fill(7.0)
        output.n_pieces_of_token.zero_()

    config = make_config(encoder, ["annotating"], modes=modes)
    plain, spoilt = (make_pipeline(config, make_docs()) for _ in range(2))
    spoilt.publishers["transformer"].setters |= {"first": vandal, "second": vandal}

    for pipeline in (plain, spoilt):
        step(pipeline)
    predicted, expected = ([doc.without_annotations() for doc in make_docs()] for _ in range(2))
    spoilt.predict(predicted)
    plain.predict(expected)

    assert gradients(spoilt) == gradients(plain)
    assert [doc.xpos.values() for doc in predicted] == [doc.xpos.values() for doc in expected]
    assert len(seen) == 4
    assert all(torch.equal(one, other) for one, other in zip(seen[::2], seen[1::2], strict=True))


def test_a_setter_that_fails_leaves_nothing_open(encoder: Path) -> None:
    def broken(docs: Sequence[Doc], output: Activations) -> None:
        raise ZeroDivisionError

    pipeline = pipeline_with(encoder)
    pipeline.publishers["transformer"].setters["broken"] = broken
    docs = make_docs()

    with pytest.raises(ZeroDivisionError):
        pipeline.predict(docs)
    assert pipeline.publishers["transformer"].find(docs, is_train=False) is None
    assert not any(doc.activations for doc in docs)


def test_what_is_no_setter_is_named_with_its_place(encoder: Path) -> None:
    config = make_config(encoder, ["listener"])
    config["components"]["transformer"]["annotation_setters"] = {"mine": 3}

    with pytest.raises(ConfigError, match="'mine' is no function") as error:
        assemble(config)
    assert error.value.where == "components.transformer.annotation_setters.mine"


def test_a_kept_doc_tells_its_pieces_their_vectors_and_whose_they_are(encoder: Path) -> None:
    pipeline = pipeline_with(encoder)

    docs = list(pipeline.pipe([doc.without_annotations() for doc in make_docs()], keep_activations=True))

    transformer = pipeline.publishers["transformer"].embedder
    for doc in docs:
        published = doc.activations["transformer"]
        alignment, pieces = published.alignment, transformer.pieces_of([doc])
        assert alignment.ids.tolist() == pieces.ids.tolist()
        assert alignment.borders.tolist() == [0, *pieces.n_pieces_of_token.cumsum().tolist()]
        assert published.pieces().shape == (len(pieces), 24)
        for i in range(len(doc)):
            own = published.pieces()[alignment.pieces_of(i)]
            torch.testing.assert_close(published.tokens()[i], own.mean(0))


def test_activations_are_let_go_when_their_batch_is_done_and_stay_when_they_are_kept(encoder: Path) -> None:
    pipeline = pipeline_with(encoder)
    alive: list[weakref.ref[Any]] = []

    def watching(docs: Sequence[Doc], output: Activations) -> None:
        found = pipeline.publishers["transformer"].find(docs, is_train=False)
        assert found is not None
        alive.append(weakref.ref(found.pieces))

    pipeline.publishers["transformer"].setters["watching"] = watching
    docs = [doc.without_annotations() for doc in make_docs()]

    done = list(pipeline.pipe(docs, batch_words=8))
    gc.collect()
    assert len(alive) > 2
    assert all(one() is None for one in alive)

    alive.clear()
    kept = list(pipeline.pipe(docs, batch_words=8, keep_activations=True))
    gc.collect()
    assert all(one() is not None for one in alive)
    assert len(done) == len(kept)


class Splitter:
    """Marks a sentence at every second word; learns nothing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.model: Model = Model("splitter", lambda model, docs, is_train: (docs, lambda ignored: ignored))
        self.columns: tuple[str, ...] = ()

    def initialize(self, references: Any, *, width: int, seed: int) -> None: ...

    def count_targets(self, examples: Any) -> dict[str, int]:
        return {}

    def update(self, examples: Any, *, n_targets: Any, dropout: float) -> float:
        return 0.0

    def predict(self, docs: Any) -> None: ...

    def set_annotations(self, docs: Sequence[Doc], scores: Any) -> None:
        for doc in docs:
            doc.sent_starts = [1 - i % 2 for i in range(len(doc))]

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Any, *, width: int) -> None: ...


@pytest.mark.parametrize("annotates", [True, False])
def test_the_sentences_of_an_earlier_component_are_windows_in_prediction_and_training(
    encoder: Path, annotates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def width_of(model: Model, original: Callable[[Model], int] = wiring.embedding_width) -> int:
        return 24 if model.name == "splitter" else original(model)

    monkeypatch.setattr(initialize, "embedding_width", width_of)
    registry.components("test.splitter")(lambda *, name: Splitter(name))
    config = make_config(encoder, ["listener"], settings={"windows": {"@windows": "frostline.sentences.v1"}})
    config["pipeline"]["components"].insert(0, "splitter")
    config["components"]["splitter"] = {"factory": "test.splitter"}
    if annotates:
        config["training"]["annotating_components"].append("splitter")
    pipeline = make_pipeline(config, make_docs())
    seen: list[int] = []
    transformer = pipeline.publishers["transformer"].embedder
    windows = transformer._windows
    monkeypatch.setattr(
        type(transformer), "_windows", lambda self, *given: seen.append(len(windows(*given))) or windows(*given)
    )

    pipeline.predict([doc.without_annotations() for doc in make_docs()])
    assert seen == [sum((len(doc) + 1) // 2 for doc in make_docs())]
    if annotates:
        pipeline.update([fresh_examples()], dropout=0.0, clock=CLOCK)
        assert seen[1:] == seen[:1]
    else:
        with pytest.raises(TrainingError, match="annotating_components"):
            pipeline.update([fresh_examples()], dropout=0.0, clock=CLOCK)


def fresh_examples() -> list[Any]:
    return [Example(doc.without_annotations(), doc) for doc in make_docs()]
