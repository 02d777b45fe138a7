"""Running steps: what runs, what is skipped, what is restored, and what is recorded."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from frostline.errors import StepFailed, UsageError
from frostline.runner.running.records import read_records

from .conftest import CHAIN, Playground, is_running


def test_a_second_run_runs_nothing_and_says_so_in_one_line(chain: Playground) -> None:
    chain.project("run", "all")
    chain.calls()

    said = chain.project("run", "all")

    assert chain.calls() == []
    assert said == "all 3 steps are up to date: nothing to run\n"


def test_only_steps_below_a_change_run_again(chain: Playground) -> None:
    chain.project("run", "all")
    chain.calls()
    chain.write({"other.txt": "changed\n"})

    chain.project("run", "all")

    assert chain.calls() == ["out/third.txt"]


def test_a_step_whose_inputs_turn_out_the_same_is_skipped_after_all(chain: Playground) -> None:
    chain.project("run", "all")
    chain.calls()
    chain.write({"project.yml": CHAIN.replace("copy.py source.txt first.txt", "copy.py  source.txt ./first.txt")})

    said = chain.project("run", "all")

    assert chain.calls() == ["first.txt"]
    assert said.startswith("1 step ran, 2 up to date")


def test_going_back_to_an_earlier_state_restores_without_running(chain: Playground) -> None:
    chain.project("run", "all")
    before = chain.read("out/third.txt")
    chain.write({"source.txt": "another\n"})
    chain.project("run", "all")
    chain.calls()
    chain.write({"source.txt": "one\n"})

    said = chain.project("run", "all")

    assert chain.calls() == []
    assert said.startswith("0 steps ran, 3 restored")
    assert chain.read("out/third.txt") == before


def test_a_missing_output_comes_back_from_the_store(chain: Playground) -> None:
    chain.project("run", "all")
    chain.calls()
    (chain.root / "second.txt").unlink()

    chain.project("run", "all")

    assert chain.calls() == []
    assert chain.read("second.txt") == "one\n"


def test_an_output_edited_by_hand_is_put_right(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"first.txt": "scribble"})

    action, (reason,) = chain.decisions()["first"]
    assert action == "restore"
    assert reason.startswith("output 'first.txt' is not as the step left it: 5bbf5a52 → ")
    chain.project("run", "all")

    assert chain.read("first.txt") == "one\n"


def test_force_runs_the_named_step_and_nothing_upstream(chain: Playground) -> None:
    chain.project("run", "all")
    chain.calls()

    chain.project("run", "second", "--force")

    assert chain.calls() == ["second.txt"]


def test_only_leaves_out_what_is_upstream(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"source.txt": "new\n"})
    chain.calls()

    said = chain.project("run", "third", "--only")

    assert chain.calls() == []
    assert "up to date" in said


def test_a_failure_stops_the_run_and_records_nothing_of_the_step(chain: Playground) -> None:
    chain.write({"project.yml": CHAIN.replace("copy.py first.txt", "copy.py missing.txt")})

    with pytest.raises(StepFailed) as caught:
        chain.project("run", "all")

    assert "'second' failed with exit code 1" in caught.value.message
    assert chain.actions() == {"first": "skip", "second": "run", "third": "run"}
    assert chain.calls() == ["first.txt", "second.txt"]
    log = chain.project("logs", "second")
    assert "FileNotFoundError" in log


def test_keep_going_runs_what_does_not_need_the_failed_step(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": """
commands:
  - {name: bad, script: ["python -c 'raise SystemExit(3)'"], outputs: [bad.txt]}
  - {name: below, script: ["python copy.py bad.txt below.txt"], deps: [bad.txt], outputs: [below.txt]}
  - {name: good, script: ["python copy.py copy.py good.txt"], deps: [copy.py], outputs: [good.txt]}
workflows: {all: [bad, below, good]}
profiles: {one: {}}
"""
        }
    )

    with pytest.raises(StepFailed, match="exit code 3"):
        playground.project("run", "all", "--keep-going")

    assert playground.calls() == ["good.txt"]


def test_a_step_that_leaves_an_output_out_has_failed(playground: Playground) -> None:
    playground.write({"project.yml": "commands: [{name: lazy, script: ['python -c pass'], outputs: [never.txt]}]"})

    with pytest.raises(StepFailed, match=r"did not make 'never\.txt'"):
        playground.project("run", "lazy")

    assert playground.actions() == {"lazy": "run"}


def test_a_missing_dep_names_the_nearest_output(chain: Playground) -> None:
    chain.write({"project.yml": CHAIN.replace("deps: [copy.py, first.txt]", "deps: [copy.py, frist.txt]")})

    with pytest.raises(StepFailed) as caught:
        chain.project("run", "second")

    assert caught.value.fix is not None and "Did you mean 'first.txt'?" in caught.value.fix
    assert chain.calls() == []


def test_a_time_limit_ends_the_step_and_all_it_started(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": """
commands:
  - name: slow
    shell: true
    script: ["sleep 30 & echo $! > child.pid; sleep 30"]
    outputs: [x]
    timeout_s: 0.3
"""
        }
    )

    with pytest.raises(StepFailed, match=r"time limit of 0\.3 s"):
        playground.project("run", "slow")

    assert not is_running(int(playground.read("child.pid")))


def test_a_failed_step_is_tried_again_as_often_as_it_says(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": """
commands:
  - name: flaky
    script: ["python flaky.py"]
    deps: [flaky.py]
    outputs: [done.txt]
    retries: 2
""",
            "flaky.py": "import pathlib\np = pathlib.Path('tries')\nn = len(p.read_text()) if p.exists() else 0\n"
            "p.write_text('x' * (n + 1))\nassert n == 2\npathlib.Path('done.txt').write_text('ok')\n",
        }
    )

    playground.project("run", "flaky")

    assert playground.read("tries") == "xxx"
    statuses = [record["status"] for record in read_records(playground.root / ".dvc/tmp/frostline/records.jsonl")]
    assert statuses == ["retried", "retried", "done"]


def test_a_checkpoint_survives_a_failure_and_goes_on_success(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": """
commands:
  - {name: train, script: ["python train.py"], deps: [train.py], outputs: [model], checkpoint: [checkpoint]}
""",
            "train.py": "import pathlib\nc = pathlib.Path('checkpoint')\nif not c.exists():\n"
            "    c.mkdir(); (c / 'state').write_text('half'); raise SystemExit(1)\n"
            "pathlib.Path('model').write_text((c / 'state').read_text() + ' and whole')\n",
        }
    )
    with pytest.raises(StepFailed):
        playground.project("run", "train")
    assert playground.read("checkpoint/state") == "half"

    playground.project("run", "train")

    assert playground.read("model") == "half and whole"
    assert not (playground.root / "checkpoint").exists()


def test_a_command_without_outputs_always_runs(playground: Playground) -> None:
    playground.write({"project.yml": "commands: [{name: hello, script: ['python copy.py copy.py x.txt']}]"})

    playground.project("run", "hello")
    playground.project("run", "hello")

    assert playground.calls() == ["x.txt", "x.txt"]


def test_threads_are_bounded_by_the_declared_cpus(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": """
commands:
  - name: show
    shell: true
    script: ["echo $OMP_NUM_THREADS $MKL_NUM_THREADS > threads.txt"]
    outputs: [threads.txt]
    resources: {cpus: 3}
"""
        }
    )

    playground.project("run", "show")

    assert playground.read("threads.txt") == "3 3\n"


def test_python_in_a_command_is_the_one_that_runs_the_runner(playground: Playground) -> None:
    import sys

    playground.write(
        {
            "project.yml": "commands: [{name: who, script: ['python who.py'], deps: [who.py], outputs: [who.txt]}]",
            "who.py": "import sys; open('who.txt', 'w').write(sys.executable)",
        }
    )

    playground.project("run", "who")

    assert playground.read("who.txt") == sys.executable


def test_a_secret_reaches_the_command_and_no_file_of_ours(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "hush-123456")
    playground.write(
        {
            "project.yml": """
env: {token: MY_TOKEN}
commands:
  - name: use
    script: ["python use.py ${env.token}", "python use.py 'x-${env.token}'"]
    deps: [use.py]
    outputs: [n.txt]
""",
            "use.py": "import sys; open('n.txt', 'w').write(str(len(sys.argv[1])))",
        }
    )

    playground.project("run", "use")

    assert playground.read("n.txt") == "13"
    own = [path for path in playground.root.rglob("*") if path.is_file()]
    assert [str(path) for path in own if b"hush" in path.read_bytes()] == []
    assert "python use.py $MY_TOKEN" in playground.read("dvc.yaml")
    monkeypatch.setenv("MY_TOKEN", "other")
    assert playground.decisions()["use"] == ("run", ["environment variable MY_TOKEN changed"])


def test_a_package_of_another_minor_version_runs_the_step_again(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frostline.runner.keeping import context

    playground.write(
        {
            "project.yml": """
commands:
  - {name: s, script: ["python copy.py copy.py o"], deps: [copy.py], outputs: [o], requires: [torch]}
"""
        }
    )
    monkeypatch.setattr(context, "installed_versions", lambda: {"torch": "2.12.1"})
    playground.project("run", "s")
    monkeypatch.setattr(context, "installed_versions", lambda: {"torch": "2.12.3"})
    assert playground.actions() == {"s": "skip"}

    monkeypatch.setattr(context, "installed_versions", lambda: {"torch": "2.13.0"})

    assert playground.decisions()["s"] == ("run", ["package torch changed: 2.12 → 2.13"])
    (playground.root / ".dvc/tmp/frostline/state-default.json").unlink()  # as in a fresh clone
    assert playground.actions() == {"s": "run"}


def test_a_variable_reruns_only_the_steps_that_use_it(playground: Playground) -> None:
    text = """
vars: {a: 1, b: 2}
commands:
  - {name: uses-a, script: ["python copy.py copy.py a-${vars.a}.txt"], deps: [copy.py], outputs: ["a-${vars.a}.txt"]}
  - {name: uses-b, script: ["python copy.py copy.py b-${vars.b}.txt"], deps: [copy.py], outputs: ["b-${vars.b}.txt"]}
workflows: {all: [uses-a, uses-b]}
profiles: {one: {}}
"""
    playground.write({"project.yml": text})
    playground.project("run", "all")

    decisions = playground.decisions("--set", "vars.b=3")

    assert decisions["uses-a"] == ("skip", [])
    assert decisions["uses-b"][1][:2] == ["vars.b changed: 2 → 3", "command changed: b-2.txt → b-3.txt"]
    assert playground.actions("--vars.b", "3") == {"uses-a": "skip", "uses-b": "run"}


def test_steps_run_side_by_side_and_in_the_order_of_their_edges(chain: Playground) -> None:
    chain.project("run", "all", "-j", "3")

    assert chain.calls() == ["first.txt", "second.txt", "out/third.txt"]


def test_every_run_leaves_a_record(chain: Playground) -> None:
    chain.project("run", "first")

    (record,) = read_records(chain.root / ".dvc/tmp/frostline/records.jsonl")

    assert record["step"] == "first"
    assert (record["status"], record["exit_code"], record["profile"]) == ("done", 0, "only")
    assert record["seconds"] > 0 and record["peak_memory_mib"] > 0
    assert "first" in chain.project("history")


def test_dry_json_has_the_agreed_shape_and_touches_nothing(chain: Playground) -> None:
    rows = json.loads(chain.project("run", "all", "--dry", "--json"))

    assert rows[0] == {
        "step": "first",
        "action": "run",
        "reasons": ["never ran here"],
        "causes": [{"kind": "never ran"}],
        "certain": True,
    }
    assert {frozenset(row) for row in rows} == {frozenset({"step", "action", "reasons", "causes", "certain"})}
    assert not (chain.root / ".dvc").exists()


def test_an_unknown_name_suggests_the_nearest(chain: Playground) -> None:
    with pytest.raises(UsageError) as caught:
        chain.project("run", "thrid")

    assert caught.value.fix == "Did you mean 'third'?"


def test_status_check_exits_with_one_when_something_would_run(chain: Playground) -> None:
    with pytest.raises(SystemExit) as caught:
        chain.project("status", "--check")
    assert caught.value.code == 1

    chain.project("run", "all")

    chain.project("status", "--check")


def test_clean_and_checkout_take_outputs_away_and_bring_them_back(chain: Playground) -> None:
    chain.project("run", "all")

    assert chain.project("clean").split() == ["first.txt", "second.txt", "out"]
    assert not (chain.root / "out").exists()
    assert chain.project("checkout") == "3 steps checked out\n"
    assert chain.actions() == {"first": "skip", "second": "skip", "third": "skip"}


@pytest.mark.parametrize("link", ["hardlink", "symlink", "copy"])
def test_outputs_are_never_written_through_a_link_into_the_store(chain: Playground, link: str) -> None:
    chain.project("run", "first")
    chain.write({".dvc/config": f"[core]\n    no_scm = true\n[cache]\n    type = {link}\n"})
    chain.project("run", "all", "--force")
    stored = {path: path.read_bytes() for path in (chain.root / ".dvc/cache/files").rglob("*") if path.is_file()}
    chain.write({"source.txt": "new\n"})

    chain.project("run", "all")

    assert all(path.read_bytes() == content for path, content in stored.items())
    assert chain.read("out/third.txt") == "new\ntwo\n"


def test_a_set_up_that_was_killed_is_ended_by_the_next_run(chain: Playground) -> None:
    (chain.root / ".dvc").mkdir()

    chain.project("run", "all")

    assert (chain.root / ".dvc/config").read_text(encoding="utf-8") == "[core]\n    no_scm = true\n"
    assert chain.actions() == {"first": "skip", "second": "skip", "third": "skip"}


def test_a_project_that_may_only_be_read_is_told_up_to_date(chain: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    chain.project("run", "all")
    shutil.rmtree(chain.root / ".dvc/tmp")
    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(Path, "write_bytes", refuse)

    assert chain.actions() == {"first": "skip", "second": "skip", "third": "skip"}
    assert "up to date" in chain.project("why", "first")
    assert chain.project("run", "all") == "all 3 steps are up to date: nothing to run\n"
