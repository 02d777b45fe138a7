"""A run whose lower layers stand still computes them once, and ends in the same bytes whatever was kept of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.models.bert.modeling_bert import BertLayer

import frostline
from frostline.config import Config
from frostline.embedding.cache import ActivationCache
from frostline.embedding.hub import save_encoder
from frostline.embedding.layer_stack import stack_of
from frostline.embedding.pieces import Pieces
from frostline.embedding.transformer import Input, Transformer
from frostline.embedding.windows import Windows
from frostline.layers.modes import declare
from frostline.pipeline.wiring import embedders_of
from frostline.tokens import Doc
from frostline.training.loop import StepResult
from frostline.training.run import PRIVATE_CACHE, attach_stores, train
from tests.embedding.families import encoder_of
from tests.pipeline.tiny import make_config, make_docs, make_encoder, make_pipeline
from tests.training.test_frozen_runs import CHANGES, bytes_of, config_of, folder, made
from tests.training.tiny_unfreezing import Killer

__all__ = ["folder"]  # a fixture
ROOT = Path(__file__).parents[2]
LOWEST = {"lowest_layers": {"transformer": 1}, "unfreezing": {}}
PATTERNS = {"transformer.model.embeddings.*": "frozen", "transformer.model.encoder.layer.0.*": "frozen"}
N_DOCS = 6


def partly(folder: Path, settings: dict[str, Any] | None = None, **training: Any) -> Config:
    """The config of a run over the same docs whose encoder's first layer and embeddings stand still."""
    config = config_of(folder, {}, **{"freezing": LOWEST} | training)
    config["components"]["transformer"]["model"] |= {"transformer_settings": {}, **(settings or {})}
    config["pipeline"]["modes"] = {}
    return config


def wholly(folder: Path) -> Config:
    return config_of(folder, {})


@pytest.fixture
def n_docs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many docs the lower layers were computed of, call by call."""
    found: list[int] = []
    afresh, whole = Transformer.lower_states, Transformer.frozen_activations

    def counting(self: Transformer, pieces: Pieces, windows: Windows) -> Any:
        found.append(len(pieces.n_pieces_of_doc))
        return afresh(self, pieces, windows)

    def counting_whole(self: Transformer, given: Input) -> Any:
        found.append(len(given.docs))
        return whole(self, given)

    monkeypatch.setattr(Transformer, "lower_states", counting)
    monkeypatch.setattr(Transformer, "frozen_activations", counting_whole)
    return found


@contextmanager
def caches_of(n_bytes: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small = lambda *given, **named: ActivationCache(*given, **{**named, "max_bytes": n_bytes})  # noqa: E731
        patch.setattr("frostline.training.run.ActivationCache", small)
        yield


HALVES = {"@windows": "test.halves.v1", "overlap": 1}
KINDS: dict[str, dict[str, Any]] = {
    "one window": {},
    "strided": {"window": 4, "stride": 3},
    "overlapping": {"windows": HALVES},
    "bf16": {"precision": "bf16", "storage": "bf16", "window": 4, "stride": 3},
    "rounded": {"storage": "float16", "windows": HALVES},
    "padded": {"family": "roformer", "window": 5, "stride": 3},
    "local attention": {"family": "modernbert", "window": 5, "stride": 3},
}


@pytest.mark.parametrize("kind", KINDS)
def test_with_a_cache_without_one_and_with_one_too_small_a_run_ends_in_the_same_bytes(
    folder: Path, tmp_path: Path, kind: str, n_docs: list[int]
) -> None:
    settings = dict(KINDS[kind])
    if family := settings.pop("family", None):
        save_encoder(encoder_of(family), tmp_path / "encoder")
        settings["source"] = str(tmp_path / "encoder")
    train(partly(folder, settings, activation_cache_mib=0), tmp_path / "afresh")
    n_afresh = sum(n_docs)
    n_docs.clear()
    train(partly(folder, settings), tmp_path / "cache")
    n_with_cache = sum(n_docs)
    n_docs.clear()
    with caches_of(1500):
        train(partly(folder, settings), tmp_path / "small")

    expected = bytes_of(tmp_path / "afresh")
    assert len(expected) > 8
    assert bytes_of(tmp_path / "cache") == bytes_of(tmp_path / "small") == expected
    assert n_afresh == 1 + 3 * 2 * N_DOCS  # one doc that is tried at first; three epochs, each with an evaluation
    assert n_with_cache == 1 + N_DOCS
    assert n_with_cache < sum(n_docs) <= n_afresh
    assert not (tmp_path / "cache" / PRIVATE_CACHE).exists()


def test_after_the_first_epoch_no_lower_layer_is_computed(folder: Path, tmp_path: Path) -> None:
    n_calls: dict[int, list[int]] = {}
    for n_epochs in (1, 3):
        counts = n_calls[n_epochs] = [0, 0]

        def count(module: Any, given: Any, output: Any, counts: list[int] = counts) -> None:
            if isinstance(module, BertLayer):
                counts[module.attention.self.layer_idx] += 1

        hook = torch.nn.modules.module.register_module_forward_hook(count)
        train(partly(folder, max_epochs=n_epochs), tmp_path / str(n_epochs))
        hook.remove()

    assert n_calls[3][0] == n_calls[1][0]
    assert n_calls[3][1] > n_calls[1][1] + 4


def test_patterns_of_names_freeze_as_heights_do(folder: Path, tmp_path: Path, n_docs: list[int]) -> None:
    by_names = partly(folder, freezing={"lowest_layers": {}, "unfreezing": {}})
    by_names["pipeline"]["modes"] = PATTERNS
    train(by_names, tmp_path / "names")
    assert sum(n_docs) == 1 + N_DOCS
    train(partly(folder), tmp_path / "heights")

    assert bytes_of(tmp_path / "names") == bytes_of(tmp_path / "heights")


def test_transformers_of_components_keep_theirs_each_by_itself(
    folder: Path, tmp_path: Path, n_docs: list[int]
) -> None:
    def config_with(**training: Any) -> Config:
        lowest = {"lowest_layers": {"tagger.transformer": 1, "morphologizer.transformer": 0}, "unfreezing": {}}
        config = partly(folder, freezing=lowest, **training)
        private = make_config(folder / "encoder", ["independent", "independent"])
        config["components"], config["pipeline"]["components"] = private["components"], list(private["components"])
        return config

    train(config_with(), tmp_path / "cache")
    assert sum(n_docs) == 1 + N_DOCS
    train(config_with(activation_cache_mib=0), tmp_path / "afresh")

    assert bytes_of(tmp_path / "cache") == bytes_of(tmp_path / "afresh")


UNFREEZING = {"transformer": {"@schedules": "frostline.one_by_one.v1", "steps_each": 2, "first": 0}}


def test_what_a_schedule_never_frees_is_kept(folder: Path, tmp_path: Path, n_docs: list[int]) -> None:
    freezing = {**LOWEST, "unfreezing": UNFREEZING}
    train(partly(folder, freezing=freezing), tmp_path / "cache")
    assert sum(n_docs) == 1 + N_DOCS
    train(partly(folder, freezing=freezing, activation_cache_mib=0), tmp_path / "afresh")

    assert bytes_of(tmp_path / "cache") == bytes_of(tmp_path / "afresh")


@pytest.mark.parametrize("why", ["a schedule may free it", "a reader mixes all layers", "adapters"])
def test_nothing_is_kept_where(folder: Path, tmp_path: Path, why: str, n_docs: list[int]) -> None:
    config = partly(folder, max_epochs=1)
    if why == "a schedule may free it":
        config["training"]["freezing"] = {"lowest_layers": {}, "unfreezing": UNFREEZING}
    elif why == "adapters":
        config["training"]["freezing"] = {"lowest_layers": {}, "unfreezing": {}}
        config["components"]["transformer"]["model"]["adapter"] = {"rank": 2, "targets": ["query"]}
    else:
        config["components"]["tagger"]["model"]["embedding"]["layer"] = "mix"

    train(config, tmp_path / "out")

    assert n_docs == []


def killed(folder: str, output: str) -> None:
    """What a process does that is killed in the second epoch, when every doc is kept."""
    train(partly(Path(folder)), Path(output), logger=Killer(5))


def kill(folder: Path, output: Path) -> None:
    program = f"import sys; from {__name__} import killed; killed(*sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-c", program, str(folder), str(output)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


class Stop(Killer):
    """Stops the run, not the process."""

    def stepped(self, result: StepResult) -> None:
        if result.step == self.step:
            raise KeyboardInterrupt


def stop(config: Config, output: Path) -> None:
    """Leave what a kill leaves, without one: what the run would take with it stays."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("frostline.training.run.remove_tree", lambda path: None)
        train(config, output, logger=Stop(5))


@pytest.mark.parametrize("kind", ["partly, killed", "partly", "wholly"])
def test_killed_and_resumed_a_run_uses_what_it_has_kept_and_ends_in_the_same_bytes(
    folder: Path, tmp_path: Path, kind: str, n_docs: list[int]
) -> None:
    config = wholly(folder) if kind == "wholly" else partly(folder)
    train(config, tmp_path / "whole")
    if kind == "partly, killed":
        kill(folder, tmp_path / "killed")
    else:
        stop(config, tmp_path / "killed")
    assert (tmp_path / "killed" / PRIVATE_CACHE).is_dir()
    n_docs.clear()

    outcome = train(config, tmp_path / "killed")

    assert outcome.resumed_from == 3
    assert n_docs == [1]  # the one that is tried at first
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")
    assert not (tmp_path / "killed" / PRIVATE_CACHE).exists()


@pytest.mark.parametrize("other", ["settings", "threads"])
def test_what_another_run_has_left_is_not_used(
    folder: Path, tmp_path: Path, n_docs: list[int], other: str
) -> None:
    stop(partly(folder), tmp_path / "killed")
    config = partly(folder, {"storage": "bf16"} if other == "settings" else {})
    n_threads = 2 if other == "threads" else 0  # numbers may differ in their last bits
    n_docs.clear()

    train(config, tmp_path / "killed", threads=n_threads)

    assert sum(n_docs) == 1 + N_DOCS
    train(config, tmp_path / "afresh", threads=n_threads)
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "afresh")


def still_below(one: Transformer, n_lowest: int = 1) -> Transformer:
    """Freeze the lowest layers of a transformer and nothing else of it."""
    groups = stack_of(one.ready, n_layers=one.n_hidden_states - 1)[: n_lowest + 1]
    declare({"e": one.ready}, {f"e.{name}.*": "frozen" for group in groups for name in group})
    one.find_depth()
    assert one.depth is not None and one.depth.number == n_lowest
    return one


def with_cache(one: Transformer, folder: Path) -> ActivationCache:
    settings = one.lower_settings()
    assert settings is not None
    one.lower_stores = [ActivationCache(folder, settings, storage=one.settings.storage)]
    return one.lower_stores[0]


@pytest.mark.parametrize("change", [name for name in CHANGES if name != "layers"])
def test_a_change_of_what_numbers_depend_on_never_meets_a_stale_entry(
    folder: Path, tmp_path: Path, change: str
) -> None:
    docs = make_docs()
    before = still_below(made(folder / "encoder"))
    kept = with_cache(before, tmp_path / "cache")
    before.compute(docs, is_train=False)
    assert len(kept) == N_DOCS

    changed = still_below(CHANGES[change](folder / "encoder", tmp_path / "other"))
    expected = changed.compute(docs, is_train=False).pieces
    assert len(with_cache(changed, tmp_path / "cache")) == 0

    assert torch.equal(changed.compute(docs, is_train=False).pieces, expected)


def test_another_depth_or_an_encoder_frozen_as_a_whole_never_meets_a_stale_entry(tmp_path: Path) -> None:
    source = make_encoder(tmp_path / "encoder", num_hidden_layers=3)
    one = still_below(made(source), 2)
    kept = with_cache(one, tmp_path / "cache")
    one.compute(make_docs(), is_train=False)
    values = kept.get(one.read(make_docs()).keys()[0])
    assert values is not None and values.shape == (1, 6, 24)  # [CLS] the dog walk ##s [SEP]

    assert len(with_cache(still_below(made(source), 1), tmp_path / "cache")) == 0
    assert len(ActivationCache(tmp_path / "cache", made(source).store_settings())) == 0


@pytest.mark.parametrize("kind", ["partly", "wholly"])
def test_a_block_of_code_that_frees_what_was_frozen_never_meets_a_stale_entry(
    folder: Path, tmp_path: Path, kind: str
) -> None:
    docs = make_docs()
    pipeline = make_pipeline(partly(folder) if kind == "partly" else wholly(folder), docs)
    (one,) = (embedder for embedder in embedders_of(pipeline) if isinstance(embedder, Transformer))
    attach_stores(pipeline, {}, tmp_path / "cache")
    before = one.compute(docs, is_train=False).pieces

    with pipeline.modes({"transformer.*": "train"}):
        for weight in one.ready.parameters():
            weight.data.mul_(1.5)
    after = one.compute(docs, is_train=False).pieces
    (one.lower_stores if kind == "partly" else one.stores).clear()

    assert not torch.equal(after, before)
    assert torch.equal(after, one.compute(docs, is_train=False).pieces)


def test_readers_of_other_layers_share_what_is_kept(folder: Path, tmp_path: Path) -> None:
    one = still_below(made(folder / "encoder"))
    with_cache(one, tmp_path / "cache")
    one.compute(make_docs(), is_train=False)
    other = still_below(made(folder / "encoder", layers=(1, -1)))

    assert len(with_cache(other, tmp_path / "cache")) == N_DOCS


def test_a_model_that_was_loaded_gives_the_numbers_of_the_run(folder: Path, tmp_path: Path) -> None:
    config = make_config(folder / "encoder", ["listener"], settings={"storage": "bf16"})
    config["training"]["freezing"] = LOWEST
    pipeline = make_pipeline(config, make_docs())
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "model")
    loaded = frostline.load(tmp_path / "model")

    one, again = (part.publishers["transformer"].embedder for part in (pipeline, loaded))

    assert isinstance(again, Transformer) and again.depth is not None
    docs: list[Doc] = make_docs()
    assert torch.equal(one.compute(docs, is_train=False).pieces, again.compute(docs, is_train=False).pieces)
