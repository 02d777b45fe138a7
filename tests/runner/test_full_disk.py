"""Where nothing more can be written: what was there stays, nothing half written is left, and it is said."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from frostline.errors import StepFailed, StoreError
from frostline.runner.digests.hashing import Hasher, keep, replace_quickly
from frostline.runner.keeping import store as stores
from frostline.runner.keeping.store import Store

from .conftest import Playground


def fill_disk(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let every write and copy of a file break off half-way."""

    def half(path: Path, data: bytes | str, **rest: object) -> None:
        with path.open("wb") as stream:
            stream.write(b"half")
        raise error

    monkeypatch.setattr(Path, "write_bytes", half)
    monkeypatch.setattr(Path, "write_text", half)
    monkeypatch.setattr(shutil, "copyfile", lambda source, target: half(Path(target), b""))
    monkeypatch.setattr(stores, "_reflink", lambda source, target: False)


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()], ids=["full", "interrupted"])
def test_a_write_that_breaks_off_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    (tmp_path / "state").write_text("old")
    (tmp_path / "out").write_text("made")
    store = Store(tmp_path, lambda path: {})
    digest = Hasher(tmp_path, None).digest("out")
    assert digest is not None
    before = sorted(tmp_path.rglob("*.tmp"))
    fill_disk(monkeypatch, error)

    with pytest.raises(type(error)):
        replace_quickly(tmp_path / "state", b"new")
    with pytest.raises((StoreError, KeyboardInterrupt)):
        store.keep("out", digest)
    with pytest.raises(type(error)):
        store.keep_result({"cmd": "x", "deps": [{"path": "d"}], "outs": [{"path": "out", "md5": digest.md5}]})
    if error is FULL:
        keep(tmp_path / "state", b"new")

    assert (tmp_path / "state").read_text() == "old"
    assert sorted(tmp_path.rglob("*.tmp")) == before == []


def test_an_output_that_can_not_be_brought_back_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_text("made")
    store = Store(tmp_path, lambda path: {})
    digest = Hasher(tmp_path, None).digest("out")
    assert digest is not None
    store.keep("out", digest)
    (tmp_path / "out").unlink()
    fill_disk(monkeypatch, FULL)

    with pytest.raises(StoreError, match="can't be written"):
        store.place(digest.md5, "out")

    assert not (tmp_path / "out").exists()
    assert list(tmp_path.rglob("*.tmp")) == []


def test_a_step_that_fails_on_a_full_disk_says_that_its_output_may_lack_the_end(
    chain: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.write({"copy.py": "raise SystemExit(3)"})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=100))

    with pytest.raises(StepFailed) as caught:
        chain.project("run", "first")

    folder = ".dvc/tmp/frostline/logs/only/first"
    assert caught.value.fix == f"The disk that holds '{folder}' is full: its output may lack the end. Make room first."


def test_what_a_killed_process_was_writing_goes_with_the_next_run(chain: Playground) -> None:
    chain.project("run", "all")
    gone = subprocess.Popen(["true"])
    gone.wait()
    local = chain.root / ".dvc/tmp/frostline"
    names = [f".state-only.json.{pid}.tmp" for pid in (gone.pid, os.getppid())]
    for name in names:
        (local / name).touch()
    chain.write({"source.txt": "new\n"})

    chain.project("run", "all")

    assert [(local / name).exists() for name in names] == [False, True]
