"""Nothing of a user's is lost when something of ours is written: only what looks like ours is replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from frostline.corpora.store import write_corpus
from frostline.embedding.store import write_activations
from frostline.errors import CorpusError, UsageError
from frostline.files import foreign_in
from frostline.tokens import Doc


def test_what_is_not_ours_is_found_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "part" / "deep").mkdir(parents=True)
    (tmp_path / "meta.json").write_text("{}")
    (tmp_path / "part" / "state.json").write_text("{}")
    assert foreign_in(tmp_path, ("meta.json", "*/state.json")) is None
    (tmp_path / "part" / "deep" / "thesis.tex").write_text("x")
    assert foreign_in(tmp_path, ("meta.json", "*/state.json")) == "part/deep/thesis.tex"
    assert foreign_in(tmp_path / "meta.json", ("meta.json",)) == "meta.json"
    assert foreign_in(tmp_path / "nothing", ()) is None


def test_activations_replace_activations_only(tmp_path: Path) -> None:
    entries = [(b"k" * 16, np.zeros((1, 2, 3), dtype=np.float32))]
    write_activations(tmp_path / "a", {}, entries)
    write_activations(tmp_path / "a", {}, entries)
    (tmp_path / "a" / "thesis.tex").write_text("x")

    with pytest.raises(UsageError, match=r"thesis\.tex"):
        write_activations(tmp_path / "a", {}, entries)

    assert (tmp_path / "a" / "thesis.tex").read_text() == "x"


@pytest.mark.parametrize(("name", "text"), [("thesis.tex", "x"), ("corpus.json", '{"my": "data"}')])
def test_a_corpus_replaces_a_corpus_only(tmp_path: Path, name: str, text: str) -> None:
    docs = [Doc.from_words(["a", "b"])]
    write_corpus(docs, tmp_path / "c")
    write_corpus(docs, tmp_path / "c")
    (tmp_path / "c" / name).write_text(text)

    with pytest.raises(CorpusError, match=name.replace(".", r"\.")):
        write_corpus(docs, tmp_path / "c")

    assert (tmp_path / "c" / name).read_text() == text
