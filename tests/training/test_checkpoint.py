"""Killed without warning and started again, a run ends in the bytes of an undisturbed one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import frostline.files
from frostline.config.user_code import CodeFiles
from frostline.errors import TrainingError
from frostline.files import refuse_to_lose, remove_tree
from frostline.training.averages import NoAverages
from frostline.training.checkpoint import CHECKPOINT_FILES, Learner, Progress, digest_of_run, resume, save_checkpoint
from frostline.training.loop import Position, StepResult
from tests.training.tiny_trainable import Silent, Tiny, make_adam, train_tiny

PROGRAM = Path(__file__).with_name("tiny_trainable.py")
OUTPUTS = ("log.jsonl", "model-best/tagger.safetensors", "model-last/tagger.safetensors")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    torch.set_num_threads(1)
    output = tmp_path_factory.mktemp("undisturbed")
    train_tiny(output)
    return {name: (output / name).read_bytes() for name in OUTPUTS}


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


@pytest.mark.parametrize(("what", "number", "resumed_from"), [("step", 3, None), ("step", 33, 30), ("save", 2, 5)])
def test_a_killed_run_ends_in_the_same_bytes(
    tmp_path: Path, undisturbed: dict[str, bytes], what: str, number: int, resumed_from: int | None
) -> None:
    run = subprocess.run([sys.executable, PROGRAM, tmp_path, what, str(number)], capture_output=True, timeout=120)
    assert run.returncode == -signal.SIGKILL, run.stderr

    outcome = train_tiny(tmp_path)

    assert outcome.resumed_from == resumed_from
    assert outputs(tmp_path) == undisturbed
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", [".tmp7XOVQl", ".state.safetensors.0a1b.tmp", "..state.0a1b.tmp.2c3d.tmp/.tmp7XOVQl"])
def test_what_a_kill_left_beside_a_checkpoint_stands_in_nobody_s_way(tmp_path: Path, name: str) -> None:
    save_checkpoint(tmp_path, learner_of(Tiny()), Progress(position=Position(step=1)), digest="d")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"half")

    refuse_to_lose(tmp_path, CHECKPOINT_FILES, "a checkpoint")
    found = resume(tmp_path, learner_of(Tiny()), digest="d")
    save_checkpoint(tmp_path, learner_of(Tiny()), Progress(position=Position(step=2)), digest="d")

    assert found.progress is not None and found.progress.position.step == 1
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]


def stop_at(output: Path, step: int) -> None:
    class Stop(Silent):
        def stepped(self, result: StepResult) -> None:
            if result.step == step:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_tiny(output, logger=Stop())


def test_removed_outputs_come_back_from_the_checkpoint(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    stop_at(tmp_path, 33)
    for name in ("log.jsonl", "model-best", "model-last"):
        remove_tree(tmp_path / name)

    train_tiny(tmp_path)

    assert outputs(tmp_path) == undisturbed


def test_a_run_interrupted_twice_ends_in_the_same_bytes(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    stop_at(tmp_path, 12)
    stop_at(tmp_path, 14)
    stop_at(tmp_path, 27)

    outcome = train_tiny(tmp_path)

    assert outcome.resumed_from == 25
    assert outputs(tmp_path) == undisturbed


def test_resuming_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stop_at(tmp_path, 12)
    capsys.readouterr()

    train_tiny(tmp_path)

    assert "resuming from the checkpoint" in capsys.readouterr().err


def test_a_checkpoint_of_another_config_is_not_gone_on_from(
    tmp_path: Path, undisturbed: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    stop_at(tmp_path, 12)

    outcome = train_tiny(tmp_path, digest="other")

    assert outcome.resumed_from is None
    assert "of another config" in capsys.readouterr().err
    assert outputs(tmp_path) == undisturbed


def test_a_damaged_checkpoint_is_not_gone_on_from(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    stop_at(tmp_path, 12)
    file = tmp_path / "checkpoint" / "state.safetensors"
    file.write_bytes(file.read_bytes()[:-100])

    outcome = train_tiny(tmp_path)

    assert outcome.resumed_from is None
    assert outputs(tmp_path) == undisturbed


@pytest.mark.parametrize("which", ["state", "best"])
@pytest.mark.parametrize("place", [-5, -70, 300])
def test_a_checkpoint_whose_bytes_were_changed_is_not_gone_on_from(
    tmp_path: Path, undisturbed: dict[str, bytes], which: str, place: int, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_at(tmp_path, 12)
    (file,) = (tmp_path / "checkpoint").glob(f"{which}*.safetensors")
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)

    outcome = train_tiny(tmp_path)

    assert outcome.resumed_from is None
    assert "training starts anew" in capsys.readouterr().err
    assert outputs(tmp_path) == undisturbed


def test_changed_progress_is_told_by_the_checksum(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, learner_of(Tiny()), Progress(n_words=7777), digest="d")
    file = tmp_path / "state.safetensors"
    file.write_bytes(file.read_bytes().replace(b"7777", b"7778"))

    found = resume(tmp_path, learner_of(Tiny()), digest="d")

    assert found.progress is None
    assert "state.safetensors was changed after it was written" in found.reason


def learner_of(pipeline: Tiny) -> Learner:
    return Learner(store=pipeline.parameters, optimizer=make_adam(), averages=NoAverages())


def test_a_checkpoint_that_can_not_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Tiny()
    save_checkpoint(tmp_path, learner_of(pipeline), Progress(position=Position(step=1)), digest="d")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(TrainingError, match="No space"):
        patch.setattr(frostline.files.os, "replace", fail)
        save_checkpoint(tmp_path, learner_of(pipeline), Progress(position=Position(step=2)), digest="d")

    found = resume(tmp_path, learner_of(pipeline), digest="d")
    assert found.progress is not None and found.progress.position.step == 1
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]


def test_progress_comes_back_exactly(tmp_path: Path) -> None:
    progress = Progress(position=Position(epoch=1, step=2, step_in_epoch=1, last_score=0.1 + 0.2), n_words=7,
                        best_score=1 / 3, history=[{"score": 1e-17}], seconds=2.5)  # fmt: skip
    save_checkpoint(tmp_path, learner_of(Tiny()), progress, digest="d")

    assert resume(tmp_path, learner_of(Tiny()), digest="d").progress == progress


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ((("a.py", "1"), ("b.py", "2")), "of another config"),
        ((("a.py", "1"), ("b.py", "3")), "the code of b.py is not"),
        ((("a.py", "1"),), "the code of b.py is not"),
        ((("b.py", "2"), ("a.py", "1")), "another order"),
        ((), "the code of a.py, b.py is not"),
    ],
)
def test_another_code_is_the_reason_where_it_differs(tmp_path: Path, code: CodeFiles, reason: str) -> None:
    made_with = (("a.py", "1"), ("b.py", "2"))
    save_checkpoint(tmp_path, learner_of(Tiny()), Progress(), digest="d", code=made_with)

    assert reason in resume(tmp_path, learner_of(Tiny()), digest="e", code=code).reason


def test_a_foreign_file_is_no_checkpoint(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "state.safetensors")

    assert "another format" in resume(tmp_path, learner_of(Tiny()), digest="d").reason


def test_the_digest_knows_config_and_data() -> None:
    digest = digest_of_run({"training": {"seed": 0}}, {"train": "aa"})

    assert digest == digest_of_run({"training": {"seed": 0}}, {"train": "aa"})
    assert digest != digest_of_run({"training": {"seed": 1}}, {"train": "aa"})
    assert digest != digest_of_run({"training": {"seed": 0}}, {"train": "bb"})


def test_the_digest_knows_the_code_by_its_content_and_order() -> None:
    def digest(*code: tuple[str, str]) -> str:
        return digest_of_run({}, {}, code)

    assert digest(("a.py", "1"), ("b.py", "2")) == digest(("c.py", "1"), ("b.py", "2"))
    different = {digest(), digest(("a.py", "1")), digest(("a.py", "2")), digest(("a.py", "1"), ("b.py", "2")),
                 digest(("b.py", "2"), ("a.py", "1"))}  # fmt: skip
    assert len(different) == 5
