"""What a run shows while it goes on: whole lines in a pipe, a drawing on a terminal, logs that can be followed."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from frostline.runner.cli.live import LiveReporter
from frostline.runner.cli.output import Tail, coloured, last_lines, last_state, plain
from frostline.runner.cli.tables import duration
from frostline.runner.planning.plan import Action, Decision
from frostline.runner.project.spec import Step
from frostline.runner.running.executors.base import Job

from .conftest import Playground
from .played import PlayedRunning

PROJECT = [sys.executable, "-P", "-m", "frostline.runner.cli.main"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("  0%|   |\r 50%|#  |\r100%|###|", "100%|###|"),
        ("windows line\r", "windows line"),
        ("1%\b\b2%\b\b3%", "3%"),
        ("\x1b[2K\x1b[1A\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07", "red bell"),
        ("\x1b]8;;http://x.org\x1b\\link\x1b]8;;\x1b\\ \x1b(B\x1bM\x9b1A", "link 1A"),
        ("tab\there", "tab     here"),
        ("", ""),
    ],
)
def test_a_line_is_shown_as_a_terminal_leaves_it_without_control_codes(raw: str, shown: str) -> None:
    assert plain(last_state(raw)) == shown


def test_of_control_codes_only_colours_are_kept_and_end_with_the_line() -> None:
    assert coloured("\x1b[2K\x1b[1;31mred\x1b[1A") == "\x1b[1;31mred\x1b[0m"


def test_a_growing_log_gives_each_line_once_and_knows_what_stands_last(tmp_path: Path) -> None:
    log = tmp_path / "log"
    tail = Tail(log)
    seen = [tail.new_lines()]
    for piece in (b"one\ntw", b"o \xc3", b"\xa9\n 10%\r 20%", b"\r 30%\n\n"):
        with log.open("ab") as stream:
            stream.write(piece)
        seen.append(tail.new_lines())
        last = tail.last

    assert seen == [[], ["one"], [], ["two é"], [" 30%", ""]]
    assert last == " 30%"
    assert tail.rest() == []


def test_of_a_huge_log_only_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 80 + b"\n" + b"filler line\n" * 200_000 + b"the end")

    assert last_lines(log, 2) == ["filler line", "the end"]


def test_times_are_short() -> None:
    assert [duration(seconds) for seconds in (0.04, 59.9, 187.2, 3723)] == ["0.0 s", "59.9 s", "3:07", "1:02:03"]


NOISY = """import sys
print("\\x1b[31mred\\x1b[0m start", flush=True)
for i in range(4):
    print(f"\\r{i * 25}% \\x1b[2K\\x1b[1A", end="", flush=True)
print("\\r100% done \\x07")
open(sys.argv[1], "w").write("x")
"""
SIDE_BY_SIDE = """
profiles: {only: {}}
commands:
  - name: t-${matrix.i}
    matrix: {i: [0, 1]}
    script: ["python noisy.py t${matrix.i}"]
    outputs: ["t${matrix.i}"]
"""


@pytest.mark.parametrize(("jobs", "prefix"), [("1", ""), ("2", "t-1 | ")])
def test_a_pipe_gets_whole_plain_lines(playground: Playground, jobs: str, prefix: str) -> None:
    playground.write({"project.yml": SIDE_BY_SIDE, "noisy.py": NOISY})

    done = subprocess.run([*PROJECT, "run", "t", "-j", jobs], cwd=playground.root, capture_output=True, check=False)

    said = done.stderr.decode()
    assert done.returncode == 0
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)
    assert [line for line in said.splitlines() if line.startswith(prefix)].count(f"{prefix}red start") == 3 - int(jobs)
    assert f"{prefix}100% done " in said


def test_a_terminal_shows_what_runs_and_keeps_what_is_done(playground: Playground) -> None:
    playground.write({"project.yml": SIDE_BY_SIDE, "noisy.py": NOISY})
    leader, follower = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "60", "LINES": "20", "CI": ""}

    process = subprocess.Popen([*PROJECT, "run", "t", "-j", "2"], cwd=playground.root, stderr=follower, env=environ,
                               stdout=subprocess.DEVNULL)  # fmt: skip
    os.close(follower)
    shown = b""
    with pytest.raises(OSError):  # what a terminal's other end gives when the last writer has gone
        while True:
            shown += os.read(leader, 1 << 16)
    os.close(leader)

    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"0 of 2 · [12] running · 0\.\d s", text)
    assert len(re.findall(r"\[[12]/2\] t-[01]: done in", text)) == 2
    assert "\x07" not in text


@pytest.mark.parametrize("width", [20, 39, 60, 200])
def test_what_is_drawn_fits_the_terminal(width: int, tmp_path: Path) -> None:
    drawn = io.StringIO()
    console = Console(file=drawn, width=width, height=8, force_terminal=True, color_system=None, highlight=False)
    reporter = LiveReporter(30, parallel=True, console=console)
    names = [f"train-a-variant-with-a-long-name-{number}" for number in range(12)]
    running = []
    with reporter:
        for name in names:
            job = Job(step=name, commands=(), shown=(), folder=tmp_path, environ={}, log=tmp_path / name)
            job.log.write_text("漢字 " * 100)
            running.append(PlayedRunning(job))
            reporter.started(Step(name=name, script=()), Decision(step=name, action=Action.RUN), running[-1])
        drawn.truncate(0)
        reporter.tick(running)

    last = re.split(r"\x1b\[[0-9;?]*[A-Za-z]", drawn.getvalue())
    lines = [line for part in last for line in part.splitlines() if line.strip()]
    assert all(console.render_str(line).cell_len < width for line in lines)
    assert any(line.strip() == "… and 8 more" for line in lines)
    assert any(line.startswith("0 of 30 · 12 run") for line in lines)


SLOW = """import pathlib, time
print("one", flush=True)
while not pathlib.Path("go").exists():
    time.sleep(0.01)
print("two")
open("out", "w").write("x")
"""


def test_a_log_is_followed_until_its_step_ends(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": "workflows: {all: [slow]}\n"
            "commands: [{name: slow, script: [python slow.py], outputs: [out]}]\n",
            "slow.py": SLOW,
        }
    )
    runner = subprocess.Popen([*PROJECT, "run", "all", "-q"], cwd=playground.root, stdout=subprocess.DEVNULL)
    logs = playground.root / ".dvc/tmp/frostline/logs/default/slow"
    while not list(logs.glob("*.log")):
        assert runner.poll() is None
    follower = subprocess.Popen([*PROJECT, "logs", "slow", "-f"], cwd=playground.root, stdout=subprocess.PIPE)
    assert follower.stdout is not None
    with follower.stdout:
        assert follower.stdout.readline() == b"one\n"
        playground.write({"go": ""})

        assert follower.stdout.read() == b"two\n"

    assert (follower.wait(), runner.wait()) == (0, 0)


def test_older_logs_can_be_chosen_and_are_listed_with_their_ends(chain: Playground) -> None:
    chain.write({"copy.py": "print('first time')\n" + chain.read("copy.py")})
    chain.project("run", "first")
    chain.write({"copy.py": "print('second time'); raise SystemExit(4)\n"})
    with pytest.raises(Exception, match="exit code 4"):
        chain.project("run", "first")

    assert chain.project("logs", "first", "-q") == "second time\n"
    assert chain.project("logs", "first", "-n", "2", "-q") == "first time\n"
    statuses = [line.split()[3] for line in chain.project("logs", "first", "--list").splitlines()[2:]]
    assert statuses == ["failed", "done"]
    with pytest.raises(Exception, match="'first' has 2 logs, no number 3"):
        chain.project("logs", "first", "-n", "3")
