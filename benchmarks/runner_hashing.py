"""How fast files are hashed for the first time, and how long a look at them takes when nothing has changed.

`project status` and `dvc status`, on one step that reads a big file, many small ones, and a folder of very many; each
tool in a folder of its own, its caches removed before every first look. The rate is that of what a first look takes
beyond a second one, in which nothing is hashed. Whole commands are timed, interpreter start and all.
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
from pathlib import Path

TOOLS = ("project", "dvc")
PROJECT = """
profiles: {only: {}}
commands:
  - name: read
    script: ["python -c pass"]
    deps: [DEPS]
    outputs: [never-made.txt]
"""
STAGE = """
stages:
  read:
    cmd: python -c pass
    deps: [DEPS]
    outs: [never-made.txt]
"""


def main() -> int:
    """Make, look, look again, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--big-mib", type=int, default=512)
    parser.add_argument("--small-files", type=int, default=1000)
    parser.add_argument("--many-files", type=int, default=100_000, help="files of the folder that is looked at twice")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"medians of {arguments.rounds} rounds in turn\n")
    print("| | first look, s | second look, s | MB/s between them |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        sources = Path(name) / "sources"
        n_bytes = make_sources(sources, arguments)
        for what, deps in (("big and small", ["big.bin", "small"]), ("many", ["many"])):
            folders = {tool: make_project(Path(name) / f"{tool}-{deps[0]}", tool, sources, deps) for tool in TOOLS}
            for tool, (first, second) in measured(folders, arguments.rounds).items():
                rate = f"{n_bytes / 1e6 / (first - second):.0f}" if what != "many" else ""
                print(f"| {tool}, {what} | {first:.2f} | {second:.2f} | {rate} |")
    return 0


def measured(folders: dict[str, Path], n_rounds: int) -> dict[str, tuple[float, float]]:
    """Tool -> median seconds of a look without caches, and of one right after it."""
    times: dict[str, tuple[list[float], list[float]]] = {tool: ([], []) for tool in folders}
    for _ in range(n_rounds):
        for tool, folder in folders.items():
            for cache in ("state", ".dvc/tmp"):
                shutil.rmtree(folder / cache, ignore_errors=True)
            for seconds in times[tool]:
                seconds.append(look(tool, folder))
    return {tool: (statistics.median(first), statistics.median(second)) for tool, (first, second) in times.items()}


def make_sources(folder: Path, arguments: argparse.Namespace) -> int:
    """One big file, some small ones, a folder of many; the size of the first two together."""
    (folder / "small").mkdir(parents=True)
    block = os.urandom(1 << 20)
    with (folder / "big.bin").open("wb") as file:
        for _ in range(arguments.big_mib):
            file.write(block)
    for number in range(arguments.small_files):
        (folder / "small" / f"{number}.txt").write_bytes(block[: 1000 + number])
    for number in range(arguments.many_files):
        inner = folder / "many" / f"{number // 1000:03}"
        if number % 1000 == 0:
            inner.mkdir(parents=True)
        (inner / f"{number}.txt").write_text(str(number))
    return (arguments.big_mib << 20) + sum(1000 + number for number in range(arguments.small_files))


def make_project(folder: Path, tool: str, sources: Path, deps: list[str]) -> Path:
    """A project for one tool, with links to the sources in the place of copies."""
    folder.mkdir()
    for dep in deps:
        if (sources / dep).is_dir():
            shutil.copytree(sources / dep, folder / dep, copy_function=os.link)
        else:
            os.link(sources / dep, folder / dep)
    text, name = (PROJECT, "project.yml") if tool == "project" else (STAGE, "dvc.yaml")
    (folder / name).write_text(text.replace("DEPS", ", ".join(deps)))
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    return folder


def look(tool: str, folder: Path) -> float:
    """Seconds of one `status`; the program ends when it fails."""
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder / "state")}
    beside = Path(sys.executable).with_name(tool)
    command = [str(beside) if beside.exists() else tool, "status"]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-1000:]}\n{done.stderr[-1000:]}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
