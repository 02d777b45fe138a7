"""A project whose steps take long enough to be killed in, and what it looks like when nobody disturbs it."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from frostline.runner.project.yaml_places import load_plain

PROJECT = """
profiles: {p: {}}
workflows: {all: [root, left, right, resumed, joined]}
commands:
  - {name: root, script: [python make.py root.txt source.txt], deps: [make.py, source.txt], outputs: [root.txt]}
  - name: left
    script: [python make.py left/a.txt root.txt, python make.py left/b.txt left/a.txt]
    deps: [make.py, root.txt]
    outputs: [left]
    resources: {cpus: 1}
  - name: right
    script: [python make.py right.txt root.txt]
    deps: [make.py, root.txt]
    outputs_no_cache: [right.txt]
    resources: {cpus: 1}
  - name: resumed
    script: [python resumed.py resumed.txt part]
    deps: [resumed.py, root.txt]
    outputs: [resumed.txt]
    checkpoint: [part]
    resources: {cpus: 1}
  - name: joined
    script: [python make.py out/joined.txt left/b.txt right.txt resumed.txt]
    deps: [make.py, left, right.txt, resumed.txt]
    outputs: [out]
"""
# Writes its target in pieces, so that a kill leaves half of it behind.
MAKE = """import pathlib, sys, time
target, sources = pathlib.Path(sys.argv[1]), sys.argv[2:]
target.parent.mkdir(parents=True, exist_ok=True)
with target.open("w") as out:
    for source in sources:
        for line in pathlib.Path(source).read_text().splitlines():
            out.write(f"{target.name}: {line}\\n")
            out.flush()
            time.sleep(0.005)
"""
# Goes on where it was killed: what is in its checkpoint is whole, and is not made again.
RESUMED = """import os, pathlib, sys, time
target, part = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
part.mkdir(exist_ok=True)
lines = pathlib.Path("root.txt").read_text().splitlines()
for number, line in enumerate(lines):
    file = part / f"{number}.txt"
    if not file.exists():
        (part / "new").write_text(f"resumed: {line}\\n")
        os.replace(part / "new", file)
        time.sleep(0.005)
target.write_text("".join((part / f"{number}.txt").read_text() for number in range(len(lines))))
"""
OUTPUTS = ("root.txt", "left/a.txt", "left/b.txt", "right.txt", "resumed.txt", "out/joined.txt")
# A process that a script starts in the background ignores Ctrl-C, and hands that on: the tests' runner must not.
PROGRAM = """import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from frostline.runner.cli.main import main
main()"""


@dataclass(frozen=True)
class World:
    """One copy of the project."""

    root: Path

    @classmethod
    def fresh(cls, root: Path) -> World:
        """A project that never ran, with an empty store."""
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        files = {"project.yml": PROJECT, "make.py": MAKE, "resumed.py": RESUMED, "source.txt": "one\ntwo\nthree\n"}
        for name, text in files.items():
            (root / name).write_text(text)
        return cls(root)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`project WORDS` as a process that leads a group of its own."""
        return subprocess.Popen([sys.executable, "-P", "-c", PROGRAM, *words], cwd=self.root, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip

    def run(self, *words: str) -> tuple[int, str]:
        """`project WORDS` to its end: exit code, and what it said on both streams."""
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        return process.returncode, out + err

    def bytes_of_outputs(self) -> dict[str, str]:
        """Output file -> SHA-256 of its bytes; what is not there is left out."""
        found = {name: self.root / name for name in OUTPUTS}
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items() if path.exists()}

    def ledger(self) -> dict[str, object]:
        """What dvc.lock has on record, by step."""
        file = self.root / "dvc.lock"
        stages: dict[str, object] = load_plain(file.read_text()).get("stages") or {} if file.exists() else {}
        return stages

    def steps_at_work(self) -> list[int]:
        """Process ids of this project's steps."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    at_home = (entry / "cwd").readlink() == self.root
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if at_home and any(word in (b"make.py", b"resumed.py") for word in words):
                    found.append(int(entry.name))
        return found


def kill(pids: list[int]) -> None:
    """`kill -9` each; one that is gone already is no fault."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
