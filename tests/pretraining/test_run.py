"""`frostline pretrain` from config to folder, on a text that a tiny encoder can learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from frostline.corpora.store import write_corpus
from frostline.embedding.encoder import Encoder
from frostline.embedding.windows import Windows
from frostline.errors import ConfigError, CorpusError, TrainingError
from frostline.pretraining import pretrain
from frostline.tokens import Doc

FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]


def make_docs(n: int, *, annotated: bool) -> list[Doc]:
    """Colours and things that always go together, so that what is hidden can be guessed from its neighbour."""
    pairs = [("red", "apples"), ("green", "leaves"), ("blue", "rivers"), ("white", "clouds")]
    docs = []
    for i in range(n):
        words = [word for j in range(3) for word in ("see", *pairs[(i * (j + 1) + j) % 4], ".")]
        docs.append(Doc.from_words(words, xpos=["X"] * len(words) if annotated else None, doc_id=f"d{i}"))
    return docs


def make_config(folder: Path, *, annotated: bool = False, **pretraining: Any) -> dict[str, Any]:
    for name, n in (("train", 60), ("dev", 12)):
        if not (folder / name).exists():
            write_corpus(make_docs(n, annotated=annotated), folder / name, meta={})
    return {
        "system": {"seed": 0, "threads": 1, "deterministic": "yes", "device": "cpu"},
        "corpora": {name: {"@readers": "frostline.Corpus.v1", "path": str(folder / name)} for name in ("train", "dev")},
        "pretraining": {"n_pieces": 64, "n_layers": 1, "width": 32, "n_heads": 2, "n_inner": 32, "window": 30,
                        "max_length": 32, **pretraining},
        "training": {
            "max_epochs": 6,
            "batcher": {"@batchers": "frostline.batch_by_words.v1", "n_words": 60},
            "optimizer": {"@optimizers": "frostline.Adam.v1", "learn_rate": 0.01, "beta2": 0.98},
        },
    }  # fmt: skip


def read_all(folder: Path) -> dict[str, bytes]:
    names = ["log.jsonl", *(f"{model}/{file}" for model in ("model-best", "model-last") for file in FILES)]
    return {name: (folder / name).read_bytes() for name in names}


def test_the_encoder_learns_and_transformers_loads_it(tmp_path: Path) -> None:
    config = make_config(tmp_path, mask_rate=0.25)
    config["training"]["max_epochs"] = 12
    pretrain(config, tmp_path / "out")

    rows = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["losses"]["pretraining"] < 0.7 * rows[0]["losses"]["pretraining"]
    assert max(row["score"] for row in rows) > 0.4
    folder = tmp_path / "out" / "model-best"
    assert sorted(file.name for file in folder.iterdir()) == FILES
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    inputs = tokenizer("see red apples .", return_tensors="pt")
    with torch.no_grad():
        hidden = model(**inputs).last_hidden_state
    assert hidden.shape == (1, inputs["input_ids"].shape[1], 32)


def test_two_runs_give_the_same_bytes_whatever_is_annotated(tmp_path: Path) -> None:
    pretrain(make_config(tmp_path / "a"), tmp_path / "a" / "out")
    pretrain(make_config(tmp_path / "b", annotated=True), tmp_path / "b" / "out")

    assert read_all(tmp_path / "a" / "out") == read_all(tmp_path / "b" / "out")


@pytest.mark.parametrize("architecture", ["bert", "modernbert"])
def test_it_goes_on_from_a_given_encoder(tmp_path: Path, architecture: str) -> None:
    config = make_config(tmp_path, architecture=architecture, dropout=0.1)
    config["training"]["max_epochs"] = 1
    pretrain(config, tmp_path / "first")
    source = tmp_path / "first" / "model-best"

    pretrain(make_config(tmp_path, source=str(source)), tmp_path / "second")

    assert (tmp_path / "second" / "model-best" / "vocab.txt").read_bytes() == (source / "vocab.txt").read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "second" / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["losses"]["pretraining"] < rows[0]["losses"]["pretraining"]


def test_all_faults_of_the_section_are_named_at_once(tmp_path: Path) -> None:
    config = make_config(tmp_path, n_layer=2, mask_rate=1.5)

    with pytest.raises(ConfigError) as caught:
        pretrain(config, tmp_path / "out")

    assert "'n_layer'" in caught.value.message and "Did you mean 'n_layers'?" in caught.value.message
    assert "pretraining.mask_rate" in caught.value.message


def test_a_width_that_the_heads_can_not_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="divided among 3 heads"):
        pretrain(make_config(tmp_path, n_heads=3), tmp_path / "out")


def test_an_empty_dev_corpus_is_found_before_training(tmp_path: Path) -> None:
    write_corpus([], tmp_path / "dev")

    with pytest.raises(ConfigError, match="has no words to score a model on") as caught:
        pretrain(make_config(tmp_path), tmp_path / "out")

    assert caught.value.where == "corpora.dev"
    assert not (tmp_path / "out").exists()


def test_a_missing_corpus_leaves_nothing_behind(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    config["corpora"]["train"]["path"] = str(tmp_path / "nowhere")

    with pytest.raises(CorpusError):
        pretrain(config, tmp_path / "out")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("policy", ["fail", "halve"])
def test_an_evaluation_that_does_not_fit_the_memory_guesses_the_same_in_halves(
    tmp_path: Path, policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(tmp_path)
    config["training"] |= {"max_epochs": 1, "on_out_of_memory": policy}
    pretrain(config, tmp_path / "whole")
    asked: list[int] = []
    forward = Encoder.forward

    def limited(self: Encoder, pieces: Any, windows: Windows, *, is_train: bool, **settings: Any) -> torch.Tensor:
        if not is_train:
            asked.append(len(windows))
            if len(windows) > 4:
                raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, pieces, windows, is_train=is_train, **settings)

    monkeypatch.setattr(Encoder, "forward", limited)
    if policy == "fail":
        with pytest.raises(TrainingError, match="a batch of the evaluation"):
            pretrain(config, tmp_path / "limited")
        return
    pretrain(config, tmp_path / "limited")

    assert asked == [12, 6, 3, 3, 6, 3, 3]
    assert read_all(tmp_path / "limited") == read_all(tmp_path / "whole")
    assert capsys.readouterr().err.count("a batch of the evaluation did not fit") == 1


def test_a_window_that_does_not_fit_the_memory_is_named_by_its_own_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(tmp_path)
    config["training"] |= {"max_epochs": 1, "on_out_of_memory": "halve"}
    asked: list[int] = []
    forward = Encoder.forward

    def limited(self: Encoder, pieces: Any, windows: Windows, *, is_train: bool, **settings: Any) -> torch.Tensor:
        if not is_train:
            asked.append(int(windows.n_pieces.sum()))
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, pieces, windows, is_train=is_train, **settings)

    monkeypatch.setattr(Encoder, "forward", limited)
    with pytest.raises(TrainingError) as error:
        pretrain(config, tmp_path / "limited")

    assert asked[-1] < asked[0]
    assert f"of {asked[-1]} pieces" in str(error.value)
