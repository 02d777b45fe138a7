"""`frostline apply`: texts in, annotated docs out, and a word where there is nothing in."""

from __future__ import annotations

from pathlib import Path

import pytest

from frostline.cli.main import run
from frostline.config import Config
from frostline.corpora import open_corpus
from frostline.corpora.converters import read_conllu
from tests.pipeline.tiny import make_config, make_docs, make_encoder, make_pipeline


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved pipeline with a tagger."""
    folder = tmp_path_factory.mktemp("apply")
    pipeline = make_pipeline(make_config(make_encoder(folder / "encoder"), ["listener"]), make_docs())
    pipeline.config = Config(pipeline.config)
    pipeline.to_disk(folder / "model")
    return folder / "model"


def test_each_line_of_a_text_becomes_an_annotated_doc(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the dog walks\n\na cat\n")

    run(["apply", str(model), str(tmp_path / "a.txt"), str(tmp_path / "a.conllu")])

    docs = list(read_conllu(tmp_path / "a.conllu"))
    assert [doc.text for doc in docs] == ["the dog walks", "a cat"]
    assert all(doc.xpos is not None for doc in docs)


@pytest.mark.parametrize("text", ["", "\n \n"], ids=["empty", "white space"])
def test_a_source_without_text_gives_a_result_without_docs_and_says_so(
    model: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text(text)

    run(["apply", str(model), str(tmp_path / "a.txt"), str(tmp_path / "corpus")])

    assert f"warning: there is no text in '{tmp_path / 'a.txt'}'" in capsys.readouterr().err
    assert len(open_corpus(tmp_path / "corpus")) == 0
