"""Encoders on disk: saved and loaded without a change, equal bytes for equal encoders, faults named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from frostline.embedding.encoder import Encoder
from frostline.embedding.hub import save_encoder
from frostline.embedding.pieces import PieceTable
from frostline.errors import ConfigError, ModelFileError, TrainingError
from frostline.tokens import Doc
from tests.embedding.tiny import FAMILIES, tiny_encoder

FILES = ["config.json", "model.safetensors", "tokenizer.json"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_encoder_comes_back_the_same(tmp_path: Path, family: str) -> None:
    encoder = tiny_encoder(family)
    save_encoder(encoder, tmp_path / "a")

    again = Encoder.from_folder(tmp_path / "a")

    before, after = encoder.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert again.special == encoder.special
    assert again.max_content_pieces == encoder.max_content_pieces
    docs = [Doc.from_words(["The", "frost", "line", "don't"])]
    tables = PieceTable(again.tokenizer), PieceTable(encoder.tokenizer)
    assert tables[0].pieces_of(docs).ids.tolist() == tables[1].pieces_of(docs).ids.tolist()
    assert again.digest() == encoder.digest()


def test_equal_encoders_are_equal_bytes_wherever_they_were_loaded_from(tmp_path: Path) -> None:
    save_encoder(tiny_encoder(), tmp_path / "a")
    first = Encoder.from_folder(tmp_path / "a")
    PieceTable(first.tokenizer).pieces_of([Doc.from_words(["use", "it"])])
    save_encoder(first, tmp_path / "elsewhere" / "b")
    save_encoder(Encoder.from_folder(tmp_path / "elsewhere" / "b"), tmp_path / "c")

    names = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert set(FILES) <= set(names)
    for other in ("elsewhere/b", "c"):
        assert sorted(file.name for file in (tmp_path / other).iterdir()) == names
        for name in names:
            assert (tmp_path / other / name).read_bytes() == (tmp_path / "a" / name).read_bytes(), name


def test_a_tokenizer_that_can_not_be_written_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = tiny_encoder()

    def refuse(*arguments: object, **settings: object) -> None:
        raise Exception("No space left on device (os error 28)")  # what the tokenizers library raises

    monkeypatch.setattr(type(encoder.tokenizer), "save_pretrained", refuse)
    with pytest.raises(TrainingError, match="No space left on device") as caught:
        save_encoder(encoder, tmp_path / "a")

    assert caught.value.where == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_transformers_can_load_what_we_save(tmp_path: Path) -> None:
    encoder = tiny_encoder()
    save_encoder(encoder, tmp_path / "a")

    model = AutoModel.from_pretrained(tmp_path / "a", local_files_only=True)

    assert torch.equal(model.embeddings.word_embeddings.weight, encoder.model.embeddings.word_embeddings.weight)


def test_the_digest_knows_weights_config_tokenizer_and_precision(tmp_path: Path) -> None:
    digests = {tiny_encoder().digest(), tiny_encoder(seed=1).digest(), tiny_encoder(precision="bf16").digest(),
               tiny_encoder(layer_norm_eps=1e-5).digest()}  # fmt: skip
    save_encoder(tiny_encoder(), tmp_path / "a")
    file = tmp_path / "a" / "tokenizer.json"
    settings = json.loads(file.read_text())
    settings["normalizer"]["lowercase"] = False
    file.write_text(json.dumps(settings))

    digests.add(Encoder.from_folder(tmp_path / "a").digest())

    assert len(digests) == 5


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    save_encoder(tiny_encoder(), tmp_path / "a")
    (tmp_path / "a" / name).unlink()

    with pytest.raises(ModelFileError, match=name) as caught:
        Encoder.from_folder(tmp_path / "a")
    assert caught.value.where == str(tmp_path / "a")
    assert caught.value.fix


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_is_an_error_of_ours(tmp_path: Path, name: str) -> None:
    save_encoder(tiny_encoder(), tmp_path / "a")
    file = tmp_path / "a" / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    with pytest.raises(ModelFileError):
        Encoder.from_folder(tmp_path / "a")


def test_a_folder_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="does not exist"):
        Encoder.from_folder(tmp_path / "nothing")


def test_weights_that_lack_a_layer_are_refused(tmp_path: Path) -> None:
    save_encoder(tiny_encoder(), tmp_path / "a")
    file = tmp_path / "a" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"num_hidden_layers": 3}))

    with pytest.raises(ModelFileError, match=r"layer\.2"):
        Encoder.from_folder(tmp_path / "a")


@pytest.mark.parametrize(("number", "said"), [("nan", "NaN"), ("inf", "an infinite number"), ("-inf", "an infinite")])
def test_weights_that_are_no_numbers_are_refused_by_the_name_of_their_tensor(
    tmp_path: Path, number: str, said: str
) -> None:
    save_encoder(tiny_encoder(), tmp_path / "a")
    file = tmp_path / "a" / "model.safetensors"
    weights = load_file(file)
    weights["encoder.layer.1.output.dense.weight"][0, 3] = float(number)
    save_file(weights, file, metadata={"format": "pt"})

    name = r"encoder\.layer\.1\.output\.dense\.weight"
    with pytest.raises(ModelFileError, match=f"'{name}' holds {said}.* in 1 of") as told:
        Encoder.from_folder(tmp_path / "a")
    assert told.value.where == str(file)
    assert told.value.fix


def test_huge_weights_are_numbers(tmp_path: Path) -> None:
    encoder = tiny_encoder()
    with torch.no_grad():
        encoder.model.encoder.layer[0].output.dense.weight.fill_(1e38)  # finite, but their sum is not
    save_encoder(encoder, tmp_path / "a")

    assert Encoder.from_folder(tmp_path / "a").digest() == encoder.digest()


def test_settings_reach_the_model_and_the_tokenizer(tmp_path: Path) -> None:
    save_encoder(tiny_encoder("roberta"), tmp_path / "a")

    encoder = Encoder.from_folder(
        tmp_path / "a",
        transformer_settings={"hidden_dropout_prob": 0.25},
        tokenizer_settings={"model_max_length": 17},
    )

    assert encoder.model.config.hidden_dropout_prob == 0.25
    assert encoder.model.embeddings.dropout.p == 0.25
    assert encoder.tokenizer.model_max_length == 17


def test_a_setting_the_encoder_does_not_know_is_refused(tmp_path: Path) -> None:
    save_encoder(tiny_encoder("roberta"), tmp_path / "a")

    with pytest.raises(ConfigError, match="hidden_droput_prob") as caught:
        Encoder.from_folder(tmp_path / "a", transformer_settings={"hidden_droput_prob": 0.25})

    assert caught.value.fix == "Did you mean 'hidden_dropout_prob'?"


def test_loading_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save_encoder(tiny_encoder(), tmp_path / "a")
    capfd.readouterr()

    Encoder.from_folder(tmp_path / "a")

    assert capfd.readouterr() == ("", "")
