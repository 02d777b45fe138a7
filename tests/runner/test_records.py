"""What every run of a step leaves: nothing is lost, nothing is mixed, and the file stays bounded."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from frostline.runner.running import logfiles, records
from frostline.runner.running.records import append_record, newest_records, read_records

from .conftest import Playground
from .test_schedule import fake_nvidia_smi

RECORDS = ".dvc/tmp/frostline/records.jsonl"


def test_a_line_that_a_kill_has_cut_short_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    append_record(file, {"n": 1})
    with file.open("ab") as stream:
        stream.write(b'{"n": 2, "st')

    append_record(file, {"n": 3})

    assert [record["n"] for record in read_records(file)] == [1, 3]


@pytest.mark.parametrize("chunk", [1, 7, 1 << 16])
def test_the_newest_come_first_however_the_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(records, "CHUNK_BYTES", chunk)
    file = tmp_path / "records.jsonl"
    for number in range(20):
        append_record(file, {"n": number, "text": "ü" * number})

    assert [record["n"] for record in newest_records(file)] == [*reversed(range(20))]
    assert next(newest_records(file))["text"] == "ü" * 19


def test_writers_at_the_same_time_lose_no_line_even_while_the_file_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_BYTES", 20_000)
    file = tmp_path / "records.jsonl"
    children = []
    for writer in range(4):
        child = os.fork()
        if child == 0:
            for number in range(200):
                append_record(file, {"writer": writer, "n": number, "text": "x" * 50})
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0, 0]

    found = [(record["writer"], record["n"]) for record in read_records(file)]

    assert len(found) == len(set(found)) < 800  # the oldest of all have gone
    for writer in range(4):
        numbers = [number for one, number in found if one == writer]
        assert numbers == list(range(200 - len(numbers), 200))
    assert sum(one.stat().st_size for one in tmp_path.iterdir()) < 2 * 20_100


def test_a_record_says_what_the_step_itself_took(playground: Playground) -> None:
    script = "import time; data = bytearray(90 << 20); data[::4096] = b'x' * len(data[::4096]); time.sleep(0.1)\n"
    playground.write(
        {
            "project.yml": "commands:\n  - {name: small, script: [sleep 0.1]}\n"
            "  - {name: large, script: [sleep 0.1, python large.py]}\n",
            "large.py": script,
        }
    )

    playground.project("run", "small", "large")

    small, large = read_records(playground.root / RECORDS)
    assert small["peak_memory_mib"] < 8  # less than the runner, whose child it was
    assert 95 < large["peak_memory_mib"] < 140
    assert 0.02 < large["cpu_seconds"] < large["seconds"] + 1
    assert (large["status"], large["exit_code"], large["host"]) == ("done", 0, os.uname().nodename)
    assert large["python"] == ".".join(map(str, sys.version_info[:3]))


def test_a_record_names_commit_and_whether_sources_differ_from_it(chain: Playground) -> None:
    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@y", *words]
        return subprocess.run(command, cwd=chain.root, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    chain.write({".gitignore": "calls.txt\n"})
    chain.project("run", "all")
    git("add", ".")
    git("commit", "-qm", "x")
    chain.project("run", "all", "--force")
    chain.project("run", "first", "--force")  # the ledger differs now, and nothing else
    chain.write({"source.txt": "changed\n"})
    chain.project("run", "first")

    *_, forced, again, changed = read_records(chain.root / RECORDS)
    assert {record["git_commit"] for record in (forced, again, changed)} == {git("rev-parse", "HEAD")}
    assert [record["git_dirty"] for record in (forced, again, changed)] == [False, False, True]


def test_history_shows_how_runs_ended_and_only_those_asked_for(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": "profiles: {p: {}}\ncommands:\n"
            "  - {name: good, script: ['true'], outputs_no_cache: [], no_skip: true}\n"
            "  - {name: bad, script: [sh -c 'exit 3'], retries: 1}\n"
            "  - {name: slow, script: [sleep 60], timeout_s: 0.2}\n",
        }
    )
    for name in ("good", "bad", "slow"):
        try:
            playground.project("run", name)
        except Exception as error:
            assert name in str(error)

    lines = playground.project("history").splitlines()

    assert [re.split(r"  +", line)[1:3] for line in lines[1:]] == [
        ["good", "done"],
        ["bad", "retried (3)"],
        ["bad", "failed (3)"],
        ["slow", "failed (time limit)"],
    ]
    assert len(playground.project("history", "--failed", "bad").splitlines()) == 3
    newest = json.loads(playground.project("history", "-n", "1", "--json"))
    assert (newest["step"], newest["timed_out"], newest["reasons"]) == (
        "slow",
        True,
        ["always runs: it has no outputs"],
    )
    assert playground.project("history", "good", "--failed") == "no such run is on record\n"


def test_a_step_that_has_a_gpu_has_its_name_and_memory_on_record(
    playground: Playground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", fake_nvidia_smi(tmp_path, used_mib=1234))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    command = "{name: learn, script: ['sleep 0.5'], resources: {gpus: 1}}"
    playground.write({"project.yml": f"commands: [{command}]\n"})

    playground.project("run", "learn")

    (record,) = read_records(playground.root / RECORDS)
    assert (record["gpus"], record["peak_gpu_mib"]) == (["NVIDIA H100"], 1234.0)
    assert "1234" in playground.project("history")


def test_old_logs_go_when_a_step_starts_again(chain: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfiles, "KEPT", 2)
    for _ in range(4):
        chain.project("run", "first", "--force", "--only")

    assert len(logfiles.newest_logs(chain.root / ".dvc/tmp/frostline/logs/only/first")) == 3
