"""Nothing of a user's is lost when something of ours is written: only what looks like ours is replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frostline.config import Config, fill_config
from frostline.corpora.store import write_corpus
from frostline.embedding.store import write_activations
from frostline.errors import CorpusError, UsageError
from frostline.files import foreign_in
from frostline.pretraining import pretrain
from frostline.tokens import Doc
from frostline.training.run import train
from tests.pipeline.tiny import make_docs, make_encoder
from tests.pretraining import test_run as pretraining
from tests.training import test_checking as training


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


def told_before_any_work(run: Any, config: dict[str, Any], output: Path, monkeypatch: pytest.MonkeyPatch) -> UsageError:
    """What a run says that would replace something at the very beginning: no corpus is opened, no weight made."""
    module = run.__module__
    monkeypatch.setattr(f"{module}.set_up", lambda *args, **settings: pytest.fail("work has begun"))
    with pytest.raises(UsageError) as caught:
        run(config, output)
    return caught.value


RUNS = [
    (train, "model-best", "no part of a model"), (train, "model-last", "no part of a model"),
    (train, "checkpoint", "no part of a checkpoint"), (pretrain, "model-best", "no part of an encoder"),
    (pretrain, "model-last", "no part of an encoder"), (pretrain, "checkpoint", "no part of a checkpoint"),
]  # fmt: skip


def config_of(run: Any, folder: Path) -> dict[str, Any]:
    if run is pretrain:
        return pretraining.make_config(folder)
    make_encoder(folder / "encoder")
    for name in ("train", "dev"):
        write_corpus(make_docs(), folder / name)
    return fill_config(Config(training.filled(folder)))[0]


@pytest.mark.parametrize(("run", "name", "says"), RUNS)
@pytest.mark.parametrize("is_file", [True, False])
def test_a_run_that_would_replace_a_users_files_ends_before_it_begins(
    tmp_path: Path, run: Any, name: str, says: str, is_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out" / name
    thesis = place if is_file else place / "chapters" / "thesis.tex"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("x")

    error = told_before_any_work(run, config_of(run, tmp_path), tmp_path / "out", monkeypatch)

    assert error.where == str(place)
    assert ("is a file" if is_file else "'chapters/thesis.tex'") in error.message
    assert is_file or says in error.message
    assert thesis.read_text() == "x"
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


@pytest.mark.parametrize("run", [train, pretrain])
def test_a_run_replaces_what_an_earlier_one_left(tmp_path: Path, run: Any) -> None:
    config = config_of(run, tmp_path)
    config["training"]["max_epochs"] = 1

    run(config, tmp_path / "out")
    first = (tmp_path / "out" / "log.jsonl").read_bytes()
    run(config, tmp_path / "out")

    assert (tmp_path / "out" / "log.jsonl").read_bytes() == first
