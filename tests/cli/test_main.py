"""The `frostline` command line as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from frostline.cli.main import run, split_overrides
from frostline.cli.options import print_result
from frostline.console import run_command
from frostline.errors import ConfigError, UsageError

HEAVY = ("torch", "thinc", "numpy", "transformers", "confection", "pyarrow", "tokenizers")
VERBS = (
    ["train"],
    ["evaluate"],
    ["embed"],
    ["pretrain"],
    ["convert"],
    ["apply"],
    ["init", "config"],
    ["init", "fill-config"],
    ["init", "vectors"],
    ["debug", "config"],
    ["debug", "model"],
    ["debug", "encoders"],
)
CONFIG = """\
[paths]
train = "a"

[corpora.train]
@readers = "frostline.Corpus.v1"
path = ${paths.train}
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    file = tmp_path / "small.cfg"
    file.write_text(CONFIG)
    return file


def without_heavy_libraries(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({HEAVY!r})); sys.argv = ['frostline', *{list(arguments)!r}]\n"
        "from frostline.cli.main import main; main()"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)


def test_help_needs_no_ml_library() -> None:
    result = without_heavy_libraries("--help")

    assert result.returncode == 0, result.stderr
    for verb in VERBS:
        assert verb[0] in result.stdout


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_the_help_of_a_verb_says_what_is_written_and_gives_an_example(
    verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run([*verb, "--help"])

    shown = " ".join(capsys.readouterr().out.split())
    assert "Written" in shown
    assert f"Example: frostline {' '.join(verb)}" in shown


def test_the_help_of_a_verb_needs_no_ml_library() -> None:
    result = without_heavy_libraries("convert", "--help")

    assert result.returncode == 0, result.stderr


SPLITS = [
    (["train", "a.cfg", "--training.seed", "1", "-o", "x"], ["train", "a.cfg", "-o", "x"], ["--training.seed", "1"]),
    (["train", "--training.seed=1", "a.cfg"], ["train", "a.cfg"], ["--training.seed=1"]),
    (["train", "--training.rate", "-1", "a.cfg"], ["train", "a.cfg"], ["--training.rate", "-1"]),
    (["train", "--paths.a", "--output", "x"], ["train", "--output", "x"], ["--paths.a"]),
    (["apply", "m", "--", "--a.b", "c"], ["apply", "m", "--", "--a.b", "c"], []),
    (["evaluate", "a.b", "./c.d"], ["evaluate", "a.b", "./c.d"], []),
    (["train", "--output=a.b"], ["train", "--output=a.b"], []),
]


@pytest.mark.parametrize(("arguments", "words", "overrides"), SPLITS)
def test_overrides_may_stand_anywhere(arguments: list[str], words: list[str], overrides: list[str]) -> None:
    assert split_overrides(arguments) == (words, overrides)


FAULTY = [
    (["trian", "x"], "No such command 'trian'.", "Did you mean 'train'?"),
    (["init", "confg"], "No such command 'confg'.", "Did you mean 'config'?"),
    (["train", "x", "--otput", "d"], "No such option: --otput.", "Did you mean --output?"),
    (["train"], "Missing argument 'CONFIG'.", "See `frostline train --help`."),
    (["evaluate", "a", "b", "-o", "c", "--system.seed", "3"], "reads no config that --system.seed", "--help"),
    (["convert", "a"], "needs a source and a destination", "frostline convert SRC... DEST"),
    (["train", "x.cfg", "--training", "3", "-o", "d"], "No such option: --training.", "such as --training.max_epochs."),
    (["train", "x.cfg", "--max_epochs=3", "-o", "d"], "No such option: --max_epochs.", "mean --training.max_epochs?"),
    (["debug", "config", "x.cfg", "--max_epoch", "3"], "No such option: --max_epoch.", "mean --training.max_epochs?"),
    (["init", "config", "-", "--paths", "3"], "No such option: --paths.", "such as --paths.train."),
    (["apply", "m", "a", "b", "--training", "3"], "No such option: --training.", "See `frostline apply --help`."),
    (["train", "x.cfg", "-o", "d", "--training.", "3"], "no option '--training.'", "such as --training.max_epochs."),
    (["train", "x.cfg", "--output="], "The value of --output is empty.", "Give one"),
    (["train", "x.cfg", "-o", ""], "The value of -o is empty.", "Give one"),
    (["evaluate", "m", "", "-o", "d"], "An argument is empty.", "variable"),
    (["train", "x.cfg", "-o", "d", "--training.seed"], "--training.seed has no value", "--training.seed true"),
]


@pytest.mark.parametrize(("arguments", "message", "fix"), FAULTY)
def test_a_faulty_command_line_is_explained(arguments: list[str], message: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        run(arguments)

    assert message in caught.value.message
    assert fix in (caught.value.fix or "")


def test_a_key_of_the_config_at_hand_is_named_in_full(config_file: Path) -> None:
    with pytest.raises(UsageError) as caught:
        run(["train", str(config_file), "--path", "x", "--output", "d"])

    assert "Did you mean --corpora.train.path?" in (caught.value.fix or "")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_result_leaves_out_what_there_is_none_of(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"best_step": 0, "resumed_from": None}, as_json=as_json)

    shown = capsys.readouterr().out
    assert shown == ('{"best_step": 0, "resumed_from": null}\n' if as_json else "best_step  0\n")


def test_a_faulty_command_line_ends_with_2_and_no_traceback() -> None:
    result = without_heavy_libraries("trian")

    assert result.returncode == 2
    assert "No such command 'trian'" in result.stderr
    assert "Traceback" not in result.stderr


def test_debug_config_prints_the_filled_config(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["debug", "config", str(config_file), "--paths.train", "0345", "--json"])

    shown = json.loads(capsys.readouterr().out)
    assert shown["corpora"]["train"]["path"] == "0345"
    assert shown["system"]["seed"] == 0


def test_debug_config_names_the_fault_and_its_line(config_file: Path) -> None:
    config_file.write_text(CONFIG.replace("path =", "pth ="))

    with pytest.raises(ConfigError) as caught:
        run(["debug", "config", str(config_file)])

    assert "takes no 'pth'. Did you mean 'path'?" in caught.value.message
    assert f"{config_file}:6" in caught.value.message


def test_fill_config_writes_what_was_left_out_and_keeps_references(config_file: Path, tmp_path: Path) -> None:
    dest = tmp_path / "full.cfg"

    run(["init", "fill-config", str(config_file), str(dest), "--quiet"])

    assert "path = ${paths.train}" in dest.read_text()
    assert "max_words = null" in dest.read_text()


def test_a_file_that_is_there_is_not_written_over(config_file: Path) -> None:
    with pytest.raises(UsageError, match="is there already"):
        run(["init", "fill-config", str(config_file), str(config_file)])

    assert config_file.read_text() == CONFIG


def test_training_without_a_pipeline_is_refused(config_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no section \[pipeline\]"):
        run(["train", str(config_file), "--output", str(tmp_path / "out")])

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "verb", [["train", "x.cfg"], ["evaluate", "m", "c"], ["embed", "m", "c"], ["pretrain", "x.cfg"]]
)
def test_a_file_in_the_place_of_the_output_is_refused_before_any_work(verb: list[str], config_file: Path) -> None:
    with pytest.raises(UsageError, match=r"small\.cfg' is a file"):
        run([*verb, "--output", str(config_file)])


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m frostline.runner.cli.main"
    return subprocess.run(
        ["sh", "-c", line.format(project=command)], cwd=folder, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_exit_code(tmp_path: Path, closing: str) -> None:
    (tmp_path / "project.yml").write_text("commands: [{name: a, script: [echo hi]}]\nworkflows: {all: [a]}")

    assert "Traceback" not in (done := shell(f"{{project}} run all {closing}", tmp_path)).stderr
    assert done.returncode == 0
    assert shell(f"{{project}} run nothing {closing}", tmp_path).returncode == 2


def test_an_exception_of_a_library_shows_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    class Odd(Exception):
        pass

    def fail() -> None:
        raise Odd("something")

    with pytest.raises(SystemExit) as caught:
        run_command(fail)

    assert caught.value.code == 1
    assert "unexpected Odd: something" in capsys.readouterr().err


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    done = shell("mkdir x && cd x && rmdir ../x && {project} status", tmp_path)

    assert done.returncode == 1
    assert "The folder that this was started in is gone." in done.stderr


def test_user_code_is_imported_before_the_config_is_checked(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = tmp_path / "mine.py"
    code.write_text(
        "from frostline.config import registry\n\n@registry.readers('mine.Reader.v1')\ndef read(*, path: str): ...\n"
    )
    config_file.write_text(CONFIG.replace("frostline.Corpus.v1", "mine.Reader.v1"))

    run(["debug", "config", str(config_file), "--code", str(code), "--json"])

    assert "mine.Reader.v1" in capsys.readouterr().out


CODE_THAT_FAILS = """\
import torch
from frostline.config import registry

@registry.readers("mine.Reader.v1")
def read(*, path: str):
    {line}
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise KeyError('hm')", "KeyError: 'hm'"),
        ("torch.zeros(2).view(3)", "RuntimeError: shape"),
        ("open('/nowhere/x')", "FileNotFoundError: [Errno 2]"),
    ],
)
def test_what_the_users_own_code_raises_is_told_as_theirs_with_its_line(
    config_file: Path, tmp_path: Path, line: str, words: str
) -> None:
    code = tmp_path / "mine.py"
    code.write_text(CODE_THAT_FAILS.format(line=line))
    config_file.write_text(CONFIG.replace("frostline.Corpus.v1", "mine.Reader.v1"))

    with pytest.raises(ConfigError) as caught:
        run(["debug", "config", str(config_file), "--code", str(code)])

    assert caught.value.message.startswith(f"The code in '{code}' fails: {words}")
    assert caught.value.where == f"{code}:6, in read"
    assert "FROSTLINE_DEBUG" in (caught.value.fix or "")


def test_convert_makes_a_corpus_and_says_how_large(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "a.conllu"
    source.write_text("1\tHi\thi\tINTJ\tUH\t_\t0\troot\t_\t_\n2\t!\t!\tPUNCT\t.\t_\t1\tpunct\t_\t_\n\n")

    run(["convert", str(source), str(tmp_path / "corpus"), "--json"])

    assert json.loads(capsys.readouterr().out) == {"docs": 1, "words": 2, "output": str(tmp_path / "corpus")}
