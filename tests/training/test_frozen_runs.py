"""A frozen run ends in the same bytes wherever its activations come from, and never meets those of other settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from frostline.cli.main import run as run_cli
from frostline.config import Config, registry
from frostline.corpora.store import write_corpus
from frostline.embedding.cache import ActivationCache
from frostline.embedding.embedders import embedder_of, load
from frostline.embedding.store import open_activations
from frostline.embedding.transformer import Input, Transformer
from frostline.errors import ConfigError, FrostlineError, UsageError
from frostline.layers.modes import declare
from frostline.tokens import Doc
from frostline.training.embedding import embed_corpora
from frostline.training.run import train
from tests.pipeline.tiny import make_config, make_docs, make_encoder, transformer


@registry.windows("test.halves.v1")
def build_halves(*, overlap: int = 0) -> Any:
    def halves(docs: Any) -> Any:
        return [[(0, len(doc) // 2 + overlap), (len(doc) // 2, len(doc))] for doc in docs if doc is not None]

    return halves


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frozen")
    make_encoder(folder / "encoder")
    for name in ("train", "dev"):
        write_corpus(make_docs(), folder / name)
    return folder


def config_of(folder: Path, settings: dict[str, Any], **training: Any) -> Config:
    config = make_config(folder / "encoder", ["listener", "listener"], settings=settings,
                         modes={"transformer.*": "frozen"})  # fmt: skip
    config["system"] = {"seed": 0, "threads": 1, "deterministic": "yes", "device": "cpu"}
    config["corpora"] = {name: {"@readers": "frostline.Corpus.v1", "path": str(folder / name)}
                         for name in ("train", "dev")}  # fmt: skip
    config["training"] |= {
        "max_epochs": 3, "max_steps": 0, "patience": 0, "eval_frequency": 0, "accumulate_gradient": 1, "dropout": 0.1,
        "seed": None, "averages": "none", "score_weights": {}, "logger": None,
        "batcher": {"@batchers": "frostline.batch_by_words.v1", "n_words": 9},
        "optimizer": {"@optimizers": "frostline.Adam.v1", "learn_rate": 0.01},
    } | training  # fmt: skip
    return Config(config)


def bytes_of(folder: Path) -> dict[str, bytes]:
    parts = ("model-best", "model-last", "log.jsonl")
    found = {str(f.relative_to(folder)): f for name in parts for f in [folder / name, *(folder / name).rglob("*")]}
    return {name: file.read_bytes() for name, file in found.items() if file.is_file() and file.name != "config.cfg"}


@pytest.fixture
def n_computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many docs each call computed afresh."""
    counts: list[int] = []
    afresh = Transformer.frozen_activations

    def counting(self: Transformer, given: Input) -> Any:
        counts.append(len(given.docs))
        return afresh(self, given)

    monkeypatch.setattr(Transformer, "frozen_activations", counting)
    return counts


@pytest.mark.parametrize("windows", [None, {"@windows": "test.halves.v1", "overlap": 1}], ids=["strided", "chosen"])
@pytest.mark.parametrize(("precision", "storage"), [("float32", "float32"), ("bf16", "bf16"), ("float32", "float16")])
def test_afresh_from_a_cache_from_a_small_cache_and_from_an_embed_step(
    folder: Path, tmp_path: Path, precision: str, storage: str, windows: dict[str, Any] | None,
    monkeypatch: pytest.MonkeyPatch, n_computed: list[int],
) -> None:  # fmt: skip
    settings: dict[str, Any] = {"precision": precision, "storage": storage}
    if windows:
        settings["windows"] = windows
    embed_corpora(config_of(folder, settings), [folder / "train", folder / "dev"], tmp_path / "embedded")
    n_docs: dict[str, int] = {}
    for name, training in (
        ("afresh", {"activation_cache_mib": 0}),
        ("cache", {}),
        ("embed", {"activations": {"transformer": str(tmp_path / "embedded")}}),
    ):
        n_computed.clear()
        train(config_of(folder, settings, **training), tmp_path / name)
        n_docs[name] = sum(n_computed)
    small = lambda *given, **named: ActivationCache(*given, **{**named, "max_bytes": 600})  # noqa: E731
    monkeypatch.setattr("frostline.training.run.ActivationCache", small)
    n_computed.clear()
    train(config_of(folder, settings), tmp_path / "small")

    expected = bytes_of(tmp_path / "afresh")
    assert len(expected) > 8
    for name in ("cache", "embed", "small"):
        assert bytes_of(tmp_path / name) == expected, name
    assert n_docs["afresh"] == 37  # three epochs, each with an evaluation, and one doc that is tried at first
    assert n_docs["cache"] == 7
    assert n_docs["embed"] == 1
    assert 7 < sum(n_computed) <= 37


def with_two_transformers(folder: Path, **training: Any) -> Config:
    config = config_of(folder, {}, **training)
    second = {"factory": "transformer", "model": transformer(folder / "second")}
    config["components"] = {"second": second, **config["components"]}
    config["components"]["morphologizer"]["model"]["embedding"]["publisher"] = "second"
    config["pipeline"]["components"] = list(config["components"])
    config["pipeline"]["modes"]["second.*"] = "frozen"
    return config


def test_each_of_two_transformers_can_be_embedded_with_and_read_from_its_store(
    folder: Path, tmp_path: Path, n_computed: list[int]
) -> None:
    make_encoder(folder / "second", seed=1)
    config = tmp_path / "two.cfg"
    config.write_text(with_two_transformers(folder).to_str())
    names = ("transformer", "second")
    train(with_two_transformers(folder, activation_cache_mib=0), tmp_path / "afresh")

    for name in names:
        run_cli(["embed", str(config), str(folder / "train"), str(folder / "dev"), "--output", str(tmp_path / name),
                 "--publisher", name, "--quiet"])  # fmt: skip
    n_computed.clear()
    stores = {name: str(tmp_path / name) for name in names}
    train(with_two_transformers(folder, activations=stores), tmp_path / "stored")

    assert bytes_of(tmp_path / "stored") == bytes_of(tmp_path / "afresh")
    assert sum(n_computed) == 2  # the doc that each is tried with
    with pytest.raises(ConfigError, match="made with another encoder"):
        train(with_two_transformers(folder, activations={"second": stores["transformer"]}), tmp_path / "wrong")


def test_a_transformer_must_be_named_where_there_are_two(folder: Path, tmp_path: Path) -> None:
    make_encoder(folder / "second", seed=1)
    config = with_two_transformers(folder)

    with pytest.raises(ConfigError, match="has 2 transformers: second, transformer") as several:
        embed_corpora(config, [folder / "dev"], tmp_path / "a")
    with pytest.raises(UsageError, match="'secnd' is no transformer") as unknown:
        embed_corpora(config, [folder / "dev"], tmp_path / "a", publisher="secnd")
    with pytest.raises(UsageError, match="'tagger' is no transformer"):
        embed_corpora(config, [folder / "dev"], tmp_path / "a", publisher="tagger")

    assert "--publisher second" in str(several.value.fix)
    assert unknown.value.where == "--publisher" and "'second'" in str(unknown.value.fix)
    assert not (tmp_path / "a").exists()


def made(source: Path, layers: tuple[int, ...] = (-1,), **settings: Any) -> Transformer:
    model = registry.resolve(transformer(source, **{"stride": 5, **settings}), path="m")
    load(model, source)
    one = embedder_of(model)
    declare({"transformer": one.ready}, {"transformer": "frozen"})
    one.layers = layers
    return one


def other_encoder(source: Path, place: Path, change: Callable[[dict[str, Any]], None], name: str) -> Path:
    """The same encoder with a change to one of its JSON files."""
    from shutil import copytree

    copytree(source, place)
    content = json.loads((place / name).read_text())
    change(content)
    (place / name).write_text(json.dumps(content))
    return place


def lower_case(content: dict[str, Any]) -> None:
    content["normalizer"] = {"type": "Lowercase"}


def no_marks(content: dict[str, Any]) -> None:
    content["post_processor"] = None


def other_activation(content: dict[str, Any]) -> None:
    content["hidden_act"] = "relu"


CHANGES: dict[str, Callable[[Path, Path], Transformer]] = {
    "weights": lambda source, place: made(make_encoder(place, seed=1)),
    "encoder config": lambda s, place: made(other_encoder(s, place, other_activation, "config.json")),
    "encoder settings": lambda s, place: made(s, transformer_settings={"hidden_act": "relu"}),
    "tokenizer": lambda s, place: made(other_encoder(s, place, lower_case, "tokenizer.json")),
    "special tokens": lambda s, place: made(other_encoder(s, place, no_marks, "tokenizer.json")),
    "window": lambda s, place: made(s, window=5),
    "stride": lambda s, place: made(s, stride=30),
    "getter": lambda s, place: made(s, windows={"@windows": "test.halves.v1"}),
    "layers": lambda s, place: made(s, layers=(0, -1)),
    "precision": lambda s, place: made(s, precision="bf16"),
    "storage": lambda s, place: made(s, storage="bf16"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_what_numbers_depend_on_never_meets_a_stale_entry(
    folder: Path, tmp_path: Path, change: str
) -> None:
    docs = make_docs()

    def with_cache(one: Transformer) -> Transformer:
        one.stores.append(
            ActivationCache(tmp_path / "cache", one.store_settings(), storage=one.settings.storage)
        )
        return one

    before = with_cache(made(folder / "encoder"))
    before.compute(docs, is_train=False)
    assert len(before.stores[0]) == 6
    same = with_cache(made(folder / "encoder"))
    assert len(same.stores[0]) == 6

    changed = CHANGES[change](folder / "encoder", tmp_path / "other")
    expected = changed.compute(docs, is_train=False).pieces
    assert len(with_cache(changed).stores[0]) == 0
    found = changed.compute(docs, is_train=False).pieces

    assert found.numpy().tobytes() == expected.numpy().tobytes()


def test_a_changed_word_space_or_window_is_another_entry(folder: Path, tmp_path: Path) -> None:
    one = made(folder / "encoder", windows={"@windows": "test.halves.v1"})
    words = ["the", "dog", "walks", "quickly"]
    docs = [
        Doc.from_words(words), Doc.from_words(["The", *words[1:]]), Doc.from_words(words, [False, True, True, False]),
        Doc.from_words(words[:3]), Doc.from_words(["thedog", *words[2:]]),
    ]  # fmt: skip
    keys = set(one.read(docs).keys())
    overlapping = made(folder / "encoder", windows={"@windows": "test.halves.v1", "overlap": 1})
    strided = made(folder / "encoder")

    assert len(keys | set(overlapping.read(docs).keys()) | set(strided.read(docs).keys())) == 15


def test_a_corpus_that_is_missing_is_told_before_another_one_is_embedded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_computed: list[int]
) -> None:
    monkeypatch.setattr("frostline.embedding.embed_step.WORDS_AT_ONCE", 1)
    with pytest.raises(FrostlineError, match="nowhere"):
        embed_corpora(config_of(folder, {}), [folder / "dev", tmp_path / "nowhere"], tmp_path / "embedded")

    assert not n_computed


def test_a_getter_of_windows_is_asked_once_for_a_batch_of_which_a_part_is_kept(folder: Path, tmp_path: Path) -> None:
    asked: list[int] = []

    def counting(docs: Sequence[Doc]) -> list[list[tuple[int, int]]]:
        asked.append(len(docs))
        return [[(0, len(doc))] for doc in docs]

    registry.windows("test.counting.v1")(lambda: counting)
    one, docs = made(folder / "encoder", windows={"@windows": "test.counting.v1"}), make_docs()
    one.stores.append(ActivationCache(tmp_path / "cache", one.store_settings()))
    one.compute(docs[:2], is_train=False)
    one.compute(docs, is_train=False)

    assert asked == [2, len(docs)]


@pytest.mark.parametrize("change", [name for name in CHANGES if name != "layers"])
def test_activations_of_an_embed_step_with_other_settings_are_refused(
    folder: Path, tmp_path: Path, change: str
) -> None:
    from frostline.training.run import _compare

    embed_corpora(config_of(folder, {"stride": 5}), [folder / "dev"], tmp_path / "embedded")
    stored = open_activations(tmp_path / "embedded").settings

    _compare(stored, made(folder / "encoder").store_settings(), "embedded", "training.activations.transformer")
    with pytest.raises(ConfigError, match="were made with another"):
        _compare(stored, CHANGES[change](folder / "encoder", tmp_path / "other").store_settings(), "embedded", "x")


def test_numbers_are_those_of_the_storage_in_prediction_too(folder: Path) -> None:
    docs = make_docs()
    exact, rounded = (made(folder / "encoder", storage=storage) for storage in ("float32", "bf16"))

    expected = exact.compute(docs, is_train=False).pieces.to(torch.bfloat16).float()

    assert torch.equal(rounded.compute(docs, is_train=False).pieces, expected)
