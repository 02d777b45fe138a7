"""What `project run`, `dvc repro` and `weasel run` take beside the steps: with nothing to do, and for each that runs.

Generates a project of chained steps, each with small outputs of its own, next to one big file and many small ones that
the first step reads; brings it up to date with each tool, in a folder for each. Then times, in turn, runs that do
nothing, and runs that are told to run every step again, beside the steps' commands started one after the other without
any tool. A tool that is not there is left out, and named.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TOOLS: dict[str, tuple[str, ...]] = {
    "project": ("project", "run", "all"),
    "dvc": ("dvc", "repro", "-q"),
    "weasel": ("weasel", "run", "all"),
}
FORCE = "--force"  # what each calls it


def main() -> int:
    """Make, run, time, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--big-mib", type=int, default=64, help="size of the big file")
    parser.add_argument("--small-files", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--weasel", help="the weasel command, where it is not on PATH")
    arguments = parser.parse_args()
    commands = {name: found for name in TOOLS if (found := command_of(name, arguments.weasel))}
    for name in TOOLS.keys() - commands.keys():
        print(f"{name}: not installed, left out", file=sys.stderr)
    with tempfile.TemporaryDirectory() as root:
        first = {name: run(command, make(Path(root) / name, name, arguments)) for name, command in commands.items()}
        nothing: dict[str, list[float]] = {name: [] for name in commands}
        every: dict[str, list[float]] = {name: [] for name in commands}
        bare: list[float] = []
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                nothing[name].append(run(command, Path(root) / name))
            for name, command in commands.items():
                every[name].append(run([*command, FORCE], Path(root) / name))
            bare.append(run_bare(Path(root) / next(iter(commands)), arguments.steps))
    print(f"{arguments.steps} chained steps over a {arguments.big_mib} MiB file and {arguments.small_files} small "
          f"ones, median of {arguments.rounds} rounds in turn\n")  # fmt: skip
    print("| | first run, s | nothing to do, s (lowest–highest) | each step that runs, ms beyond its process |")
    print("| --- | --- | --- | --- |")
    for name, times in nothing.items():
        idle = statistics.median(times)
        beyond = (statistics.median(every[name]) - idle - statistics.median(bare)) / arguments.steps
        print(f"| {name} | {first[name]:.2f} | {idle:.3f} ({min(times):.3f}–{max(times):.3f}) | {1000 * beyond:.0f} |")
    print(f"\nThe {arguments.steps} commands by themselves: {statistics.median(bare):.2f} s; what a tool takes with")
    print("nothing to do is not counted as a step's.")
    if "project" in nothing:
        for name in nothing.keys() - {"project"}:
            ratio = statistics.median(nothing["project"]) / statistics.median(nothing[name])
            print(f"project with nothing to do: {ratio:.3f} × {name}")
    return 0


def command_of(name: str, weasel: str | None) -> list[str] | None:
    """The tool's command line, its program looked up beside this interpreter first; None when it is not there."""
    program, *rest = TOOLS[name]
    beside = Path(sys.executable).parent / program
    found = weasel if name == "weasel" and weasel else str(beside) if beside.exists() else shutil.which(program)
    return [found, *rest] if found else None


def run(command: list[str], folder: Path) -> float:
    """Seconds of one run; the program ends when it fails."""
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-1000:]}\n{done.stderr[-1000:]}")
    return seconds


def run_bare(folder: Path, n_steps: int) -> float:
    """Seconds of the steps' commands, started one after the other as a runner starts them: through no shell."""
    started = time.perf_counter()
    for _, deps, output in chain(n_steps):
        subprocess.run(["python", "step.py", deps[0], output], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def make(folder: Path, tool: str, arguments: argparse.Namespace) -> Path:
    """The project for one tool."""
    (folder / "data" / "small").mkdir(parents=True)
    with (folder / "data" / "big.bin").open("wb") as file:
        for number in range(arguments.big_mib):
            file.write(number.to_bytes(4, "little") * (1 << 18))
    for number in range(arguments.small_files):
        (folder / "data" / "small" / f"{number}.txt").write_text(f"file {number}\n", encoding="utf8")
    (folder / "step.py").write_text(
        "import pathlib, sys\npathlib.Path(sys.argv[2]).write_text(str(pathlib.Path(sys.argv[1]).stat().st_size))\n",
        encoding="utf8",
    )
    writers: dict[str, Callable[[Path, int], None]] = {"dvc": write_dvc}
    writers.get(tool, write_project)(folder, arguments.steps)
    if tool != "weasel":
        program = command_of("dvc", None)
        assert program is not None, "frostline brings dvc along"
        subprocess.run([program[0], "init", "--no-scm", "-q"], cwd=folder, check=True)
    return folder


def chain(n_steps: int) -> list[tuple[str, list[str], str]]:
    """Name, deps and output of every step."""
    links = [("step-0", ["data/big.bin", "data/small"], "out-0.txt")]
    links += [(f"step-{i}", [f"out-{i - 1}.txt"], f"out-{i}.txt") for i in range(1, n_steps)]
    return links


def write_project(folder: Path, n_steps: int) -> None:
    """A project.yml that weasel and we both read."""
    lines = ["title: A chain", "workflows:", "  all:", *(f"    - {name}" for name, _, _ in chain(n_steps)), "commands:"]
    for name, deps, output in chain(n_steps):
        lines += [f"  - name: {name}", "    script:", f"      - python step.py {deps[0]} {output}", "    deps:",
                  *(f"      - {dep}" for dep in [*deps, "step.py"]), "    outputs:", f"      - {output}"]  # fmt: skip
    (folder / "project.yml").write_text("\n".join(lines) + "\n", encoding="utf8")


def write_dvc(folder: Path, n_steps: int) -> None:
    """The same as a dvc.yaml."""
    lines = ["stages:"]
    for name, deps, output in chain(n_steps):
        lines += [f"  {name}:", f"    cmd: python3 step.py {deps[0]} {output}", "    deps:",
                  *(f"      - {dep}" for dep in [*deps, "step.py"]), "    outs:", f"      - {output}"]  # fmt: skip
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n", encoding="utf8")


if __name__ == "__main__":
    sys.exit(main())
