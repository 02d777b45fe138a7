"""How planning grows with the number of steps: CPU seconds and peak memory of runs that have nothing to do.

Generates projects of 100, 1,000 and 10,000 steps in three shapes (a matrix, the same steps written out, one long
chain), with a ledger that finds everything up to date, and runs `project` over each in a process of its own. CPU time
is read rather than the wall clock, so that other work on the machine disturbs little. The process that measures stays
small: a child counts its parent's peak memory as its own until it has more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SHAPES = ("matrix", "written", "chain")
WORDS = {
    "nothing to do": ["run", "all"],
    "nothing to do, ledger read as YAML": ["run", "all"],
    "status --json": ["status", "--json"],
    "the last step runs": ["run", "all"],
    "first plan": ["run", "all", "--dry"],
}
WRITE = "import pathlib, sys\npathlib.Path(sys.argv[{}]).write_text('made\\n')\n"
FILES = {"work.py": WRITE.format(2), "gather.py": WRITE.format(1), "data.txt": "data\n"}


def main() -> int:
    """Make, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100,1000,10000", help="numbers of steps, with commas between")
    parser.add_argument("--shapes", default=",".join(SHAPES), help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many runs is shown")
    parser.add_argument("--make", nargs=3, metavar=("DIR", "SHAPE", "N"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        folder, shape, n_steps = arguments.make
        make_up_to_date(Path(folder), shape, int(n_steps))
        return 0
    print("| shape | steps | call | CPU, s | ms per step | peak memory, MiB |\n| --- | --- | --- | --- | --- | --- |")
    for shape in arguments.shapes.split(","):
        for n_steps in map(int, arguments.sizes.split(",")):
            measure(shape, n_steps, arguments.rounds)
    return 0


def measure(shape: str, n_steps: int, rounds: int) -> None:
    """Print a row for each call on one project."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        subprocess.run([sys.executable, __file__, "--make", root, shape, str(n_steps)], check=True)
        for call, words in WORDS.items():
            if call == "first plan":
                (folder / "dvc.lock").unlink()
            results = []
            for _ in range(rounds):
                if "YAML" in call:  # as in a fresh clone, or after dvc has written it
                    next((folder / ".dvc/tmp/frostline").glob("lock-*.json")).unlink()
                if "last step" in call:
                    (folder / ("report.txt" if shape != "chain" else f"out/{n_steps - 1}.txt")).unlink()
                    shutil.rmtree(folder / ".dvc/cache", ignore_errors=True)
                results.append(run(folder, words))
            seconds = statistics.median(result[0] for result in results)
            memory = max(result[1] for result in results)
            each = 1000 * seconds / n_steps
            print(f"| {shape} | {n_steps:,} | {call} | {seconds:.2f} | {each:.2f} | {memory:.0f} |", flush=True)


def run(folder: Path, words: list[str]) -> tuple[float, float]:
    """(CPU seconds, peak MiB) of one `project` call; the program ends when it fails."""
    command = [sys.executable, "-P", "-m", "frostline.runner.cli.main", *words]
    with (folder / "said.txt").open("wb") as said:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"project {' '.join(words)} failed:\n{(folder / 'said.txt').read_text()[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def project_text(shape: str, n_steps: int) -> str:
    """A project.yml of so many steps, about: `train` and `evaluate` for each cell and one that gathers, or a chain."""
    if shape == "chain":
        lines = ["commands:"]
        for number in range(n_steps):
            before = f"out/{number - 1}.txt" if number else "data.txt"
            lines += command(f"link-{number}", f"python work.py {before} out/{number}.txt", before, f"out/{number}.txt")
        names = [f"    - link-{number}" for number in range(n_steps)]
        return "\n".join(["profiles: {only: {}}", "workflows:", "  all:", *names, *lines]) + "\n"
    head = ["profiles: {only: {rate: 0.1}}", "workflows: {all: [train, evaluate, gather]}", "commands:"]
    gather = command("gather", "python gather.py report.txt", "out/*/metrics.json", "report.txt")
    n_cells = (n_steps - 1) // 2
    if shape == "matrix":
        n_seeds = max(1, n_cells // 10)
        axes = ["    matrix:", "      variant: [a, b, c, d, e, f, g, h, i, j]", f"      seed: {list(range(n_seeds))}"]
        train, evaluate = (lines_of_cell("${matrix.variant}-${matrix.seed}", part) for part in ("train", "evaluate"))
        return "\n".join([*head, *train, *axes, *evaluate, *axes, *gather]) + "\n"
    cells = [f"{variant}-{seed}" for variant in "abcdefghij" for seed in range(n_cells // 10)]
    names = [f"    - {part}-{cell}" for part in ("train", "evaluate") for cell in cells]
    head = [head[0], "workflows:", "  all:", *names, "    - gather", "commands:"]
    lines = [line for part in ("train", "evaluate") for cell in cells for line in lines_of_cell(cell, part)]
    return "\n".join([*head, *lines, *gather]) + "\n"


def lines_of_cell(cell: str, part: str) -> list[str]:
    """One command of the two parts of an experiment."""
    model = f"out/{cell}/model.txt"
    if part == "train":
        return command(f"train-{cell}", f"python work.py data.txt {model} --rate ${{vars.rate}}", "data.txt", model)
    return command(f"evaluate-{cell}", f"python work.py {model} out/{cell}/metrics.json", model,
                   f"out/{cell}/metrics.json")  # fmt: skip


def command(name: str, line: str, dep: str, output: str) -> list[str]:
    """A command of project.yml as lines."""
    return [f"  - name: {name}", "    script:", f"      - {line}", "    deps:", "      - work.py", f"      - {dep}",
            "    outputs:", f"      - {output}"]  # fmt: skip


def make_up_to_date(folder: Path, shape: str, n_steps: int) -> None:
    """Write a project, its outputs, and the ledger that a run of all its steps leaves, without starting any."""
    from frostline.digest import sha256_json
    from frostline.runner.keeping import dvcfile
    from frostline.runner.keeping.ledger import body_of
    from frostline.runner.keeping.places import plain_name
    from frostline.runner.keeping.setup import prepare
    from frostline.runner.keeping.yaml_out import dump_yaml
    from frostline.runner.session import Session

    (folder / "project.yml").write_text(project_text(shape, n_steps), encoding="utf8")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf8")
    prepare(folder, Session(folder).spec.directories)
    session = Session(folder)
    stages = {}
    for name in session.select(["all"]).order:
        step = session.graph.steps[name]
        for path in step.all_outputs:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(f"{path}\n", encoding="utf8")
        stages[plain_name(name)] = body = body_of(step, session.digest)
        context, entry = session.contexts.of(step), sha256_json(body)
        session.ledger.locals.put(name, {"context": context, "variables": dict(step.variables), "entry": entry})
    session.places.dvc_lock.write_text(dump_yaml({"schema": "2.0", "stages": stages}), encoding="utf8")
    session.ledger.write_state()
    session.ledger.reload()
    dvcfile.sync(session.places, session.project.steps, session.ledger)
    session.hasher.save()


if __name__ == "__main__":
    sys.exit(main())
