"""Who runs when: turns, the machine's budget, GPU slots, failures. Commands are played in this process."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from frostline.errors import StepFailed
from frostline.runner.cli.progress import failure_of
from frostline.runner.planning.graph import build_graph
from frostline.runner.project.spec import Resources, Step
from frostline.runner.running import budget as budgets
from frostline.runner.running.budget import Budget, Machine, Need, refuse_what_never_fits, visible_gpus
from frostline.runner.running.executors import local
from frostline.runner.running.executors.base import Job
from frostline.runner.running.records import read_records
from frostline.runner.running.schedule import Tally
from frostline.runner.running.turns import Turns

from .conftest import Playground
from .played import run_played, touch_outputs

RECORDS = ".dvc/tmp/frostline/records.jsonl"

MACHINE = Machine(n_cpus=4, memory_mib=1000, gpus=("0", "7"))


def step(name: str, *needs: str, **resources: int) -> Step:
    return Step(name=name, script=("x",), wait_for=needs, resources=Resources(**resources))


DIAMOND = (step("a"), step("long1"), step("long2", "long1"), step("long3", "long2"), step("b"), step("end", "a", "b"))


def order_of(steps: tuple[Step, ...], needs: dict[str, Need] | None) -> list[str]:
    """The order in which steps are taken where each is done as soon as it began."""
    turns = Turns(build_graph(steps), tuple(step.name for step in steps), needs)
    taken = []
    while (name := turns.take(lambda need: True, is_idle=True)) is not None:
        taken.append(name)
        turns.settle(name)
    return taken


def test_the_longest_chain_goes_first_and_of_equals_the_first_in_the_file() -> None:
    one = Need(1, 0, 0)

    assert order_of(DIAMOND, {s.name: one for s in DIAMOND}) == ["long1", "a", "long2", "b", "long3", "end"]


def test_one_at_a_time_the_order_is_kept_strictly() -> None:
    assert order_of(DIAMOND, None) == ["a", "long1", "long2", "long3", "b", "end"]


def test_what_needs_a_failed_step_loses_its_turn_and_all_else_keeps_it() -> None:
    turns = Turns(build_graph(DIAMOND), tuple(s.name for s in DIAMOND), {s.name: Need(1, 0, 0) for s in DIAMOND})
    assert turns.take(lambda need: True, is_idle=True) == "long1"

    assert turns.lose("long1") == ["long2", "long3"]

    assert turns.give_up() == ["a", "b", "end"]


def test_a_step_that_does_not_fit_lets_a_smaller_one_go_first() -> None:
    steps = (step("big"), step("small"))
    turns = Turns(build_graph(steps), ("big", "small"), {"big": Need(4, 0, 0), "small": Need(1, 0, 0)})

    assert turns.take(lambda need: need.cpus < 2, is_idle=False) == "small"
    assert turns.take(lambda need: need.cpus < 2, is_idle=False) is None
    turns.put_back("small")
    assert turns.take(lambda need: True, is_idle=False) == "big"


@pytest.mark.parametrize(
    ("resources", "fits"),
    [
        ({"cpus": 2}, True),
        ({"cpus": 3}, False),
        ({"cpus": 1, "gpus": 1}, True),
        ({"cpus": 1, "gpus": 2}, False),
        ({"memory_mib": 400}, True),
        ({"memory_mib": 401}, False),
        ({}, False),
    ],
)
def test_a_step_fits_where_cpus_gpus_and_memory_are_left(resources: dict[str, int], fits: bool) -> None:
    budget = Budget(MACHINE, whole_machine=True)
    budget.take(step("at-work", cpus=2, gpus=1, memory_mib=600))

    assert budget.has_room(budget.need(step("next", **resources))) is fits


def test_each_step_has_gpus_of_its_own_and_gives_them_back() -> None:
    budget = Budget(MACHINE)

    assert budget.take(step("a", gpus=1)) == ("0",)
    assert budget.take(step("b", gpus=1)) == ("7",)
    assert budget.take(step("none", gpus=0)) == ()
    assert budget.take(step("unsaid")) is None
    budget.release("a")
    assert budget.take(step("c", gpus=1)) == ("0",)


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"gpus": 3}, "Step 'greedy' asks for 3 GPUs, but this machine has 2."),
        ({"memory_mib": 1001}, "Step 'greedy' asks for 1001 MiB of memory, but this machine has 1000 MiB."),
    ],
)
def test_what_never_fits_is_refused(resources: dict[str, int], message: str) -> None:
    with pytest.raises(StepFailed) as caught:
        refuse_what_never_fits([step("fine", cpus=99), step("greedy", **resources)], MACHINE, "project.yml")

    assert caught.value.message == message


def test_a_container_s_limits_are_the_machine_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "CGROUP", tmp_path)
    monkeypatch.setattr(budgets, "MEMINFO", tmp_path / "meminfo")
    assert budgets.memory_mib() is None
    (tmp_path / "meminfo").write_text("MemTotal:        4096000 kB\nMemFree: 1 kB\n")
    assert budgets.memory_mib() == 4000
    (tmp_path / "memory.max").write_text("max\n")
    assert budgets.memory_mib() == 4000
    (tmp_path / "memory.max").write_text(f"{512 << 20}\n")
    assert budgets.memory_mib() == 512
    (tmp_path / "cpu.max").write_text("max 100000\n")
    free = budgets.n_cpus()
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert budgets.n_cpus() == 1 <= free


LISTED = """GPU 0: NVIDIA H100 (UUID: GPU-aa)
GPU 1: NVIDIA A100 (UUID: GPU-bb)
  MIG 1g.5gb      Device  0: (UUID: MIG-c1)
  MIG 1g.5gb      Device  1: (UUID: MIG-c2)
"""


def fake_nvidia_smi(folder: Path, *, used_mib: int = 0) -> str:
    """A folder for PATH with an nvidia-smi that knows two GPUs."""
    program = folder / "nvidia-smi"
    rows = f"0, GPU-aa, NVIDIA H100, {used_mib}\\n1, GPU-bb, NVIDIA A100, [N/A]\\n"
    program.write_text(
        f"#!/bin/sh\nif [ \"$1\" = -L ]; then cat <<'END'\n{LISTED}END\nexit; fi\nprintf '{rows}'\nexec sleep 60\n"
    )
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_visible_gpus_are_those_named_or_those_that_are_there(tmp_path: Path) -> None:
    path = fake_nvidia_smi(tmp_path)

    assert visible_gpus({"PATH": path}) == ("GPU-aa", "MIG-c1", "MIG-c2")
    assert visible_gpus({"PATH": path, "CUDA_VISIBLE_DEVICES": "3, GPU-aa"}) == ("3", "GPU-aa")
    assert visible_gpus({"PATH": path, "CUDA_VISIBLE_DEVICES": "3,-1,4"}) == ("3",)
    assert visible_gpus({"PATH": path, "CUDA_VISIBLE_DEVICES": ""}) == ()
    assert visible_gpus({"PATH": str(tmp_path / "nowhere")}) == ()


GPU_STEPS = """
profiles: {only: {}}
commands:
  - name: t-${matrix.i}
    matrix: {i: [0, 1, 2, 3, 4]}
    script: ["make t${matrix.i}"]
    outputs: ["t${matrix.i}"]
    resources: {gpus: 1}
"""


def test_steps_side_by_side_see_one_gpu_each(playground: Playground) -> None:
    playground.write({"project.yml": GPU_STEPS})

    run = run_played(playground.root, ["t"], touch_outputs, machine=MACHINE)

    assert run.order == [f"t-{i}" for i in range(5)]
    assert {len(names) for names in run.executor.together} == {2, 1}
    devices = {job.step: job.environ["CUDA_VISIBLE_DEVICES"] for job in run.executor.begun}
    assert all(len({devices[name] for name in names}) == len(names) for names in run.executor.together)


def test_a_run_that_can_t_get_its_gpus_ends_before_anything_starts(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    playground.write({"project.yml": GPU_STEPS.replace("script: [", "script: [touch first, ")})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    with pytest.raises(StepFailed, match="asks for 1 GPU, but none is visible here") as caught:
        playground.project("run", "t")

    assert caught.value.where == "project.yml:4"
    assert not (playground.root / "first").exists()


FORK = """
profiles: {only: {}}
workflows: {all: [bad, needs-bad, needs-that, good, after-good]}
commands:
  - {name: bad, script: [make fail], outputs: [b]}
  - {name: needs-bad, script: [make nb], deps: [b], outputs: [nb]}
  - {name: needs-that, script: [make nt], deps: [nb], outputs: [nt]}
  - {name: good, script: [make g], outputs: [g]}
  - {name: after-good, script: [make ag], deps: [g], outputs: [ag]}
"""


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_keep_going_runs_all_that_does_not_need_a_failed_step(playground: Playground, n_jobs: int | None) -> None:
    playground.write({"project.yml": FORK})

    tally = run_played(playground.root, ["all"], touch_outputs, n_jobs=n_jobs, keep_going=True).tally

    assert tally.ran == ["good", "after-good"]
    assert tally.blocked == {"needs-bad": "bad", "needs-that": "bad"}
    error = failure_of(tally)
    assert error is not None
    assert error.message.splitlines() == [
        "Step 'bad' failed with exit code 3: make fail",
        "  not run  needs-bad: needs 'bad'",
        "  not run  needs-that: needs 'bad'",
    ]


def test_several_failures_are_told_as_one_error() -> None:
    failed = {name: StepFailed(f"Step '{name}' failed.") for name in ("a", "b")}

    error = failure_of(Tally(failed=failed, blocked={"c": "a"}))

    assert error is not None
    assert error.message == "2 steps failed:\n  failed   Step 'a' failed.\n  failed   Step 'b' failed.\n" + (
        "  not run  c: needs 'a'"
    )


def test_without_keep_going_a_failure_starts_nothing_more_but_lets_end_what_runs(playground: Playground) -> None:
    playground.write({"project.yml": FORK})

    run = run_played(playground.root, ["all"], touch_outputs, n_jobs=2)

    assert run.order == ["bad", "good"]
    assert run.tally.ran == ["good"]
    assert run.tally.left_out == ["after-good"]


def test_retries_are_tries_of_the_same_step_and_stop_at_success(playground: Playground) -> None:
    playground.write({"project.yml": GPU_STEPS.replace("resources: {gpus: 1}", "retries: 2")})
    codes = iter([3, 3, 0] + [0] * 4)

    def play(job: Job) -> int:
        code = next(codes)
        return code or touch_outputs(job)

    run = run_played(playground.root, ["t"], play)

    assert run.order == ["t-0", "t-0", "t-0", "t-1", "t-2", "t-3", "t-4"]
    assert run.tally.ran == [f"t-{i}" for i in range(5)] and not run.tally.failed
    assert len({job.log for job in run.executor.begun}) == 7


def test_side_by_side_nobody_waits_for_a_path_while_holding_others(playground: Playground) -> None:
    """Two runners that each hold a path and wait for the other's would wait for ever."""
    playground.write({"project.yml": GPU_STEPS.replace("resources: {gpus: 1}", "")})
    rwlock = playground.root / ".dvc/tmp/rwlock"
    rwlock.parent.mkdir(parents=True)
    taken = {str(playground.root / "t1"): {"pid": os.getpid(), "cmd": "dvc repro"}}
    rwlock.write_text(json.dumps({"write": taken}))

    def play(job: Job) -> int:
        table = json.loads(rwlock.read_text())
        if job.step == "t-3":
            table["write"] = {path: info for path, info in table["write"].items() if path not in taken}
            rwlock.write_text(json.dumps(table))
        return touch_outputs(job)

    run = run_played(playground.root, ["t"], play, n_jobs=2)

    assert sorted(run.tally.ran) == [f"t-{i}" for i in range(5)]
    assert run.order.index("t-1") > run.order.index("t-3")


DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


def test_while_one_step_is_being_ended_others_end_in_time_and_others_start(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "GRACE_S", 2.5)
    playground.write(
        {
            "deaf.py": DEAF,
            "project.yml": "profiles: {p: {}}\nworkflows: {all: [deaf, quick, next]}\ncommands:\n"
            "  - {name: deaf, script: [python deaf.py], outputs: [d], timeout_s: 0.5}\n"
            "  - {name: quick, script: [sleep 1, touch q], outputs: [q], timeout_s: 2}\n"
            "  - {name: next, script: [touch n], deps: [q], outputs: [n]}\n",
        }
    )

    with pytest.raises(StepFailed, match="'deaf' ran out of its time limit"):
        playground.project("run", "all", "-j", "2", "--keep-going")

    rows = list(read_records(playground.root / RECORDS))
    assert [(row["step"], row["status"]) for row in rows] == [("quick", "done"), ("next", "done"), ("deaf", "failed")]
    assert 1 <= rows[0]["seconds"] < 1.9


def test_the_seconds_of_a_step_are_its_processes_though_nobody_looked(tmp_path: Path) -> None:
    executor = local.LocalExecutor(tmp_path / "running")
    job = Job(
        step="s",
        commands=(("sleep", "0.2"), ("true",)),
        shown=("sleep 0.2", "true"),
        folder=tmp_path,
        environ=dict(os.environ),
        log=tmp_path / "log",
        timeout_s=0.9,
    )
    running = executor.start(job)
    time.sleep(1)  # as when another step's outputs are hashed

    while running.outcome is None:
        executor.wait([running], 0.1)

    assert (running.outcome.exit_code, running.outcome.timed_out) == (0, False)
    assert running.outcome.seconds < 0.8


def test_steps_that_nothing_before_them_changes_are_not_even_locked(
    chain: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.project("run", "all")
    chain.write({"other.txt": "changed\n"})
    begun: list[str] = []
    from frostline.runner.running.run import Runner

    begin = Runner.begin
    monkeypatch.setattr(Runner, "begin", lambda self, name, **rest: begun.append(name) or begin(self, name, **rest))

    said = chain.project("run", "all")

    assert begun == ["third"]
    assert said.startswith("1 step ran, 2 up to date")
