"""Static vectors in a pipeline: features with their gradient, shared without a copy, saved, and refused when others."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import frostline
from frostline.cli.main import run as run_cli
from frostline.config import Config
from frostline.embedding.distilled_vectors import vectors_from_transformer
from frostline.embedding.static_vectors import static_vectors_in
from frostline.errors import ConfigError, ModelFileError, UsageError
from frostline.layers.randomness import Clock
from frostline.pipeline.pipeline import Pipeline
from frostline.tokens import Doc
from frostline.training.checking import find_faults
from frostline.vectors import Vectors, open_vectors, write_vectors
from tests.pipeline.tiny import WORDS, examples_of, make_config, make_docs, make_encoder, make_pipeline
from tests.pipeline.tok2vec import with_tok2vec

KNOWN = tuple(word for word in WORDS.split() if not word.startswith("##"))
TABLE = np.random.default_rng(0).normal(size=(len(KNOWN), 6)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_vectors(Vectors(KNOWN, TABLE), tmp_path / "vectors")
    return tmp_path / "vectors"


def config_with(folder: Path, kinds: list[str]) -> dict[str, Any]:
    block = {"@architectures": "frostline.StaticVectors.v1", "path": str(folder), "width": 5}
    return with_tok2vec(make_config(Path("nowhere"), kinds), embed={"vectors": block})


def pipeline_with(folder: Path, kinds: list[str] | None = None) -> Pipeline:
    return make_pipeline(config_with(folder, kinds or ["listener", "listener"]), make_docs())


def test_the_features_are_the_vectors_times_a_learnt_matrix_with_its_gradient(folder: Path) -> None:
    pipeline = pipeline_with(folder)
    ((_, layer),) = static_vectors_in(pipeline.publishers["transformer"].model)
    seen: list[torch.Tensor] = []
    layer.register_forward_hook(lambda module, inputs, output: (output.retain_grad(), seen.append(output))[0])
    pipeline.parameters.zero_gradients()

    pipeline.update([examples_of(make_docs()[:2])], dropout=0.0, clock=Clock(seed=0))

    words = ["the", "dog", "walks", "cats", "run", "quickly"]
    plain = np.stack([TABLE[KNOWN.index(word)] if word in KNOWN else np.zeros(6, np.float32) for word in words])
    weight = layer.projection.weight
    assert torch.allclose(seen[0], torch.from_numpy(plain) @ weight.T, atol=1e-6)
    assert torch.allclose(weight.grad, seen[0].grad.T @ torch.from_numpy(plain), atol=1e-6)
    assert weight.grad.abs().max() > 0


def test_all_layers_share_one_table_that_is_no_parameter(folder: Path) -> None:
    pipeline = pipeline_with(folder, ["independent", "independent"])

    tables = [layer.vectors for component in pipeline.components.values()
              for _, layer in static_vectors_in(component.model)]  # fmt: skip

    assert len(tables) == 2 and tables[0] is tables[1] and isinstance(tables[0].table, np.memmap)
    shapes = [tuple(values.shape) for values in pipeline.parameters.named_values.values()]
    assert (5, 6) in shapes and TABLE.shape not in shapes


def saved(folder: Path, model: Path, kinds: list[str] | None = None) -> Pipeline:
    pipeline = pipeline_with(folder, kinds)
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(model)
    return pipeline


@pytest.mark.parametrize("kind", ["listener", "independent"])
def test_a_saved_model_keeps_its_vectors_and_comes_back_bit_for_bit(kind: str, folder: Path, tmp_path: Path) -> None:
    pipeline = saved(folder, tmp_path / "model", [kind, kind])
    expected = [doc.xpos for doc in pipeline.pipe(doc.without_annotations() for doc in make_docs())]
    shutil.rmtree(folder)

    loaded = frostline.load(tmp_path / "model")
    loaded.to_disk(tmp_path / "again")
    frostline.load(tmp_path / "again").to_disk(tmp_path / "again")  # in the place of the folder that they are read from

    assert [doc.xpos for doc in loaded.pipe(doc.without_annotations() for doc in make_docs())] == expected
    before, after = pipeline.parameters.named_values, loaded.parameters.named_values
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert len(list((tmp_path / "model" / "vectors").iterdir())) == 1
    for file in (path for path in (tmp_path / "model").rglob("*") if path.is_file()):
        assert file.read_bytes() == (tmp_path / "again" / file.relative_to(tmp_path / "model")).read_bytes(), file


def test_other_vectors_than_those_of_the_training_are_refused(folder: Path, tmp_path: Path) -> None:
    saved(folder, tmp_path / "model")
    (kept,) = (tmp_path / "model" / "vectors").iterdir()
    write_vectors(Vectors(KNOWN, TABLE + 1), kept)

    with pytest.raises(ModelFileError, match="was trained with the vectors") as error:
        frostline.load(tmp_path / "model")

    assert "components.transformer.model.embed.vectors" in error.value.message
    assert error.value.where == str(kept) and error.value.fix
    shutil.rmtree(kept)
    with pytest.raises(ModelFileError, match="are missing"):
        frostline.load(tmp_path / "model")


def test_vectors_whose_bytes_were_changed_are_refused_though_their_folder_still_tells_the_digest(
    folder: Path, tmp_path: Path
) -> None:
    saved(folder, tmp_path / "model")
    frostline.load(tmp_path / "model")
    with (folder / "vectors.safetensors").open("r+b") as stream:  # one file with the model's
        stream.seek(-4, 2)
        stream.write(b"\x00\x00\xc8\x42")

    with pytest.raises(ModelFileError, match="were changed") as error:
        frostline.load(tmp_path / "model")

    (kept,) = (tmp_path / "model" / "vectors").iterdir()
    assert error.value.where == str(kept) and "Copy the model again" in str(error.value.fix)


def test_missing_vectors_are_named_with_their_block_before_any_work(tmp_path: Path) -> None:
    config = config_with(tmp_path / "none", ["listener"])

    with pytest.raises(ModelFileError, match=r"named by components\.transformer\.model\.embed\.vectors\.path"):
        make_pipeline(config, make_docs())
    (finding,) = (finding for finding in find_faults(config) if finding.is_absence)
    assert finding.fault.path == "components.transformer.model.embed.vectors.path"


def test_docs_of_a_pipeline_have_vectors_and_similarities(folder: Path) -> None:
    pipeline = pipeline_with(folder)

    doc, other = pipeline.pipe([Doc.from_words(["the", "dog", "walks"]), Doc.from_words(["a", "unknown"])])

    the, dog = TABLE[KNOWN.index("the")], TABLE[KNOWN.index("dog")]
    assert np.array_equal(doc[1].vector, dog) and not doc[2].vector.any()
    assert np.allclose(doc.vector, (the + dog) / 2) and np.allclose(doc[0:2].vector, doc.vector)
    assert (doc[1].has_vector, doc[2].has_vector, doc[2:3].has_vector, doc.has_vector) == (True, False, False, True)
    plain = the @ dog / np.linalg.norm(the) / np.linalg.norm(dog)
    assert doc[0].similarity(doc[1]) == pytest.approx(plain, abs=1e-6)
    assert doc[0].similarity(doc[2]) == 0.0 and doc.similarity(doc[0:2]) == pytest.approx(1.0)
    assert np.array_equal(other.slice(0, 1).vector, TABLE[KNOWN.index("a")])
    with pytest.raises(UsageError, match="has no vectors"):
        Doc.from_words(["a"]).similarity(doc)
    narrow = Doc.from_words(["a"])
    narrow.vectors = Vectors(("a",), np.ones((1, 2), dtype=np.float32))
    for one in (doc, doc[0], doc[0:2]):
        with pytest.raises(UsageError, match="numbers can't be compared"):
            one.similarity(narrow)
        for wrong in ("bread", None, doc.vector, narrow.vectors):
            with pytest.raises(UsageError, match="can be compared with a doc, a span or a token, not with a"):
                one.similarity(wrong)  # type: ignore[arg-type]


def test_vectors_from_a_transformer_are_those_of_words_by_themselves(tmp_path: Path) -> None:
    source = make_encoder(tmp_path / "encoder")
    words = ["the", "dogs", "unbelievably", "the"]

    vectors = vectors_from_transformer(source, words)

    assert tuple(vectors.words) == ("the", "dogs", "unbelievably")
    pipeline = make_pipeline(make_config(source, ["annotating"]), make_docs())
    docs = list(pipeline.pipe([Doc.from_words([word]) for word in words[:3]], keep_activations=True))
    expected = np.stack([doc.activations["transformer"].tokens()[0].numpy() for doc in docs])
    assert np.allclose(vectors.table, expected, atol=1e-5)


def test_words_without_a_piece_get_no_vector_from_a_transformer(tmp_path: Path) -> None:
    source = make_encoder(tmp_path / "encoder")

    vectors = vectors_from_transformer(source, ["the", " ", "dogs"])

    assert tuple(vectors.words) == ("the", "dogs") and len(vectors.table) == 2
    assert np.array_equal(vectors.table, vectors_from_transformer(source, ["the", "dogs"]).table)
    assert vectors.have([" ", "the"]).tolist() == [False, True]
    with pytest.raises(UsageError, match="makes no piece"):
        vectors_from_transformer(source, [" "])


def test_a_layer_that_a_transformer_lacks_is_the_fault_of_the_option(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Layer 9 is asked for") as caught:
        vectors_from_transformer(make_encoder(tmp_path / "encoder"), ["the"], layer=9)

    assert caught.value.where == "--layer"


def test_the_documented_classifier_classifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    page = (Path(__file__).parents[2] / "docs" / "vectors.md").read_text(encoding="utf8")
    (program,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    words = ("bread", "soup", "cheese", "fresh", "match", "football", "goal", "and", "a", "of", "the")
    towards = {"bread": (1, 0), "soup": (1, 0.1), "cheese": (0.9, 0.2), "fresh": (0.5, 0.2), "match": (0.1, 1),
               "football": (0, 1), "goal": (0.2, 0.9)}  # fmt: skip
    lines = [f"{word} {' '.join(map(str, (*towards.get(word, (0.1, 0.1)), 0.01)))}" for word in words]
    (tmp_path / "made.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    run_cli(["init", "vectors", "made.txt", "vectors/en", "--json"])
    made = json.loads(capsys.readouterr().out)

    exec(compile(program, "docs/vectors.md", "exec"), {})

    assert capsys.readouterr().out == "food sport\n['soup', 'cheese']\n"
    assert made["words"] == len(words) and made["digest"] == open_vectors("vectors/en").digest


def test_the_command_asks_a_transformer_and_prunes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_encoder(tmp_path / "encoder")
    words = tmp_path / "words.txt"
    words.write_text("the\ndog\ncats\nrun\nold\n")

    run_cli(["init", "vectors", str(source), str(tmp_path / "v"), "--from-model", "--words", str(words), "--prune", "2",
             "--json"])  # fmt: skip

    made = json.loads(capsys.readouterr().out)
    assert (made["words"], made["vectors"], made["width"]) == (5, 2, 24)
    full = vectors_from_transformer(source, ["the", "dog", "cats", "run", "old"])
    near = full.similarities(full.table)[:, :2].argmax(axis=1)
    assert np.allclose(open_vectors(tmp_path / "v").vectors_of(list(full.words)), full.table[near], atol=1e-5)
    with pytest.raises(UsageError, match="list of words"):
        run_cli(["init", "vectors", str(source), str(tmp_path / "v"), "--from-model"])


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_every_file_of_a_model_has_the_mode_that_the_umask_says(mask: int, folder: Path, tmp_path: Path) -> None:
    config = with_tok2vec(make_config(Path("nowhere"), ["listener", "listener"]))
    encoder = make_config(make_encoder(tmp_path / "encoder"), ["listener", "listener"])
    before = os.umask(mask)
    try:
        write_vectors(Vectors(KNOWN, TABLE), folder)
        for name, one in (("tok2vec", config), ("static", config_with(folder, ["listener"] * 2)), ("bert", encoder)):
            pipeline = make_pipeline(one, make_docs())
            pipeline.config = Config(pipeline.config)
            pipeline.to_disk(tmp_path / "models" / name)
    finally:
        os.umask(before)

    files = [file for file in (tmp_path / "models").rglob("*") if file.is_file()]
    assert {file.suffix for file in files} >= {".safetensors", ".json", ".cfg", ".arrow"}
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {oct(0o666 & ~mask)}


def test_a_private_copy_of_a_publisher_reads_the_same_vectors_and_is_saved_with_them(
    folder: Path, tmp_path: Path
) -> None:
    pipeline = pipeline_with(folder, ["listener", "listener"])
    expected = pipeline("the dog walks").xpos

    pipeline.replace_listeners("tagger")

    assert pipeline("the dog walks").xpos == expected
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(tmp_path / "copied")
    assert frostline.load(tmp_path / "copied")("the dog walks").xpos == expected
