"""Running a step again elsewhere, and comparing the bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostline.errors import StepFailed, StoreError, UsageError
from frostline.runner.proof.differences import details, flat

from .conftest import Playground

PROJECT = """
commands:
  - name: make
    script: ["python make.py source.txt made"]
    deps: [make.py, source.txt]
    outputs: [made]
    outputs_no_cache: [timing.json]
    checkpoint: [state]
  - name: use
    script: ["python copy.py made/text.txt deep/down/used.txt"]
    deps: [copy.py, made]
    outputs: [deep/down/used.txt]
  - name: always
    script: ["python -c pass"]
workflows: {all: [make, use, always]}
profiles: {only: {}}
"""
MAKE = """import json, pathlib, sys, time
source, made = map(pathlib.Path, sys.argv[1:])
if pathlib.Path("/BESIDE/slow").exists():
    pathlib.Path("/BESIDE/started").touch()
    time.sleep(60)
assert not pathlib.Path("state").exists() and not made.exists()
luck = pathlib.Path("/BESIDE/luck")
lucky = luck.read_text() if luck.exists() else ""
made.mkdir()
(made / "text.txt").write_text(source.read_text() + lucky)
(made / "metrics.json").write_text(json.dumps({"a": {"b": [1, len(lucky)]}, "c": 1}))
(made / "raw.bin").write_bytes(b"\\0" * 2000 + lucky.encode())
if lucky:
    (made / "extra").touch()
pathlib.Path("timing.json").write_text(str(time.time_ns()))
"""


@pytest.fixture
def ground(playground: Playground) -> Playground:
    """A project that has run. Beside it, the file `luck` changes what `make` makes, and `slow` lets it sleep."""
    make = MAKE.replace("/BESIDE", str(playground.root.parent))
    playground.write({"project.yml": PROJECT, "make.py": make, "source.txt": "one\n"})
    playground.project("run", "all")
    playground.calls()
    return playground


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of the project and of the store, with time and content; local state aside."""
    files = [path for path in root.rglob("*") if path.is_file() and ".dvc/tmp" not in path.as_posix()]
    return {str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def scratches(root: Path) -> list[Path]:
    return list((root / ".dvc/tmp/frostline/scratch").glob("*"))


def test_equal_bytes_are_said_to_be_equal_and_the_project_is_left_alone(ground: Playground) -> None:
    (ground.root / "state").write_text("a checkpoint of another try")
    before = snapshot(ground.root)

    said = ground.project("verify", "all")

    assert said.splitlines() == [
        "make: the same bytes (made)",
        "  not under the promise of equal bytes (outputs_no_cache), and different: timing.json",
        "use: the same bytes (deep/down/used.txt)",
        "2 of 2 steps gave the same bytes",
    ]
    assert snapshot(ground.root) == before
    assert scratches(ground.root) == []
    assert "verified" in ground.project("history")


def test_a_difference_is_shown_by_file_by_key_and_by_line(ground: Playground) -> None:
    (ground.root.parent / "luck").write_text("x\n")

    with pytest.raises(SystemExit) as caught:
        ground.project("verify", "make", "use")

    assert caught.value.code == 1
    assert ground.capture.readouterr().out.splitlines() == [
        "make: differs",
        "  made/extra: new",
        "  made/metrics.json: changed",
        "    a.b.1: 0 → 2",
        "  made/raw.bin: changed",
        "    from byte 2000 on (2000 bytes → 2002 bytes)",
        "  made/text.txt: changed",
        "    1 lines → 2 lines",
        "  not under the promise of equal bytes (outputs_no_cache), and different: timing.json",
        "use: the same bytes (deep/down/used.txt)",
        "1 of 2 steps gave the same bytes, 1 differ",
    ]
    assert set(ground.actions("make", "use").values()) == {"skip"}


def test_verdicts_as_json(ground: Playground) -> None:
    (row,) = json.loads(ground.project("verify", "use", "--json"))

    assert (row["step"], row["verdict"], row["same"]) == ("use", "same", ["deep/down/used.txt"])


def test_inputs_and_comparison_come_from_the_store_where_the_disk_has_none(ground: Playground) -> None:
    shutil.rmtree(ground.root / "made")
    shutil.rmtree(ground.root / "deep")

    assert "the same bytes" in ground.project("verify", "use")
    assert not (ground.root / "made").exists()

    shutil.rmtree(ground.root / ".dvc/cache")
    with pytest.raises(StoreError, match="'made' is not here as it was recorded"):
        ground.project("verify", "use")


def test_a_step_that_reads_what_it_does_not_declare_fails_in_the_copy(ground: Playground) -> None:
    ground.write({"project.yml": PROJECT.replace("deps: [copy.py, made]", "deps: [copy.py]")})
    ground.project("run", "use")

    with pytest.raises(StepFailed, match="failed in the scratch copy") as caught:
        ground.project("verify", "use")

    assert caught.value.fix is not None and "does not declare" in caught.value.fix
    assert caught.value.where is not None and (ground.root / caught.value.where).is_file()


def test_what_can_not_be_verified_is_said(ground: Playground) -> None:
    with pytest.raises(UsageError, match="'always' has no outputs"):
        ground.project("verify", "always")
    ground.write({"project.yml": PROJECT.replace("copy.py made", "copy.py ./made")})
    with pytest.raises(UsageError, match="'use' is not as it was recorded: its command has changed"):
        ground.project("verify", "use")
    ground.write({"project.yml": PROJECT, "make.py": "other\n"})
    with pytest.raises(StoreError, match=r"'make\.py' is not here as it was recorded"):
        ground.project("verify", "make")


def test_a_step_that_works_in_place_is_refused(playground: Playground) -> None:
    playground.write({"project.yml": "commands: [{name: a, script: [python a.py], deps: [x], outputs: [x]}]"})
    playground.write({"a.py": "open('x', 'a').write('!')", "x": "x"})
    playground.project("run", "a")

    with pytest.raises(UsageError, match="works in place"):
        playground.project("verify", "a")


def test_only_own_files_and_deps_are_in_the_copy(playground: Playground) -> None:
    show = "import os, sys\nfound = sorted(os.path.join(d, f)[2:] for d, _, fs in os.walk('.') for f in fs)\n"
    show += "open(sys.argv[1], 'w').write('\\n'.join(found))\n"
    playground.write(
        {
            "project.yml": "profiles: {one: {}, two: {}}\ncommands:\n"
            "  - {name: big, script: [\"python copy.py show.py ${profile}/big\"], outputs: [\"${profile}/big\"]}\n"
            "  - {name: a, script: [python show.py a], deps: [show.py, secret.txt], outputs: [a], profile: one}\n",
            "show.py": show, "secret.txt": "x", "ignored.txt": "x", "lib/module.py": "", ".gitignore": "*.txt\n",
            "two/big": "x",
        }
    )  # fmt: skip
    subprocess.run(["git", "init", "-q"], cwd=playground.root, check=True)
    playground.project("run", "big", "a")

    with pytest.raises(SystemExit):
        playground.project("verify", "a", "--keep")

    (copy,) = playground.root.glob(".dvc/tmp/frostline/scratch/*/project")
    assert (copy / "a").read_text().split() == [
        ".dvcignore", ".gitignore", "copy.py", "dvc.lock", "dvc.yaml", "lib/module.py", "one/.gitignore",
        "project.yml", "secret.txt", "show.py",
    ]  # fmt: skip
    playground.project("verify", "big")
    assert copy.exists()


def test_ctrl_c_ends_the_step_and_removes_the_copy(ground: Playground) -> None:
    (ground.root.parent / "slow").touch()
    command = [sys.executable, "-P", "-m", "frostline.runner.cli.main", "verify", "make"]
    process = subprocess.Popen(command, cwd=ground.root, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (ground.root.parent / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.02)

    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[1]

    assert process.returncode == 130 and "interrupted" in said
    assert scratches(ground.root) == []
    assert list((ground.root / ".dvc/tmp/frostline/running").glob("*")) == []


def test_a_copy_that_a_kill_has_left_goes_with_the_next_verify(ground: Playground) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = ground.root / f".dvc/tmp/frostline/scratch/{gone.pid}-abc/project"
    left.mkdir(parents=True)
    mine = ground.root / f".dvc/tmp/frostline/scratch/{os.getpid()}-abc/project"
    mine.mkdir(parents=True)

    ground.project("verify", "use")

    assert scratches(ground.root) == [mine.parent]


@pytest.mark.parametrize(("n_gpus", "seen"), [(0, ""), (1, "4")])
def test_a_step_sees_the_gpus_that_a_run_gives_it(
    playground: Playground, monkeypatch: pytest.MonkeyPatch, n_gpus: int, seen: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    text = f"commands: [{{name: see, script: [python see.py], outputs: [seen], resources: {{gpus: {n_gpus}}}}}]\n"
    playground.write({"project.yml": text})
    playground.write({"see.py": "import os\nopen('seen', 'w').write(os.environ['CUDA_VISIBLE_DEVICES'])\n"})
    playground.project("run", "see")

    assert playground.project("verify", "see") == "see: the same bytes (seen)\n"
    assert playground.read("seen") == seen


@pytest.mark.parametrize("up", ["..", "../..", "../" * 30 + "{root}"])
def test_a_dep_outside_of_the_project_is_copied_to_where_the_command_finds_it(
    playground: Playground, tmp_path: Path, up: str
) -> None:
    outside = tmp_path.parent if up == "../.." else tmp_path
    ext = f"{up}/ext-{tmp_path.name}".format(root=str(tmp_path).lstrip("/"))
    playground.write(
        {
            "project.yml": "profiles: {p: {}}\ncommands:\n"
            f"  - {{name: use, script: [python copy.py {ext}/y used], deps: [copy.py, {ext}], outputs: [used]}}\n"
        }
    )
    (outside / f"ext-{tmp_path.name}").mkdir()
    (outside / f"ext-{tmp_path.name}" / "y").write_text("outside")
    playground.project("run", "use")

    assert playground.project("verify", "use") == "use: the same bytes (used)\n"
    assert scratches(playground.root) == []


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_two_different_contents_have_a_difference_to_show(
    tmp_path_factory: pytest.TempPathFactory, a: bytes, b: bytes
) -> None:
    folder = tmp_path_factory.mktemp("pair", numbered=True)
    (folder / "a").write_bytes(a)
    (folder / "b").write_bytes(b)

    assert a == b or details(folder / "a", folder / "b") != ()


def test_nested_values_are_named_by_dotted_keys() -> None:
    assert flat({"a": {"b": [1, {}]}, "c": []}) == {"a.b.0": 1, "a.b.1": {}, "c": []}
