"""What lies where an output goes is removed only when a step of ours made it; anything else is kept, and said."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath

import pytest

from frostline.errors import StepFailed
from frostline.runner.cli.main import dispatch
from frostline.runner.session import Session

from .conftest import CHAIN, Playground

TRAIN = """
profiles: {p: {}}
commands:
  - {name: train, script: [python train.py], deps: [train.py], outputs: [model], checkpoint: [checkpoint]}
"""
# Fails until `go` is there; refuses an output folder that is not clean.
HALF = """import pathlib
model = pathlib.Path("model")
model.mkdir()
(model / "half").write_text("half")
assert pathlib.Path("go").exists()
(model / "whole").write_text("whole")
"""


def kept(root: Path) -> dict[str, str]:
    """path -> text of what was moved aside."""
    asides = root / ".dvc/tmp/frostline/aside"
    return {
        path.relative_to(aside).as_posix(): path.read_text()
        for aside in (sorted(asides.iterdir()) if asides.is_dir() else ())
        for path in sorted(aside.rglob("*"))
        if path.is_file()
    }


def run_and_hear(ground: Playground, *words: str) -> str:
    """What a run says on standard error."""
    ground.capture.readouterr()
    dispatch(["run", *words, "--project", str(ground.root)])
    return ground.capture.readouterr().err


@pytest.fixture
def training(playground: Playground) -> Playground:
    """One step that makes a folder, and fails half-way while `go` is not there."""
    playground.write({"project.yml": TRAIN, "train.py": HALF})
    return playground


def test_a_file_that_no_step_made_is_moved_aside_and_said_in_one_line(chain: Playground) -> None:
    chain.write({"first.txt": "years of work"})

    said = run_and_hear(chain, "first")

    assert chain.read("first.txt") == "one\n"
    assert kept(chain.root) == {"first.txt": "years of work"}
    (line,) = [line for line in said.splitlines() if "moved" in line]
    assert line.startswith("moved 'first.txt', which no step here made, to .dvc/tmp/frostline/aside/")
    (place,) = (word for word in line.split() if word.startswith(".dvc/"))
    assert chain.read(place) == "years of work"


def test_a_folder_and_a_link_that_no_step_made_are_moved_aside_whole(chain: Playground) -> None:
    chain.write({"out/mine/notes.txt": "notes", "elsewhere/data.txt": "data"})
    (chain.root / "first.txt").symlink_to("elsewhere/data.txt")

    chain.project("run", "all")

    assert kept(chain.root) == {"out/mine/notes.txt": "notes"}
    links = [path for path in (chain.root / ".dvc/tmp/frostline/aside").rglob("*") if path.is_symlink()]
    assert [str(link.readlink()) for link in links] == ["elsewhere/data.txt"]
    assert chain.read("elsewhere/data.txt") == "data"
    assert sorted(path.name for path in (chain.root / "out").iterdir()) == ["third.txt"]


def test_what_a_step_made_is_replaced_without_a_copy(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"source.txt": "new\n"})
    chain.project("run", "all")
    chain.project("run", "all", "--force")
    (chain.root / "dvc.lock").unlink()  # the store still knows them
    chain.write({"source.txt": "newer\n"})

    chain.project("run", "all")

    assert kept(chain.root) == {}


def test_an_edit_of_an_output_is_kept_when_the_step_runs_again_or_is_restored(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"first.txt": "edited", "out/notes.txt": "notes", "other.txt": "changed\n"})

    chain.project("run", "all")

    assert kept(chain.root) == {"first.txt": "edited", "out/notes.txt": "notes", "out/third.txt": "one\ntwo\n"}
    assert chain.read("first.txt") == "one\n"


def test_an_empty_folder_is_nobodys(chain: Playground) -> None:
    chain.write({"project.yml": "directories: [out/deep]\n" + CHAIN})

    chain.project("run", "all")

    assert not (chain.root / ".dvc/tmp/frostline/aside").exists()
    assert chain.read("out/third.txt") == "one\ntwo\n"


def test_what_a_failed_try_left_is_cleared_and_not_kept(training: Playground) -> None:
    for _ in range(2):
        with pytest.raises(StepFailed):
            training.project("run", "train")
        assert training.read("model/half") == "half"  # to be looked at
    training.write({"go": ""})

    training.project("run", "train")

    assert training.read("model/whole") == "whole"
    assert kept(training.root) == {}
    assert not any((training.root / ".dvc/tmp/frostline/begun").iterdir())


def test_what_is_put_in_the_place_of_a_failed_try_is_kept(training: Playground) -> None:
    with pytest.raises(StepFailed):
        training.project("run", "train")
    training.write({"model/half": "made by hand", "go": ""})

    training.project("run", "train")

    assert kept(training.root) == {"model/half": "made by hand"}


def test_an_edit_in_a_failed_try_that_got_its_old_time_again_is_kept(training: Playground) -> None:
    with pytest.raises(StepFailed):
        training.project("run", "train")
    status = (training.root / "model/half").stat()
    training.write({"model/half": "mine", "go": ""})
    os.utime(training.root / "model/half", ns=(status.st_atime_ns, status.st_mtime_ns))

    training.project("run", "train")

    assert kept(training.root) == {"model/half": "mine"}


def test_what_a_killed_run_left_is_cleared_and_not_kept(training: Playground) -> None:
    waiting = "import time\nif not pathlib.Path('go').exists(): time.sleep(60)\n"
    training.write({"train.py": HALF.replace("assert pathlib", waiting + "assert pathlib")})
    program = "from frostline.runner.cli.main import main; main()"
    process = subprocess.Popen([sys.executable, "-P", "-c", program, "run", "train"], cwd=training.root)
    deadline = time.monotonic() + 60
    while not (training.root / "model/half").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    training.write({"go": ""})

    training.project("run", "train")

    assert training.read("model/whole") == "whole"
    assert kept(training.root) == {}


def test_a_note_of_a_killed_run_ends_when_its_output_is_restored(chain: Playground) -> None:
    chain.project("run", "all")
    Session(chain.root).clearing(print).begin([PurePosixPath("first.txt")])  # as a kill leaves it
    chain.write({"first.txt": "half"})
    chain.project("run", "first")
    chain.write({"first.txt": "edited"})

    chain.project("run", "first")

    assert kept(chain.root) == {"first.txt": "edited"}


def test_a_checkpoint_that_was_there_before_is_handed_to_the_step_and_kept(training: Playground) -> None:
    training.write({"train.py": "open('model', 'w').write(open('checkpoint/state').read())\n"})
    training.write({"checkpoint/state": "mine"})

    training.project("run", "train")

    assert training.read("model") == "mine"
    assert not (training.root / "checkpoint").exists()
    assert kept(training.root) == {"checkpoint/state": "mine"}


def test_a_checkpoint_of_ours_is_removed_on_success_after_any_number_of_tries(training: Playground) -> None:
    training.write(
        {
            "train.py": "import pathlib\nc = pathlib.Path('checkpoint')\nc.mkdir(exist_ok=True)\n"
            "(c / str(len(list(c.iterdir())))).touch()\nassert len(list(c.iterdir())) == 3\n"
            "pathlib.Path('model').touch()\n"
        }
    )
    for _ in range(2):
        with pytest.raises(StepFailed):
            training.project("run", "train")

    training.project("run", "train")

    assert not (training.root / "checkpoint").exists()
    assert kept(training.root) == {}


def test_a_weasel_command_finds_what_was_there_and_a_restore_keeps_it(playground: Playground) -> None:
    grow = "p = 'log.txt'\nopen(p, 'a').write(open('n.txt').read())\n"
    text = "commands: [{name: grow, script: [python grow.py], deps: [grow.py, n.txt], outputs: [log.txt]}]"
    playground.write({"project.yml": text, "grow.py": grow, "n.txt": "1", "log.txt": "mine "})

    playground.project("run", "grow")
    assert playground.read("log.txt") == "mine 1"
    assert kept(playground.root) == {}
    playground.write({"log.txt": "edited"})
    playground.project("run", "grow")

    assert playground.read("log.txt") == "mine 1"
    assert kept(playground.root) == {"log.txt": "edited"}


def test_clean_and_checkout_keep_what_no_step_made(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"first.txt": "edited", "out/notes.txt": "notes"})

    chain.project("checkout", "first")
    assert kept(chain.root) == {"first.txt": "edited"}
    chain.project("clean", "third")

    assert kept(chain.root) == {"first.txt": "edited", "out/notes.txt": "notes", "out/third.txt": "one\ntwo\n"}
    assert not (chain.root / "out").exists()


def test_an_asset_with_other_bytes_is_kept_when_the_right_one_comes(playground: Playground) -> None:
    digest = hashlib.sha256(b"right").hexdigest()
    text = f"assets: [{{dest: data.txt, url: sources/data.txt, sha256: {digest}}}]\n"
    playground.write({"project.yml": text, "sources/data.txt": "right", "data.txt": "mine"})

    playground.project("assets")

    assert playground.read("data.txt") == "right"
    assert kept(playground.root) == {"data.txt": "mine"}
    assert "/tmp" in playground.read(".dvc/.gitignore").split()


def test_what_can_not_be_moved_stays_and_the_step_fails(chain: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    def broken(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "move", broken)
    chain.write({"first.txt": "mine"})

    with pytest.raises(StepFailed, match=r"'first\.txt' is in the way .*No space left"):
        chain.project("run", "first")

    assert chain.read("first.txt") == "mine"
    assert chain.calls() == []


@pytest.mark.parametrize("words", [["train"], ["train", "--force"]])
def test_a_checkpoint_that_a_kill_left_after_its_step_was_recorded_goes(training: Playground, words: list[str]) -> None:
    training.write({"train.py": "import os\nassert not os.path.exists('checkpoint')\nopen('model', 'w')\n"})
    training.project("run", "train")
    session = Session(training.root)
    clearing = session.clearing(print)
    clearing.begin(session.graph.steps["train"].checkpoint)
    training.write({"checkpoint/state": "half removed"})
    clearing.end(session.graph.steps["train"].checkpoint)

    training.project("run", *words)

    assert not (training.root / "checkpoint").exists()
    assert kept(training.root) == {}
    assert not any(session.places.begun.iterdir())
