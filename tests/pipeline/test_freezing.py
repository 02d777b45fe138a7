"""What stands still does so to the byte, for as long as it is told to; layers thaw one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from thinc.api import Dropout, Linear, chain

import frostline
from frostline.config import Config
from frostline.errors import ConfigError, UsageError
from frostline.layers import modes
from frostline.layers.module_tree import tree_of
from frostline.layers.randomness import Clock
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.wiring import assemble
from frostline.tokens import Doc
from frostline.training.optimizer import build_adam
from tests.pipeline.tiny import examples_of, make_config, make_docs, make_encoder, make_pipeline

ONE_BY_ONE = {"@schedules": "frostline.one_by_one.v1", "steps_each": 1, "first": 0}
LAYERS = ("embeddings", "encoder.layer.0", "encoder.layer.1")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


def frozen_config(encoder: Path, freezing: dict[str, Any], **options: Any) -> dict[str, Any]:
    config = make_config(encoder, ["listener", "annotating"], **options)
    config["training"]["freezing"] = freezing
    return config


def step(pipeline: Pipeline, optimizer: Any, number: int) -> None:
    pipeline.begin_step(step=number, last_score=None)
    pipeline.parameters.zero_gradients()
    pipeline.update([examples_of(make_docs())], dropout=0.1, clock=Clock(seed=0, step=number))
    optimizer.step(pipeline.parameters, step=number)


def bytes_of(pipeline: Pipeline) -> dict[str, bytes]:
    return {name: values.numpy().tobytes() for name, values in pipeline.parameters.named_values.items()}


def layers_that_differ(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    moved = [name for name in before if before[name] != after[name]]
    return [layer for layer in LAYERS if any(name.startswith(f"transformer/model.{layer}.") for name in moved)]


@pytest.mark.parametrize(("n_lowest", "moving"), [(0, LAYERS[1:]), (1, LAYERS[2:]), (2, ())])
def test_the_lowest_layers_stand_still_and_get_no_gradient(
    encoder: Path, n_lowest: int, moving: tuple[str, ...]
) -> None:
    pipeline = make_pipeline(frozen_config(encoder, {"lowest_layers": {"transformer": n_lowest}}), make_docs())
    before, optimizer = bytes_of(pipeline), build_adam(learn_rate=0.01)

    for number in range(2):
        step(pipeline, optimizer, number)

    assert layers_that_differ(before, bytes_of(pipeline)) == list(moving)
    still = [layer for layer in LAYERS if layer not in moving]
    for layer in still:
        module = pipeline.publishers["transformer"].embedder.module.model.get_submodule(layer)
        assert all(parameter.grad is None for parameter in module.parameters())


THAWS = {
    "by the config": ("listener", "transformer", ""),
    "of a private one": ("independent", "tagger.transformer", ""),
    "by a block": ("listener", "transformer", "block"),
}


@pytest.mark.parametrize("how", THAWS)
def test_a_layer_that_thaws_in_a_frozen_whole_learns_as_it_does_in_one_that_moves(encoder: Path, how: str) -> None:
    kind, name, block = THAWS[how]
    thaw = {f"{name}.*": "frozen", f"{name}.model.encoder.layer.1.*": "train"}
    thawed = make_pipeline(make_config(encoder, [kind], modes={} if block else thaw), make_docs())
    whole = make_pipeline(make_config(encoder, [kind]), make_docs())

    with thawed.modes(thaw if block else {}):
        gradients = gradients_of(thawed)

    expected = gradients_of(whole)
    learning = [key for key in gradients if key.startswith(f"{name}/")]
    assert learning and all(".layer.1." in key for key in learning)
    for key in learning:
        torch.testing.assert_close(gradients[key], expected[key], atol=1e-6, rtol=1e-4)
        assert gradients[key].any() or "key.bias" in key


def gradients_of(pipeline: Pipeline) -> dict[str, torch.Tensor]:
    pipeline.parameters.zero_gradients()
    pipeline.update([examples_of(make_docs())], dropout=0.0, clock=Clock(seed=0))
    return {name: values.clone() for name, values in pipeline.parameters.named_gradients.items()}


def test_what_is_frozen_piece_by_piece_is_frozen_as_a_whole(encoder: Path) -> None:
    every = {"lowest_layers": {"transformer": 2}}
    pieces = [
        make_pipeline(make_config(encoder, ["listener"], modes={"transformer.model.*": "frozen"}), make_docs()),
        make_pipeline(frozen_config(encoder, every), make_docs()),
    ]
    moving = make_pipeline(make_config(encoder, ["listener"], modes={"transformer.*": "frozen", "*.1.*": "train"}),
                           make_docs())  # fmt: skip

    assert all(modes.stands_still(one.publishers["transformer"].embedder.module) for one in pieces)
    assert not modes.stands_still(moving.publishers["transformer"].embedder.module)


def test_a_private_transformer_is_frozen_by_its_modules_name(encoder: Path) -> None:
    config = make_config(encoder, ["independent", "listener"])
    config["training"]["freezing"] = {"lowest_layers": {"tagger.transformer": 1}, "unfreezing": {"transformer": 1}}
    pipeline = make_pipeline(config, make_docs())
    before = bytes_of(pipeline)

    step(pipeline, build_adam(learn_rate=0.01), 0)

    after = bytes_of(pipeline)
    moved = {name for name in before if before[name] != after[name] and "transformer/" in name}
    assert {name.partition("/model.")[2].partition(".attention")[0].partition(".output")[0].partition(".interm")[0]
            for name in moved} == {"encoder.layer.1"}  # fmt: skip
    assert {name.partition("/")[0] for name in moved} == {"tagger.transformer", "transformer"}


def test_layers_thaw_one_by_one_from_the_top(encoder: Path) -> None:
    pipeline = make_pipeline(frozen_config(encoder, {"unfreezing": {"transformer": ONE_BY_ONE}}), make_docs())
    optimizer, seen = build_adam(learn_rate=0.01), []

    for number in range(4):
        before = bytes_of(pipeline)
        step(pipeline, optimizer, number)
        seen.append(layers_that_differ(before, bytes_of(pipeline)))

    assert seen == [[], ["encoder.layer.1"], ["encoder.layer.0", "encoder.layer.1"], list(LAYERS)]


def test_a_layer_that_thaws_begins_with_fresh_moments_and_the_others_keep_theirs(encoder: Path) -> None:
    pipeline = make_pipeline(frozen_config(encoder, {"unfreezing": {"transformer": ONE_BY_ONE}}), make_docs())
    optimizer = build_adam(learn_rate=0.01)

    for number in range(3):
        step(pipeline, optimizer, number)

    steps = {name: int(value) for name, value in optimizer.state_dict().items() if name.startswith("step/")}
    assert steps["step/tagger/weights"] == 3
    assert steps["step/transformer/weights/layer-02"] == 2
    assert steps["step/transformer/weights/layer-01"] == 1
    assert "step/transformer/weights/layer-00" not in steps


def test_what_a_pattern_or_a_block_freezes_within_a_layer_stays_when_the_layer_thaws(encoder: Path) -> None:
    config = frozen_config(encoder, {"unfreezing": {"transformer": ONE_BY_ONE}}, modes={"*.LayerNorm": "frozen"})
    pipeline = make_pipeline(config, make_docs())
    before, optimizer = bytes_of(pipeline), build_adam(learn_rate=0.01)

    step(pipeline, optimizer, 0)
    with pipeline.modes({"transformer.model.encoder.layer.1.attention.*": "frozen"}):
        step(pipeline, optimizer, 1)
        in_block = bytes_of(pipeline)
    step(pipeline, optimizer, 2)

    moved = {name for name in before if before[name] != in_block[name] and name.startswith("transformer/")}
    assert {name.split(".")[4] for name in moved} == {"intermediate", "output"}
    after = bytes_of(pipeline)
    moved = {name for name in before if before[name] != after[name] and name.startswith("transformer/")}
    assert {name.split(".")[4] for name in moved} == {"attention", "intermediate", "output"}
    assert not any("LayerNorm" in name for name in moved)


def test_a_block_in_which_nothing_is_frozen_computes_as_an_encoder_that_moves(encoder: Path) -> None:
    docs, moving = make_docs(), make_pipeline(frozen_config(encoder, {}), make_docs())
    lowest = {"lowest_layers": {"transformer": 1}}
    pipeline = make_pipeline(frozen_config(encoder, lowest, settings={"storage": "float16"}), docs)

    def numbers_of(one: Pipeline) -> torch.Tensor:
        numbers: torch.Tensor = one.publishers["transformer"].embedder.compute(docs, is_train=False).pieces
        return numbers

    rounded, expected = numbers_of(pipeline), numbers_of(moving)
    with pipeline.modes({"transformer.*": "eval"}):
        found = numbers_of(pipeline)

    assert torch.equal(found, expected)
    assert not torch.equal(rounded, expected)
    assert torch.allclose(rounded, expected, atol=0.02)
    assert torch.equal(numbers_of(pipeline), rounded)


def test_the_lowest_layers_never_thaw(encoder: Path) -> None:
    freezing = {"lowest_layers": {"transformer": 1}, "unfreezing": {"transformer": 99}}
    pipeline = make_pipeline(frozen_config(encoder, freezing), make_docs())
    before = bytes_of(pipeline)

    step(pipeline, build_adam(learn_rate=0.01), 0)

    assert layers_that_differ(before, bytes_of(pipeline)) == ["encoder.layer.1"]


FAULTY = [
    ({"lowest_layers": {"transfomer": 1}}, {}, "is no transformer", "training.freezing.lowest_layers.transfomer"),
    ({"lowest_layers": {"transformer": 3}}, {}, "it has 2", "training.freezing.lowest_layers.transformer"),
    ({"unfreezing": {"tagger": 1}}, {}, "is no transformer", "training.freezing.unfreezing.tagger"),
    ({"unfreezing": {"transformer": 1}}, {"transformer.*": "frozen"}, "frozen as a whole",
     "training.freezing.unfreezing.transformer"),
]  # fmt: skip


@pytest.mark.parametrize(("freezing", "declared", "message", "where"), FAULTY)
def test_a_plan_that_can_not_be_is_refused_with_its_place_and_mend(
    encoder: Path, freezing: dict[str, Any], declared: dict[str, str], message: str, where: str
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        make_pipeline(frozen_config(encoder, freezing, modes=declared), make_docs())

    assert error.value.where == where
    assert error.value.fix


def test_modes_of_a_block_hold_in_it_and_what_held_before_comes_back(encoder: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener"], modes={"transformer.model.embeddings.*": "frozen"}),
                             make_docs())  # fmt: skip
    module, optimizer = pipeline.publishers["transformer"].embedder.module, build_adam(learn_rate=0.01)
    flags = [parameter.requires_grad for parameter in module.parameters()]
    before = bytes_of(pipeline)

    with pytest.raises(RuntimeError, match="inside"), pipeline.modes({"transformer.*": "frozen"}):
        assert modes.mode_of(module) is modes.Mode.FROZEN
        step(pipeline, optimizer, 0)
        with pipeline.modes({"tagger.*": "eval"}):
            assert modes.mode_of(module) is modes.Mode.FROZEN
        raise RuntimeError("inside")

    assert layers_that_differ(before, bytes_of(pipeline)) == []
    assert [parameter.requires_grad for parameter in module.parameters()] == flags
    step(pipeline, optimizer, 1)
    assert layers_that_differ(before, bytes_of(pipeline)) == list(LAYERS[1:])
    with pytest.raises(ConfigError, match="matches no module"), pipeline.modes({"transfomer.*": "frozen"}):
        pass
    assert [parameter.requires_grad for parameter in module.parameters()] == flags


def test_a_publisher_that_nobody_teaches_stays_so_after_a_block(encoder: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["detached"]), make_docs())

    with pipeline.modes({"tagger.*": "frozen"}):
        pass

    assert not any(name.startswith("transformer/") for name in pipeline.parameters.named_gradients)


def test_layers_of_thinc_take_modes_by_name_too() -> None:
    model = chain(Linear(nI=2, nO=3), Dropout(0.9), Linear(nI=3, nO=2))
    for layer in (model.layers[0], model.layers[2]):
        layer.initialize()
    tree = tree_of(model)

    modes.declare({"net": tree}, {"net.linear": "frozen", "net.dropout": "frozen"})

    assert [layer.attrs.get("frozen", False) for layer in model.layers] == [True, True, False]
    assert model.layers[1].attrs["is_enabled"] is False
    modes.declare({"net": tree}, {"net.dropout": "sample"})
    ones = model.ops.alloc2f(200, 3) + 1
    assert (model.layers[1].predict(ones) == 0).mean() > 0.5
    modes.declare({"net": tree}, {})
    assert (model.layers[1].predict(ones) == 1).all()
    assert [layer.attrs["frozen"] for layer in model.layers] == [False, False, False]


def test_sampling_gives_the_spread_of_the_probabilities_and_leaves_nothing_behind(encoder: Path) -> None:
    config = make_config(encoder, ["listener", "annotating"], modes={"transformer.*": "frozen"})
    config["components"]["transformer"]["model"]["transformer_settings"] = {"hidden_dropout_prob": 0.3}
    pipeline = make_pipeline(config, make_docs())
    plain = pipeline("the dog walks").xpos

    first, second = (pipeline.sample("the dog walks", n=10, seed=4) for _ in range(2))
    other = pipeline.sample("the dog walks", n=10, seed=5)

    spread = first.spreads["tagger"]["xpos"]
    assert spread.mean.shape == spread.std.shape == (3, len(spread.labels))
    assert torch.allclose(torch.from_numpy(spread.mean.sum(axis=1)), torch.ones(3))
    assert (spread.std > 0).all()
    assert (spread.mean == second.spreads["tagger"]["xpos"].mean).all()
    assert (spread.mean != other.spreads["tagger"]["xpos"].mean).any()
    assert [label for label, _, _ in spread.best] == first.doc.xpos.values()
    assert set(first.spreads["morphologizer"]) == {"upos", "feats"}
    assert pipeline("the dog walks").xpos == plain
    assert modes.mode_of(pipeline.publishers["transformer"].embedder.module) is modes.Mode.FROZEN
    assert pipeline.sample(Doc.from_words([]), n=2).spreads["tagger"]["xpos"].mean.shape[0] == 0
    with pytest.raises(UsageError, match="2 samples"):
        pipeline.sample("the dog", n=1)
    for wrong in ("x", 2.5, True, None):
        with pytest.raises(UsageError, match="must be a whole one"):
            pipeline.sample("the dog", n=wrong)  # type: ignore[arg-type]
    for wrong in ("x", None, 1.0, -0.1):
        with pytest.raises(UsageError, match="from 0 to below 1"):
            pipeline.sample("the dog", dropout=wrong)  # type: ignore[arg-type]


def test_added_labels_leave_every_score_as_it_was_to_the_bit(encoder: Path, tmp_path: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener", "listener"]), make_docs())
    optimizer, docs = build_adam(learn_rate=0.01), [doc.without_annotations() for doc in make_docs()]
    for number in range(2):
        step(pipeline, optimizer, number)
    tagger, morphologizer = pipeline.components["tagger"], pipeline.components["morphologizer"]
    before = tagger.model.predict(docs), morphologizer.model.predict(docs)
    n_upos = len(morphologizer.labels["upos"])
    moments = optimizer.state_dict()["exp_avg/tagger/weights"].clone()

    pipeline.add_labels("tagger", ["FW", "UH"])
    pipeline.add_labels("morphologizer", {"upos": ["X", "INTJ"], "feats": ["Foreign=Yes"]})
    pipeline.add_labels("tagger", ["LS"])
    after = tagger.model.predict(docs), morphologizer.model.predict(docs)

    assert tagger.labels["xpos"][-3:] == ("FW", "UH", "LS")
    assert torch.equal(after[0][:, :-3], before[0])
    assert torch.equal(after[0][:, -3:], torch.zeros(len(before[0]), 3))
    assert torch.equal(after[1][:, :n_upos], before[1][:, :n_upos])
    assert torch.equal(after[1][:, n_upos : n_upos + 2], torch.zeros(len(before[0]), 2))
    assert torch.equal(after[1][:, n_upos + 2 : -1], before[1][:, n_upos:])
    pipeline.parameters.zero_gradients()
    optimizer.step(pipeline.parameters, step=2)
    n_kept = before[0].shape[1] * 24
    assert torch.allclose(optimizer.state_dict()["exp_avg/tagger/weights"][:n_kept], moments[:n_kept] * 0.9)
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")
    loaded = frostline.load(tmp_path / "model")
    for name in ("tagger", "morphologizer"):
        scores = pipeline.components[name].model.predict(docs)
        assert torch.equal(loaded.components[name].model.predict(docs), scores)


def test_weights_come_back_after_other_ones_whatever_was_frozen_or_added_in_between(encoder: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener"]), make_docs())
    before = {name: values.clone() for name, values in pipeline.parameters.named_values.items()}

    frozen = pipeline.modes({"transformer.*": "frozen"})
    frozen.__enter__()
    zeros = {group.name: torch.zeros_like(group.values) for group in pipeline.parameters.groups}
    with pipeline.parameters.use(zeros):
        pipeline.add_labels("tagger", ["FW"])
        frozen.__exit__(None, None, None)

    after = pipeline.parameters.named_values
    assert all(torch.equal(after[name][: len(values)], values) for name, values in before.items())
    assert len(after["tagger/output.weight"]) == len(before["tagger/output.weight"]) + 1


def test_an_added_label_is_learnt(encoder: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener"]), make_docs())
    pipeline.add_labels("tagger", ["NEW"])
    doc = Doc.from_words(["dogs"], xpos=["NEW"])
    optimizer = build_adam(learn_rate=0.05)
    for number in range(10):
        pipeline.parameters.zero_gradients()
        pipeline.update([examples_of([doc])], dropout=0.0, clock=Clock(seed=0, step=number))
        optimizer.step(pipeline.parameters, step=number)

    assert pipeline("dogs").xpos.values() == ["NEW"]


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [("tagger", ["NN"], "knows the label 'NN'"), ("tagger", {"upos": ["X"]}, "can't learn new labels of upos"),
     ("transformer", ["X"], "no labels that could grow"), ("morphologizer", ["X"], "open which labels"),
     ("tager", ["X"], "no component 'tager'"), ("tagger", ["A", "A"], "'A' of xpos is given twice"),
     ("tagger", [], "no label of xpos to add"), ("tagger", {}, "no label to add"), ("tagger", [3], "3: it is no text"),
     ("tagger", [None], "None: it is no text"), ("tagger", [b"X"], "b'X': it is no text"), ("tagger", 3, "no list"),
     ("tagger", "FW", "from 'FW': it is no list"), ("morphologizer", {"upos": "AUX"}, "from 'AUX': it is no list"),
     ("morphologizer", "AUX", "open which labels"), ("tagger", [""], "labels of xpos that are empty"),
     ("morphologizer", {"upos": ["X"], "feats": ["A=B", "A=B"]}, "'A=B' of feats is given twice"),
     ("tagger", ["\ud800"], "it is no text"), ("tagger", {3: ["X"]}, "new labels of 3"),
     ("tagger", ["a\tb"], r"such as 'a\\tb'. A line of CoNLL-U can't hold"), ("tagger", ["a\n"], "line break"),
     ("tagger", ["a b"], "xpos can't hold white space"), ("tagger", ["_"], "'_' says that there is no label"),
     ("morphologizer", {"feats": ["Foo"]}, "FEATS has 'Foo', which is no feature"),
     ("morphologizer", {"feats": ["A=b|Foo="]}, "FEATS has 'Foo=', which is no feature"),
     ("morphologizer", {"feats": ["=x"]}, "FEATS has '=x'"), ("morphologizer", {"feats": [" "]}, "white space"),
     ("morphologizer", {"feats": ["_"]}, "no label"), ("morphologizer", {"feats": ["A=b|A=c"]}, "feature 'A' twice"),
     ("morphologizer", {"feats": ["B=x|A=y"]}, "not in the order of their names")],
)  # fmt: skip
def test_labels_that_can_not_be_added_are_refused(encoder: Path, name: str, labels: Any, message: str) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener", "listener"]), make_docs())
    before = bytes_of(pipeline)

    with pytest.raises(UsageError, match=message):
        pipeline.add_labels(name, labels)

    assert bytes_of(pipeline) == before


def test_labels_as_corpora_have_them_can_be_added(encoder: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener", "listener"]), make_docs())
    odd = ["-LRB-", "``", "''", "$", "HYPH", "N__N", "V|Sing=3", "ne-pas", "Ncmsn---", "<root>", "#", "ⵣ"]
    feats = ["Abbr=Yes|Number[psor]=Plur|NumType=Card", "Case=Acc,Nom|Typo=Yes", "ExtPos=ADV"]

    pipeline.add_labels("tagger", odd)
    pipeline.add_labels("morphologizer", {"feats": feats})

    assert pipeline.components["tagger"].labels["xpos"][-len(odd) :] == tuple(odd)
    assert pipeline.components["morphologizer"].labels["feats"][-len(feats) :] == tuple(feats)


def test_the_order_of_features_that_a_label_should_have_is_told(encoder: Path) -> None:
    pipeline = make_pipeline(make_config(encoder, ["listener", "listener"]), make_docs())

    with pytest.raises(UsageError) as told:
        pipeline.add_labels("morphologizer", {"feats": ["VerbForm=Fin|number=Sing|Mood=Ind"]})

    assert told.value.fix == "Write Mood=Ind|number=Sing|VerbForm=Fin."


def test_a_word_without_features_is_a_label_that_can_be_added_and_loaded(encoder: Path, tmp_path: Path) -> None:
    docs = make_docs()
    for doc in docs:
        doc.feats = ["Number=Sing"] * len(doc)
    pipeline = make_pipeline(make_config(encoder, ["listener", "listener"]), docs)
    pipeline.add_labels("morphologizer", {"feats": [""]})
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")

    loaded = frostline.load(tmp_path / "model")

    assert loaded.components["morphologizer"].labels["feats"] == ("Number=Sing", "")


def test_an_encoder_whose_layers_share_their_weights_has_no_heights() -> None:
    from frostline.embedding.layer_stack import stack_of
    from tests.embedding.tiny import FAMILIES, tiny_encoder

    with pytest.raises(ConfigError, match="can't be told apart"):
        stack_of(tiny_encoder("albert"), n_layers=2)
    for family in FAMILIES:
        if family != "albert":
            one = tiny_encoder(family)
            groups = stack_of(one, n_layers=2)
            modules = [one.get_submodule(name) for group in groups for name in group]
            owned = {id(parameter) for module in modules for parameter in module.parameters()}
            assert owned == {id(parameter) for parameter in one.parameters()}, family
            assert all(groups), family


def test_a_reader_frozen_with_its_publisher_assembles(encoder: Path) -> None:
    pipeline = assemble(make_config(encoder, ["listener"], frozen=["tagger", "transformer"]))

    assert pipeline.frozen == {"tagger", "transformer"}
