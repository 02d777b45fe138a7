"""What a reader may ask for: a learned mix, a pooling of one's own, a factor that follows a schedule, annotations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import frostline
from frostline.config import Config, registry
from frostline.errors import ConfigError
from frostline.layers.randomness import Clock
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.wiring import assemble
from frostline.tokens import Example
from frostline.training.optimizer import build_adam
from tests.pipeline.tiny import examples_of, make_config, make_docs, make_encoder, make_pipeline
from tests.pipeline.tok2vec import with_tok2vec


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


def with_embedding(encoder: Path, kinds: list[str], *, only: str = "", **settings: Any) -> dict[str, Any]:
    """A config whose readers (or just one component's) have other settings."""
    config = make_config(encoder, kinds)
    for name, component in config["components"].items():
        if "embedding" in component["model"] and name in (only or name):
            component["model"]["embedding"].update(settings)
    return config


def train(pipeline: Pipeline, *, n_steps: int = 3, dropout: float = 0.1) -> Pipeline:
    docs, optimizer = make_docs(), build_adam(learn_rate=0.01)
    for step in range(n_steps):
        pipeline.begin_step(step=step, last_score=None)
        pipeline.parameters.zero_gradients()
        examples = [[Example(doc.without_annotations(), doc) for doc in part] for part in (docs[:3], docs[3:])]
        pipeline.update(examples, dropout=dropout, clock=Clock(seed=0, step=step))
        optimizer.step(pipeline.parameters, step=step)
    return pipeline


def bytes_of(pipeline: Pipeline, part: str = "") -> dict[str, bytes]:
    values = pipeline.parameters.named_values
    return {name: tensor.numpy().tobytes() for name, tensor in values.items() if name.startswith(part)}


@pytest.mark.parametrize("kind", ["listener", "annotating", "independent"])
def test_a_mix_belongs_to_its_reader_learns_and_is_saved(encoder: Path, kind: str, tmp_path: Path) -> None:
    pipeline = make_pipeline(with_embedding(encoder, [kind, kind], only="tagger", layer="mix"), make_docs())
    before = bytes_of(pipeline)

    train(pipeline)
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")
    loaded = frostline.load(tmp_path / "model")

    mixes = [name for name in before if name.endswith((".weights", ".gamma"))]
    assert len(mixes) == 2
    assert all(name.startswith("tagger/") and bytes_of(pipeline)[name] != before[name] for name in mixes)
    assert bytes_of(loaded) == bytes_of(pipeline)


def test_a_mix_over_a_frozen_publisher_still_learns(encoder: Path) -> None:
    config = with_embedding(encoder, ["listener"], layer="mix")
    config["pipeline"]["modes"] = {"transformer.*": "frozen"}
    pipeline = make_pipeline(config, make_docs())
    before = bytes_of(pipeline)

    train(pipeline)

    assert bytes_of(pipeline, "transformer/") == {n: b for n, b in before.items() if n.startswith("transformer/")}
    assert bytes_of(pipeline)["tagger/mix.weights"] != before["tagger/mix.weights"]


def test_listening_and_annotating_with_a_mix_end_in_the_same_bytes(encoder: Path) -> None:
    left, right = (
        train(make_pipeline(with_embedding(encoder, [kind, kind], layer="mix"), make_docs()))
        for kind in ("listener", "annotating")
    )

    assert bytes_of(left) == bytes_of(right)


def weighted(*, power: float) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The first piece, times a number."""

    def pool(pieces: torch.Tensor, n_pieces_of_token: torch.Tensor) -> torch.Tensor:
        starts = n_pieces_of_token.cumsum(0) - n_pieces_of_token
        return pieces[starts] * power

    return pool


def broken() -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    return lambda pieces, n_pieces_of_token: pieces


@pytest.mark.parametrize("kind", ["listener", "annotating", "independent"])
def test_a_registered_pooling_is_a_block_with_settings(encoder: Path, kind: str) -> None:
    registry.poolings("tests.weighted.v1")(weighted)
    block = {"@poolings": "tests.weighted.v1", "power": 1.0}

    own = make_pipeline(with_embedding(encoder, [kind], pooling=block), make_docs())
    first = make_pipeline(with_embedding(encoder, [kind], pooling="first"), make_docs())

    assert bytes_of(train(own)) == bytes_of(train(first))


def test_a_pooling_that_gives_no_vector_per_token_is_named(encoder: Path) -> None:
    registry.poolings("tests.broken.v1")(broken)
    pipeline = make_pipeline(with_embedding(encoder, ["listener"], pooling="tests.broken.v1"), make_docs())

    with pytest.raises(ConfigError, match=r"tests\.broken\.v1.*tokens"):
        train(pipeline, n_steps=1)


SLEEPS_THEN_WAKES = {"@schedules": "frostline.piecewise.v1", "boundaries": [2], "values": [0.0, 1.0]}


def test_a_factor_that_follows_a_schedule_lets_the_encoder_rest_until_it_rises(encoder: Path) -> None:
    pipeline = make_pipeline(with_embedding(encoder, ["listener", "annotating"], grad_factor=SLEEPS_THEN_WAKES),
                             make_docs())  # fmt: skip
    before = bytes_of(pipeline, "transformer/")

    resting = bytes_of(train(pipeline, n_steps=2), "transformer/")
    awake = bytes_of(train(pipeline, n_steps=3), "transformer/")

    assert resting == before
    assert awake != before


def test_an_encoder_that_learnt_rests_without_momentum_or_decay_when_all_factors_fall_to_zero(encoder: Path) -> None:
    falls = {"@schedules": "frostline.piecewise.v1", "boundaries": [1], "values": [1.0, 0.0]}
    pipeline = make_pipeline(with_embedding(encoder, ["listener"], grad_factor=falls), make_docs())
    optimizer, seen = build_adam(learn_rate=0.01, weight_decay=0.1), []
    for step in range(3):
        pipeline.begin_step(step=step, last_score=None)
        pipeline.parameters.zero_gradients()
        pipeline.update([examples_of(make_docs())], dropout=0.0, clock=Clock(seed=0, step=step))
        optimizer.step(pipeline.parameters, step=step)
        seen.append((bytes_of(pipeline, "transformer/"), bytes_of(pipeline, "tagger/")))

    assert seen[0][0] == seen[1][0] == seen[2][0]
    assert seen[1][1] != seen[2][1]


def test_a_factor_of_zero_prunes_the_readers_backward_pass_and_all_zero_the_encoders_graph(encoder: Path) -> None:
    config = with_embedding(encoder, ["listener", "listener"])
    config["components"]["tagger"]["model"]["embedding"]["grad_factor"] = SLEEPS_THEN_WAKES
    pipeline = make_pipeline(config, make_docs())
    publisher, docs = pipeline.publishers["transformer"], make_docs()

    pipeline.begin_step(step=0, last_score=None)
    with publisher.publishing(docs, is_train=True, annotating=False) as activations:
        asleep, _ = pipeline.components["tagger"].model.layers[0](docs, is_train=True)
        awake, _ = pipeline.components["morphologizer"].model.layers[0](docs, is_train=True)
        assert (asleep.requires_grad, awake.requires_grad, activations.has_way_back) == (False, True, True)
    pipeline.components["morphologizer"].model.layers[0].attrs["reading"].grad_factor = 0.0
    with publisher.publishing(docs, is_train=True, annotating=False) as activations:
        assert not activations.has_way_back


def with_features(encoder: Path, kinds: list[str]) -> dict[str, Any]:
    config = make_config(encoder, kinds)
    model = config["components"]["morphologizer"]["model"]
    model["embedding"] = {"@architectures": "frostline.AnnotationFeatures.v1", "columns": ["xpos"], "width": 8,
                          "embedding": model["embedding"]}  # fmt: skip
    config["training"]["annotating_components"] += ["tagger"]
    return config


def test_predicted_tags_are_features_of_a_later_component_in_training_as_in_prediction(
    encoder: Path, tmp_path: Path
) -> None:
    pipeline = make_pipeline(with_features(encoder, ["listener", "listener"]), make_docs())
    seen: list[Any] = []
    features = pipeline.components["morphologizer"].model.layers[0]
    forward = features._func
    features._func = lambda model, docs, is_train: (
        seen.append((is_train, [doc.xpos for doc in docs])) or forward(model, docs, is_train)
    )

    train(pipeline)
    features._func = forward

    assert all(column is not None for is_train, columns in seen if is_train for column in columns)
    assert any(name.startswith("morphologizer/annotation_features.") for name in bytes_of(pipeline))
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")
    assert bytes_of(frostline.load(tmp_path / "model")) == bytes_of(pipeline)


def test_a_sample_reads_the_tags_of_the_same_sample(encoder: Path) -> None:
    pipeline = make_pipeline(with_features(encoder, ["listener", "annotating"]), make_docs())

    sampled = pipeline.sample("the dog walks", n=8, dropout=0.5)

    assert (sampled.spreads["morphologizer"]["upos"].std > 0).any()
    assert sampled.doc.xpos is not None


def test_features_teach_nobody_through_the_tags(encoder: Path) -> None:
    config, plain = with_features(encoder, ["listener"] * 2), make_config(encoder, ["listener"] * 2)
    config["components"]["morphologizer"]["model"]["embedding"]["embedding"]["grad_factor"] = 0.0
    plain["components"]["morphologizer"]["model"]["embedding"]["grad_factor"] = 0.0
    gradients = []
    for one in (config, plain):
        pipeline = make_pipeline(one, make_docs())
        with torch.no_grad():
            for values in (pipeline.parameters.named_values[f"tagger/output.{key}"] for key in ("weight", "bias")):
                values.copy_(torch.linspace(-1, 1, values.numel()).view(values.shape))
        pipeline.update([examples_of(make_docs())], dropout=0.0, clock=Clock(seed=0))
        of_rest = {n: g for n, g in pipeline.parameters.named_gradients.items() if not n.startswith("morphologizer")}
        gradients.append(of_rest)

    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(gradient, gradients[1][name]) for name, gradient in gradients[0].items())
    assert any(name.startswith("transformer/") and g.abs().max() > 0 for name, g in gradients[0].items())


def test_listening_and_annotating_agree_when_components_annotate_under_dropout(encoder: Path) -> None:
    results = []
    for kind in ("listener", "annotating"):
        config = with_features(encoder, [kind, kind])
        settings = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.1}
        config["components"]["transformer"]["model"]["transformer_settings"] = settings
        results.append(bytes_of(train(make_pipeline(config, make_docs()))))

    assert results[0] == results[1]


def test_a_column_that_nobody_writes_in_training_is_named_with_its_mend(encoder: Path) -> None:
    config = with_features(encoder, ["listener", "listener"])
    config["training"]["annotating_components"] = []

    with pytest.raises(ConfigError, match="reads xpos from the docs") as error:
        assemble(config)

    assert error.value.where == "components.morphologizer.model.embedding.columns"
    assert error.value.fix == 'Add "tagger" to training.annotating_components.'


def test_a_frozen_component_on_a_publisher_that_moves_is_refused_with_three_ways_out(encoder: Path) -> None:
    config = make_config(encoder, ["listener", "listener"], frozen=["tagger"])

    with pytest.raises(ConfigError, match="'tagger' is frozen, but it reads 'transformer'") as error:
        assemble(config)

    assert error.value.where == "training.frozen_components"
    fix = str(error.value.fix)
    assert 'transformer.* = "frozen"' in fix
    assert 'training.replace_listeners = ["tagger"]' in fix
    assert "training.allow_drift = true" in fix


THAWED = {"transformer.*": "frozen", "*.layer.1.*": "train"}


@pytest.mark.parametrize(
    ("modes", "frozen", "factor"),
    [(THAWED, ["tagger"], 1.0), ({"tagger.*": "sample"}, [], 1.0), ({"tagger.output.*": "frozen"}, [], 0.0)],
    ids=["a layer thaws", "sampling", "frozen by its head"],
)
def test_drift_is_found_however_it_is_declared(
    encoder: Path, modes: dict[str, str], frozen: list[str], factor: float
) -> None:
    config = make_config(encoder, ["listener", "listener"], modes=modes, frozen=frozen, grad_factors=[factor, 1.0])

    with pytest.raises(ConfigError, match="'tagger' is frozen, but it reads 'transformer'"):
        make_pipeline(config, make_docs())


WAYS_OF_FREEZING = {
    "sample": {"transformer.*": "sample"},
    "piece by piece": {"transformer.model.*": "frozen"},
    "by a pattern for the name": {"trans*": "frozen"},
    "by height": {},
}


@pytest.mark.parametrize("way", WAYS_OF_FREEZING)
def test_nothing_drifts_where_nothing_moves(encoder: Path, way: str) -> None:
    modes = WAYS_OF_FREEZING[way]
    config = make_config(encoder, ["listener", "listener"], frozen=["tagger"], modes=modes)
    if way == "by height":
        config["training"]["freezing"] = {"lowest_layers": {"transformer": 2}}

    pipeline = make_pipeline(config, make_docs())

    assert not any(group.may_move for group in pipeline.parameters.groups if group.component == "transformer")


@pytest.mark.parametrize("way", ["freeze both", "copy", "drift", "nobody teaches"])
def test_each_way_out_of_drift_is_open(encoder: Path, way: str) -> None:
    config = make_config(encoder, ["listener", "listener"], frozen=["tagger"])
    if way == "freeze both":
        config["pipeline"]["modes"] = {"transformer.*": "frozen"}
    elif way == "copy":
        config["training"]["replace_listeners"] = ["tagger"]
    elif way == "drift":
        config["training"]["allow_drift"] = True
    else:
        config["components"]["morphologizer"]["model"]["embedding"]["grad_factor"] = 0.0
    pipeline = make_pipeline(config, make_docs())
    before, tags = bytes_of(pipeline), [doc.xpos for doc in pipeline.pipe(make_docs())]

    train(pipeline)

    assert bytes_of(pipeline, "tagger") == {name: data for name, data in before.items() if name.startswith("tagger")}
    moves = bytes_of(pipeline, "transformer/") != {n: b for n, b in before.items() if n.startswith("transformer/")}
    assert moves is (way in ("copy", "drift"))
    if way != "drift":
        assert [doc.xpos for doc in pipeline.pipe(make_docs())] == tags


@pytest.mark.parametrize("kind", ["listener", "annotating"])
def test_a_pipeline_replaces_listeners_by_copies_of_what_it_knows_now(encoder: Path, kind: str, tmp_path: Path) -> None:
    pipeline = train(make_pipeline(with_embedding(encoder, [kind, kind], layer="mix"), make_docs()))
    pipeline.config = Config(pipeline.config)
    docs = [doc.without_annotations() for doc in make_docs()]
    expected = [doc.xpos for doc in pipeline.pipe([doc.copy() for doc in docs])]

    pipeline.replace_listeners("tagger")
    own = {name for name in bytes_of(pipeline) if name.startswith("tagger.transformer/")}
    copied = bytes_of(pipeline)
    train(pipeline)

    assert len(own) > 30
    assert all(bytes_of(pipeline)[name] == copied[name] for name in own)
    fresh = pipeline.parameters.named_values["tagger/token_head.output.weight"]
    assert fresh.abs().max() > 0
    pipeline.to_disk(tmp_path / "model")
    assert bytes_of(frostline.load(tmp_path / "model")) == bytes_of(pipeline)
    again = train(make_pipeline(with_embedding(encoder, [kind, kind], layer="mix"), make_docs()))
    again.replace_listeners("tagger")
    assert [doc.xpos for doc in again.pipe([doc.copy() for doc in docs])] == expected


def test_replacing_what_is_not_there_is_refused(encoder: Path) -> None:
    config = make_config(encoder, ["independent"])
    config["training"]["replace_listeners"] = ["tagger"]

    with pytest.raises(ConfigError, match="'tagger' reads no publisher") as error:
        assemble(config)

    assert error.value.where == "training.replace_listeners"


def test_a_private_copy_of_a_tok2vec_starts_as_the_publisher_does_and_stays_so(tmp_path: Path) -> None:
    config = with_tok2vec(make_config(Path("nowhere"), ["listener", "listener"]))
    config["training"]["replace_listeners"] = ["tagger"]
    pipeline = make_pipeline(config, make_docs())
    copied = [name for name in bytes_of(pipeline) if name.startswith("tagger.tok2vec/")]
    before = bytes_of(pipeline)

    train(pipeline)

    assert len(copied) == 16
    for name in copied:
        assert before[name] == before[name.replace("tagger.tok2vec/", "transformer/")] == bytes_of(pipeline)[name]
    assert bytes_of(pipeline, "transformer/") != {n: b for n, b in before.items() if n.startswith("transformer/")}
    pipeline.replace_listeners("morphologizer")
    after = bytes_of(pipeline)
    assert all(after[name] == after[name.replace("transformer/", "morphologizer.tok2vec/")]
               for name in after if name.startswith("transformer/"))  # fmt: skip
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")
    assert bytes_of(frostline.load(tmp_path / "model")) == after


def test_a_tok2vec_is_sampled_and_no_stack_of_layers() -> None:
    config = with_tok2vec(make_config(Path("nowhere"), ["listener"]), dropout=0.3)
    pipeline = make_pipeline(config, make_docs())

    assert (pipeline.sample("the dog", n=8, dropout=0.0).spreads["tagger"]["xpos"].std > 0).any()
    config["training"]["freezing"] = {"lowest_layers": {"transformer": 1}}
    with pytest.raises(ConfigError, match="no transformer"):
        make_pipeline(config, make_docs())
