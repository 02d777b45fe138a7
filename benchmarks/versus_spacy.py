"""Put frostline beside spaCy + spacy-transformers: the same docs, components, encoder and threads, in one run.

Starts each side as a process of its own, in turn (theirs, ours, ours in float32, theirs, …), so that both meet the same
weather on the machine; prints the medians of the rounds and adds them to RESULTS.md. How each side measures is its
own business: see peers/spacy_side.py and frostline_side.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
ROWS = {"listener": "unfrozen, listener", "annotating": "unfrozen, annotating",
        "frozen": "frozen, 8 epochs with the encoder's one pass", "predict": "prediction",
        "tok2vec": "a tok2vec, training", "tok2vec-predict": "a tok2vec, prediction"}  # fmt: skip
CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
MADE_BY_PROJECT = "assets/ewt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One thing to measure."""

    side: str
    task: str
    precision: str


def main() -> int:
    """Measure, print, and write down."""
    arguments = parse()
    cells = list(plan(arguments.tasks, arguments.precisions))
    measured: dict[Cell, list[dict[str, Any]]] = {cell: [] for cell in cells}
    for number in range(arguments.rounds):
        for cell in cells:
            print(f"round {number + 1}/{arguments.rounds}: {cell.side} {cell.task} {cell.precision}", file=sys.stderr)
            measured[cell].append(measure(cell, arguments))
    text = section(measured, arguments)
    print(text)
    if not arguments.dry:
        before = RESULTS.read_text(encoding="utf8") if RESULTS.exists() else "# Results\n"
        RESULTS.write_text(f"{before.rstrip()}\n\n{text}", encoding="utf8")
    return 0


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    peer = os.environ.get("FROSTLINE_PEER_PYTHON")
    parser.add_argument("--peer-python", default=peer, required=peer is None,
                        help="interpreter with spaCy and spacy-transformers; or set FROSTLINE_PEER_PYTHON")  # fmt: skip
    parser.add_argument("--assets", type=Path, default=Path(MADE_BY_PROJECT),
                        help="folder with en_ewt-ud-{train,test}.conllu")  # fmt: skip
    parser.add_argument("--model", type=Path, default=Path(MADE_BY_PROJECT) / "all-MiniLM-L6-v2")
    parser.add_argument("--tasks", nargs="+", choices=tuple(ROWS), default=list(ROWS))
    parser.add_argument("--precisions", nargs="+", choices=("bf16", "float32"), default=["bf16", "float32"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--predict-docs", type=int, default=0, help="0 for the whole test part")
    parser.add_argument("--n-sentences", type=int, default=10, help="per doc")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dry", action="store_true", help="print only; leave RESULTS.md alone")
    return parser.parse_args()


def plan(tasks: list[str], precisions: list[str]) -> Iterator[Cell]:
    """What a round measures, in order; the peer knows float32 only on this kind of machine."""
    for task in tasks:
        yield Cell(side="spacy", task=task, precision="float32")
        for precision in precisions:
            yield Cell(side="frostline", task=task, precision=precision)


def measure(cell: Cell, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one side once and read the last line it prints."""
    own = cell.side == "frostline"
    interpreter = sys.executable if own else arguments.peer_python
    script = HERE / "frostline_side.py" if own else HERE / "peers" / "spacy_side.py"
    options = {"--model": arguments.model, "--train": arguments.assets / "en_ewt-ud-train.conllu",
               "--test": arguments.assets / "en_ewt-ud-test.conllu", "--steps": arguments.steps,
               "--warm-up": arguments.warm_up, "--predict-docs": arguments.predict_docs,
               "--n-sentences": arguments.n_sentences, "--threads": arguments.threads}  # fmt: skip
    if own:
        options["--precision"] = cell.precision
    command = [interpreter, str(script), cell.task, *(str(word) for pair in options.items() for word in pair)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads), "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{cell.side} {cell.task} failed:\n{done.stderr[-3000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def section(measured: dict[Cell, list[dict[str, Any]]], arguments: argparse.Namespace) -> str:
    """A section of RESULTS.md: command, machine, versions, table."""
    options = " ".join(f"--{name} {getattr(arguments, name)}" for name in ("rounds", "steps"))
    lines = [
        "## frostline beside spaCy + spacy-transformers",
        "",
        f"`python benchmarks/versus_spacy.py {options}`, {datetime.now(UTC):%Y-%m-%d}. {machine()}, "
        f"{arguments.threads} threads.",
        "",
        "UD English EWT r2.16, all-MiniLM-L6-v2, docs of at most "
        f"{arguments.n_sentences} sentences with the treebank's words; a tagger and a morphologizer. Medians of "
        f"{arguments.rounds} rounds in turn, in brackets the lowest and the highest; each round a process of its own, "
        f"{arguments.steps} steps after {arguments.warm_up} that do not count, or the test part once.",
        "",
        "| | | words/s | times spaCy's | words per step | peak memory, MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for task in arguments.tasks:
        theirs = statistics.median(rates_of(measured, "spacy", task, "float32"))
        for cell, runs in measured.items():
            if cell.task == task:
                lines.append(row(cell, runs, theirs))
    versions = {cell.side: runs[0]["versions"] for cell, runs in measured.items()}
    lines += ["", *(f"{side}: {', '.join(f'{name} {number}' for name, number in of_side.items())}.  "
                    for side, of_side in versions.items())]  # fmt: skip
    return "\n".join(lines) + "\n"


def row(cell: Cell, runs: list[dict[str, Any]], theirs: float) -> str:
    """One line of the table."""
    rates = [run["words_per_s"] for run in runs]
    rate = statistics.median(rates)
    memory = max(run["peak_memory_mib"] for run in runs)
    n_words = f"{runs[0]['words_per_step']:,.0f}" if not cell.task.endswith("predict") else ""
    spread = f"{rate:,.0f} ({min(rates):,.0f}–{max(rates):,.0f})"
    return (f"| {ROWS[cell.task]} | {cell.side}, {cell.precision} | {spread} | {rate / theirs:.2f} | {n_words} | "
            f"{memory:,.0f} |")  # fmt: skip


def rates_of(measured: dict[Cell, list[dict[str, Any]]], side: str, task: str, precision: str) -> list[float]:
    """Words per second of every round of one cell."""
    return [run["words_per_s"] for run in measured[Cell(side=side, task=task, precision=precision)]]


def machine() -> str:
    """The class of this machine, without anything that names it."""
    model, flags, memory = platform.machine(), "", 0.0
    cpu, meminfo = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    if cpu.exists() and meminfo.exists():
        fields = dict(line.split(":", 1) for line in cpu.read_text().splitlines() if ":" in line)
        names = {name.strip(): value.strip() for name, value in fields.items()}
        model, flags = names.get("model name", model), names.get("flags", "")
        memory = int(meminfo.read_text().split()[1]) / (1 << 20)
    features = ", ".join(name for name in CPU_FEATURES if name in flags.split()) or "features unknown"
    return f"{os.cpu_count()} cores of an {model} ({features}), {memory:.0f} GiB, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
