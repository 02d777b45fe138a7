"""Messages, exit codes, and what happens when nobody listens any more."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from frostline import console
from frostline.errors import ConfigError, FrostlineError, StepFailed


def _raise(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StepFailed("no"), 1),
        (ConfigError("no"), 2),
        (KeyboardInterrupt(), 130),
        (RuntimeError("a fault of ours"), 1),
        (OSError(28, "No space left on device", "/x"), 1),
    ],
)
def test_every_error_ends_with_its_exit_code_and_without_a_traceback(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        console.run_command(_raise(error))

    assert left.value.code == code
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("error", [ConfigError("no"), RuntimeError("a fault of ours")])
def test_every_error_shows_its_traceback_where_that_is_asked_for(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROSTLINE_DEBUG", "1")
    with pytest.raises(SystemExit):
        console.run_command(_raise(error))

    assert "Traceback" in capsys.readouterr().err


def test_an_error_is_printed_as_what_where_and_fix(capsys: pytest.CaptureFixture[str]) -> None:
    error = FrostlineError("It is wrong.", where="project.yml:3", fix="Mend it.")

    console.report_error(error)

    printed = capsys.readouterr().err
    assert [part in printed for part in ("It is wrong.", "where: project.yml:3", "fix:   Mend it.")] == [True] * 3


def test_work_goes_on_when_nobody_reads_its_progress_any_more() -> None:
    program = (
        "import sys\nfrom frostline import console\n"
        "for number in range(20000):\n    console.say('progress ' * 20)\n"
        "console.out('done')\n"
    )

    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stderr.read(1)
        process.stderr.close()
        assert process.stdout.read() == "done\n"
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(("number", "fix"), [(28, "Make room on that disk"), (30, "Work in a copy")])
def test_an_error_of_the_system_is_printed_with_its_place_and_a_way_out(
    number: int, fix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        console.run_command(_raise(OSError(number, os.strerror(number), "/a/place")))

    message, where, way_out = capsys.readouterr().err.splitlines()
    assert message == f"error: {os.strerror(number)}."
    assert where == "  where: /a/place"
    assert fix in way_out


def _limited_to_nothing() -> None:
    """What a child may write to a file: no byte. Stands in for a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize("n_lines", [1, 5000])
def test_a_result_that_can_not_be_written_is_a_failure(tmp_path: Path, n_lines: int) -> None:
    program = f"from frostline import console\nconsole.run_command(lambda: console.out('result\\n' * {n_lines}))"

    with (tmp_path / "full").open("w") as full:
        command = [sys.executable, "-c", program]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, preexec_fn=_limited_to_nothing
        )

    assert done.returncode == 1
    assert done.stderr.startswith("error: File too large.\n  where: standard output\n")


def test_work_goes_on_when_its_progress_can_not_be_written(tmp_path: Path) -> None:
    program = "from frostline import console\nfor n in range(9): console.say('x' * 9000)\nconsole.out('done')"

    with (tmp_path / "full").open("w") as full:
        command = [sys.executable, "-c", program]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=full, text=True, preexec_fn=_limited_to_nothing
        )

    assert (done.returncode, done.stdout) == (0, "done\n")
