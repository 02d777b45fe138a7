"""A pipeline predicts, saves and loads, freezes what it says it freezes, and leaves nothing behind."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import frostline
import frostline.files
from frostline.config import Config
from frostline.errors import ConfigError, ModelFileError, TrainingError, UsageError
from frostline.layers.modes import named_modules
from frostline.layers.module_tree import tree_of
from frostline.layers.randomness import Clock
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.wiring import assemble, named_embedders
from frostline.tokens import Doc, Example
from frostline.training.optimizer import build_adam
from tests.pipeline.tiny import examples_of, make_config, make_docs, make_encoder, make_pipeline
from tests.pipeline.tok2vec import with_tok2vec

KINDS = ["listener", "annotating", "independent", "detached"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


def trained(encoder: Path, kind: str, *, n_steps: int = 3, **options: object) -> Pipeline:
    docs = make_docs()
    pipeline = make_pipeline(make_config(encoder, [kind, kind], **options), docs)
    optimizer = build_adam(learn_rate=0.01)
    for step in range(n_steps):
        pipeline.parameters.zero_gradients()
        pipeline.update([examples_of(docs[:3]), examples_of(docs[3:])], dropout=0.1, clock=Clock(seed=0, step=step))
        optimizer.step(pipeline.parameters, step=step)
    return pipeline


def weights_of(pipeline: Pipeline) -> dict[str, bytes]:
    return {name: values.numpy().tobytes() for name, values in pipeline.parameters.named_values.items()}


def test_a_components_own_embedders_are_called_as_its_modules_are(encoder: Path) -> None:
    config = make_config(encoder, ["independent"])
    pipeline, *others = (make_pipeline(one, make_docs()) for one in (with_tok2vec(config), config, config))
    model = pipeline.part("tagger").model
    model.layers.extend(other.part("tagger").model for other in others)

    names = [name for name, _ in named_embedders(pipeline, "tagger")]

    assert names == ["tagger.tok2vec", "tagger.transformer", "tagger.transformer-1"]
    assert set(names) <= {name for name, _ in named_modules("tagger", tree_of(model))}


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_pipeline_predicts_the_same_without_its_encoders_source(
    encoder: Path, kind: str, tmp_path: Path
) -> None:
    pipeline = trained(encoder, kind)
    pipeline.config = Config(pipeline.config)
    for component in pipeline.config["components"].values():  # the source must not be needed again
        for block in (component["model"], component["model"].get("embedding", {}).get("transformer", {})):
            if "source" in block:
                block["source"] = "nowhere"
    expected = [doc.xpos for doc in pipeline.pipe(doc.without_annotations() for doc in make_docs())]

    pipeline.to_disk(tmp_path / "model")
    loaded = frostline.load(tmp_path / "model")

    assert [doc.xpos for doc in loaded.pipe(doc.without_annotations() for doc in make_docs())] == expected
    assert weights_of(loaded) == weights_of(pipeline)


def test_saving_twice_gives_the_same_bytes(encoder: Path, tmp_path: Path) -> None:
    pipeline = trained(encoder, "listener")
    pipeline.config = Config(pipeline.config)

    pipeline.to_disk(tmp_path / "one")
    frostline.load(tmp_path / "one").to_disk(tmp_path / "two")

    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) > 6
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_listener_and_annotating_trainings_end_in_the_same_bytes(encoder: Path) -> None:
    assert weights_of(trained(encoder, "listener")) == weights_of(trained(encoder, "annotating"))


@pytest.mark.parametrize("kind", ["listener", "annotating"])
def test_frozen_weights_do_not_move_by_a_bit(encoder: Path, kind: str) -> None:
    frozen = trained(encoder, kind, modes={"transformer.*": "frozen"})
    before = make_pipeline(make_config(encoder, [kind, kind]), make_docs())

    of_encoder = [name for name in weights_of(frozen) if name.startswith("transformer/")]

    assert len(of_encoder) > 20
    assert all(weights_of(frozen)[name] == weights_of(before)[name] for name in of_encoder)
    assert weights_of(frozen)["tagger/output.weight"] != weights_of(before)["tagger/output.weight"]


@pytest.mark.parametrize(("kind", "moves"), [("listener", True), ("annotating", True), ("detached", False)])
def test_an_unfrozen_encoder_moves_unless_nobody_teaches_it(encoder: Path, kind: str, moves: bool) -> None:
    before = weights_of(make_pipeline(make_config(encoder, [kind, kind]), make_docs()))

    after = weights_of(trained(encoder, kind))

    moved = [name for name in after if name.startswith("transformer/") and after[name] != before[name]]
    assert bool(moved) is moves


def test_a_frozen_component_is_not_updated(encoder: Path) -> None:
    before = weights_of(make_pipeline(make_config(encoder, ["listener", "listener"]), make_docs()))

    after = weights_of(trained(encoder, "listener", frozen=["tagger"], modes={"transformer.*": "frozen"}))

    assert after["tagger/output.weight"] == before["tagger/output.weight"]
    assert after["morphologizer/output.weight"] != before["morphologizer/output.weight"]


def test_a_frozen_component_annotates_during_training_when_it_is_to(encoder: Path) -> None:
    config = make_config(encoder, ["listener", "listener"], frozen=["tagger"], modes={"transformer.*": "frozen"})
    config["training"]["annotating_components"] += ["tagger"]
    pipeline = make_pipeline(config, make_docs())
    examples = [Example(doc.without_annotations(), doc) for doc in make_docs()]

    pipeline.update([examples], dropout=0.0, clock=Clock(seed=0))

    assert all(example.predicted.xpos is not None for example in examples if len(example.predicted))
    assert all(example.predicted.upos is None for example in examples)


@pytest.mark.parametrize(
    "settings", [{"window": 0}, {"stride": -4}, {"max_batch_pieces": 0}, {"precision": "fp8"}], ids=str
)
def test_settings_of_a_transformer_that_make_no_sense_are_refused(encoder: Path, settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as error:
        assemble(make_config(encoder, ["listener"], settings=settings))

    assert error.value.where == f"components.transformer.model.{next(iter(settings))}"
    assert error.value.fix


EMBEDDING = "components.tagger.model.embedding"
FAULTY_READERS = [
    ("listener", "embedding", {"pooling": "maen"}, "'maen' is no pooling", f"{EMBEDDING}.pooling"),
    ("annotating", "embedding", {"pooling": "maen"}, "'maen' is no pooling", f"{EMBEDDING}.pooling"),
    ("independent", "embedding", {"pooling": "maen"}, "'maen' is no pooling", f"{EMBEDDING}.pooling"),
    ("listener", "embedding", {"grad_factor": float("inf")}, "grad_factor is inf", f"{EMBEDDING}.grad_factor"),
    ("listener", None, {"hidden_width": -1}, "hidden_width is -1", "components.tagger.model.hidden_width"),
]


@pytest.mark.parametrize(("kind", "block", "settings", "message", "where"), FAULTY_READERS)
def test_settings_of_a_component_that_make_no_sense_are_refused_before_anything_is_computed(
    encoder: Path, kind: str, block: str | None, settings: dict[str, object], message: str, where: str
) -> None:
    config = make_config(encoder, [kind])
    model = config["components"]["tagger"]["model"]
    (model[block] if block else model).update(settings)

    with pytest.raises(ConfigError, match=message) as error:
        assemble(config)

    assert error.value.where == where
    assert error.value.fix


def test_activations_do_not_outlive_their_step_or_prediction(encoder: Path) -> None:
    docs = make_docs()
    pipeline = make_pipeline(make_config(encoder, ["annotating"]), docs)
    examples = examples_of(docs)

    pipeline.update([examples], dropout=0.0, clock=Clock(seed=0))
    predicted = list(pipeline.pipe(docs))

    assert all(not example.predicted.activations for example in examples)
    assert all(not doc.activations for doc in predicted)


def test_a_user_can_keep_and_read_the_activations(encoder: Path) -> None:
    docs = make_docs()
    pipeline = make_pipeline(make_config(encoder, ["annotating"]), docs)

    (doc,) = pipeline.pipe([docs[0].without_annotations()], keep_activations=True)

    assert doc.activations["transformer"].tokens().shape == (3, 24)


def test_kept_activations_are_those_of_every_publisher_whoever_annotates(encoder: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener"]), make_docs())
    annotating = make_pipeline(make_config(encoder, ["annotating"]), make_docs())
    doc = make_docs()[0]

    kept = pipeline(doc.without_annotations(), keep_activations=True)

    expected = annotating(doc.without_annotations(), keep_activations=True)
    assert torch.equal(kept.activations["transformer"].tokens(), expected.activations["transformer"].tokens())
    assert not pipeline(doc.without_annotations()).activations


def test_texts_and_empty_docs_pass_through(encoder: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener", "listener"]), make_docs())

    docs = list(pipeline.pipe(["the dog walks", "", "  "]))

    assert [len(doc) for doc in docs] == [3, 0, 0]
    assert docs[0].xpos is not None
    assert pipeline("").text == ""


@pytest.mark.parametrize("make", [str, lambda text: Doc.from_words(text.split())])
def test_half_a_character_in_a_text_is_named_with_its_place(encoder: Path, make: Any) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener"]), make_docs())

    with pytest.raises(UsageError, match=r"half a character: U\+D83D, at 4") as caught:
        pipeline(make("the \ud83d dog"))

    assert "errors=" in (caught.value.fix or "")
    assert pipeline(make("the \U0001f600 dog")).xpos is not None


@pytest.mark.parametrize("wrong", [5, None, b"the dog"])
def test_what_is_neither_text_nor_doc_is_refused(encoder: Path, wrong: Any) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener"]), make_docs())

    with pytest.raises(TypeError, match=f"takes texts and docs, not {type(wrong).__name__}"):
        pipeline(wrong)


def test_one_text_is_not_taken_for_a_stream_of_its_characters(encoder: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener"]), make_docs())

    with pytest.raises(TypeError, match="several texts"):
        list(pipeline.pipe("She saw her duck."))


def test_the_order_of_docs_and_the_size_of_batches_change_nothing(encoder: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener"]), make_docs())
    docs = [doc.without_annotations() for doc in make_docs()]

    in_one = [doc.xpos for doc in pipeline.pipe([doc.copy() for doc in docs])]
    one_by_one = [doc.xpos for doc in pipeline.pipe([doc.copy() for doc in docs], batch_words=1)]

    assert in_one == one_by_one


@pytest.mark.parametrize("change", ["missing", "meta", "weights", "state", "version", "config", "labels", "a label"])
def test_a_broken_model_folder_says_what_is_wrong_and_where(encoder: Path, tmp_path: Path, change: str) -> None:
    pipeline = trained(encoder, "listener")
    pipeline.config = Config(pipeline.config)
    model = tmp_path / "model"
    pipeline.to_disk(model)
    if change == "missing":
        model = tmp_path / "other"
    elif change == "meta":
        (model / "meta.json").write_text("{")
    elif change == "version":
        meta = json.loads((model / "meta.json").read_text())
        (model / "meta.json").write_text(json.dumps({**meta, "format_version": 99}))
    elif change == "weights":
        data = (model / "tagger" / "weights.safetensors").read_bytes()
        (model / "tagger" / "weights.safetensors").write_bytes(data[: len(data) // 2])
    elif change == "config":
        (model / "config.cfg").unlink()
    elif change == "state":
        (model / "tagger" / "state.json").unlink()
    else:
        labels = None if change == "labels" else ["A", 1]
        (model / "tagger" / "state.json").write_text(json.dumps({"labels": {"xpos": labels}}))

    with pytest.raises(ModelFileError) as error:
        frostline.load(model)

    assert error.value.where is not None
    assert error.value.fix is not None


def test_a_models_weight_that_is_no_number_is_named_with_its_file(encoder: Path, tmp_path: Path) -> None:
    pipeline = trained(encoder, "listener")
    pipeline.config = Config(pipeline.config)
    with torch.no_grad():
        pipeline.parameters.named_values["tagger/output.bias"][1] = float("nan")
    pipeline.to_disk(tmp_path / "model")

    with pytest.raises(ModelFileError, match=r"'output\.bias' holds NaN, in 1 of ") as error:
        frostline.load(tmp_path / "model")

    assert error.value.where == str(tmp_path / "model" / "tagger" / "weights.safetensors")


def test_a_reader_of_docs_needs_a_publisher_that_writes_to_them(encoder: Path) -> None:
    config = make_config(encoder, ["annotating"])
    config["training"]["annotating_components"] = []

    with pytest.raises(ConfigError, match="nobody writes them there") as error:
        assemble(config)

    assert error.value.where == "training.annotating_components"


@pytest.mark.parametrize("kind", ["listener", "annotating", "independent"])
@pytest.mark.parametrize("layer", [9, -9])
def test_a_layer_that_the_encoder_lacks_is_named_with_the_reader_that_asks_for_it(
    encoder: Path, kind: str, layer: int
) -> None:
    config = make_config(encoder, [kind, kind])
    config["components"]["morphologizer"]["model"]["embedding"]["layer"] = layer

    with pytest.raises(ConfigError, match=f"Layer {layer} is asked for") as error:
        make_pipeline(config, make_docs())

    assert error.value.where == "components.morphologizer.model.embedding.layer"
    assert error.value.fix


def test_all_readers_that_find_no_publisher_are_named_at_once(encoder: Path) -> None:
    config = make_config(encoder, ["listener", "listener"])
    for name in ("tagger", "morphologizer"):
        config["components"][name]["model"]["embedding"]["publisher"] = "transfomer"

    with pytest.raises(ConfigError, match="2 faults") as error:
        assemble(config)

    for name in ("tagger", "morphologizer"):
        assert f"components.{name}.model.embedding.publisher: " in error.value.message
    assert error.value.message.count("Did you mean 'transformer'?") == 2


def test_a_missing_source_is_named_where_the_config_has_it(encoder: Path, tmp_path: Path) -> None:
    config = make_config(tmp_path / "none", ["independent"])

    with pytest.raises(ModelFileError, match="does not exist") as error:
        make_pipeline(config, make_docs())

    assert error.value.where == "components.tagger.model.embedding.transformer.source"


def test_a_listener_before_its_publisher_is_refused(encoder: Path) -> None:
    config = make_config(encoder, ["listener"])
    config["pipeline"]["components"].reverse()

    with pytest.raises(ConfigError, match="no such publisher comes before it"):
        assemble(config)


def test_restoring_weights_after_use_survives_an_exception(encoder: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener"]), make_docs())
    before = weights_of(pipeline)
    zeros = {group.name: torch.zeros_like(group.values) for group in pipeline.parameters.groups}

    with pytest.raises(RuntimeError, match="inside"), pipeline.parameters.use(zeros):
        raise RuntimeError("inside")

    assert weights_of(pipeline) == before


def test_saving_replaces_a_model_only(encoder: Path, tmp_path: Path) -> None:
    pipeline = trained(encoder, "listener")
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")
    pipeline.to_disk(tmp_path / "model")
    (tmp_path / "model" / "sub").mkdir()
    (tmp_path / "model" / "sub" / "thesis.tex").write_text("x")

    with pytest.raises(UsageError, match=r"sub/thesis\.tex"):
        pipeline.to_disk(tmp_path / "model")

    assert (tmp_path / "model" / "sub" / "thesis.tex").read_text() == "x"


def test_a_folder_that_can_not_be_made_is_named_and_how_to_mend_it(encoder: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener"]), make_docs())

    with pytest.raises(TrainingError, match="can't be written") as error:
        pipeline.to_disk("/proc/model")

    assert error.value.where == "/proc/model"
    assert error.value.fix


def test_a_disk_without_room_is_told_with_its_way_out(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline(Config(make_config(encoder, ["listener"])), make_docs())

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(frostline.files.os, "fsync", fail)
    with pytest.raises(TrainingError, match="No space left") as error:
        pipeline.to_disk(tmp_path / "model")

    assert "Make room" in (error.value.fix or "")


def test_a_file_in_the_place_of_a_model_is_told_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("")

    with pytest.raises(ModelFileError, match="is a file, and a model is a folder"):
        frostline.load(tmp_path / "notes")
