"""Waiting for others by DVC's lock protocol."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from frostline.runner.running.locks import Locks
from frostline.runner.running.processes import start_of


def table(tmp: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((tmp / "rwlock").read_text())
    return content


def test_entries_stand_in_dvcs_form_while_held_and_are_gone_after(tmp_path: Path) -> None:
    locks = Locks(tmp_path, say=print)

    with locks.paths("project run x", read=[tmp_path / "in"], write=[tmp_path / "out"]):
        held = table(tmp_path)

    info = {"pid": os.getpid(), "cmd": f"project run x #{start_of(os.getpid())}"}
    assert held == {"write": {str(tmp_path / "out"): info}, "read": {str(tmp_path / "in"): [info]}}
    assert table(tmp_path) == {}


def test_a_path_that_a_living_process_writes_is_waited_for_with_a_message(tmp_path: Path) -> None:
    said: list[str] = []
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)"])
    entry = {str(tmp_path / "data"): {"pid": other.pid, "cmd": "dvc repro"}}
    (tmp_path / "rwlock").write_text(json.dumps({"write": entry}))
    threading.Thread(target=other.wait).start()
    started = time.monotonic()

    with Locks(tmp_path, said.append).paths("me", read=[tmp_path / "data/inner"], write=[]):
        waited = time.monotonic() - started

    assert waited > 0.3
    assert said == [f"waiting for {tmp_path / 'data'}, which process {other.pid} (dvc repro) works on"]


def test_entries_of_the_dead_are_taken_out_and_those_of_others_left(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    others = {str(tmp_path / "elsewhere"): [{"pid": os.getpid(), "cmd": "dvc status"}]}
    dead = {str(tmp_path / name): {"pid": gone.pid, "cmd": "dvc repro"} for name in ("out", "far/away")}
    (tmp_path / "rwlock").write_text(json.dumps({"write": dead, "read": others}))

    with Locks(tmp_path, print).paths("me", read=[], write=[tmp_path / "out"]):
        pass

    assert table(tmp_path) == {"read": others}


@pytest.mark.parametrize("command", ["project run x #1", "dvc repro"])
def test_a_number_that_is_another_process_s_by_now_holds_nothing(tmp_path: Path, command: str) -> None:
    said: list[str] = []
    (tmp_path / "project.yml").touch()
    stranger = subprocess.Popen(["tail", "-f", "project.yml"], cwd=tmp_path)
    entry = {"pid": stranger.pid, "cmd": command}
    (tmp_path / "rwlock").write_text(json.dumps({"write": {str(tmp_path / "out"): entry}}))

    try:
        with Locks(tmp_path, said.append).paths("me", read=[], write=[tmp_path / "out"], patient=False):
            pass
    finally:
        stranger.kill()
        stranger.wait()

    assert (table(tmp_path), said) == ({}, [])


def test_readers_share_a_path(tmp_path: Path) -> None:
    locks = Locks(tmp_path, print)

    with (
        locks.paths("a", read=[tmp_path / "x"], write=[tmp_path / "a"]),
        locks.paths("b", read=[tmp_path / "x"], write=[tmp_path / "b"]),
    ):
        held = table(tmp_path)

    assert len(held["read"][str(tmp_path / "x")]) == 2  # type: ignore[index]
    assert table(tmp_path) == {}


def test_the_ledgers_lock_is_waited_for(tmp_path: Path) -> None:
    said: list[str] = []
    with (tmp_path / "lock").open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        threading.Timer(0.3, lambda: fcntl.flock(stream, fcntl.LOCK_UN)).start()

        with Locks(tmp_path, said.append).ledger():
            pass

    assert said == [f"waiting for DVC's lock ({tmp_path / 'lock'}), which another process holds"]


def test_under_dvc_nothing_is_locked(tmp_path: Path) -> None:
    locks = Locks(tmp_path, print, idle=True)

    with locks.ledger(), locks.paths("me", read=[], write=[tmp_path / "x"]):
        assert list(tmp_path.iterdir()) == []
