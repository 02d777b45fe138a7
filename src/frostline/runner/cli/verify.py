"""Run steps again in a scratch copy, with the same inputs, and compare their outputs byte by byte with those on record.

Neither the store nor a checkpoint is read, and nothing is recorded as done. Outputs under `outputs_no_cache` (times and
the like) are under no promise of equal bytes. Exits with 1 when an output differs.
"""

from __future__ import annotations

import argparse
import json
import signal

from frostline.console import live, out, paint, say
from frostline.errors import FrostlineError, UsageError
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.cli.tables import count
from frostline.runner.keeping.ledger import Record
from frostline.runner.proof.verify import Verdict, check, verify
from frostline.runner.running.executors.local import LocalExecutor, end_leftovers
from frostline.runner.running.signals import ends_like_ctrl_c
from frostline.runner.session import Session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project verify`."""
    parser.add_argument(
        "names", nargs="+", metavar="STEP", help="step, workflow, beginning of a matrix's names, or glob"
    )
    parser.add_argument("--keep", action="store_true", help="keep the scratch copies, and say where they are")
    parser.add_argument("--json", action="store_true", help="verdicts as JSON")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Verify each step in its turn, and tell."""
    session = open_session(values, rest)
    chosen = _chosen(session, values.names)
    end_leftovers(session.places.running)
    executor = LocalExecutor(session.places.running)
    rows: list[dict[str, object]] = []
    faults: list[FrostlineError] = []
    for name, record in chosen.items():
        say(f"{name}: running again in a scratch copy")
        try:
            with ends_like_ctrl_c(signal.SIGTERM, signal.SIGHUP):
                verdict = verify(session, name, record, executor, keep=values.keep, say=say, tick=_tick)
        except FrostlineError as error:
            faults.append(error)
            rows.append({"step": name, "verdict": "failed", "message": error.message})
            continue
        rows.append(_as_json(verdict))
        if not values.json:
            _tell(verdict)
    session.hasher.save()
    if values.json:
        out(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        _sum_up([str(row["verdict"]) for row in rows])
    if faults:
        for fault in faults[:-1]:
            say(f"{paint('error', 'red')}: {fault}")
        raise faults[-1]
    if any(row["verdict"] != "same" for row in rows):
        raise SystemExit(1)


def _chosen(session: Session, words: list[str]) -> dict[str, Record]:
    """The steps to verify. Raises UsageError for one that was named and can't be; of a workflow, it is left out."""
    chosen: dict[str, Record] = {}
    for name in session.select(words, only=True).order:
        try:
            chosen[name] = check(session, name)
        except UsageError as error:
            if name in words:
                raise
            say(f"left out: {error.message}")
    if not chosen:
        raise UsageError("There is nothing to verify.", fix="See: project status --all")
    return chosen


def _tick(step: str, seconds: float) -> None:
    live(f"{step}: {seconds:.0f} s")


def _tell(verdict: Verdict) -> None:
    if verdict.is_same:
        out(f"{verdict.step}: the same bytes ({', '.join(map(str, verdict.same)) or 'no output is under the promise'})")
    else:
        out(f"{verdict.step}: differs")
    for difference in verdict.differences:
        out(f"  {difference.path}: {difference.change}")
        for line in difference.details:
            out(f"    {line}")
    if verdict.unpromised:
        paths = ", ".join(map(str, verdict.unpromised))
        out(f"  not under the promise of equal bytes (outputs_no_cache), and different: {paths}")
    if verdict.scratch is not None:
        out(f"  kept: {verdict.scratch}")


def _sum_up(verdicts: list[str]) -> None:
    told = [f"{verdicts.count('same')} of {count(len(verdicts), 'step')} gave the same bytes"]
    told += [f"{verdicts.count(kind)} {word}" for kind, word in (("different", "differ"), ("failed", "failed"))
             if kind in verdicts]  # fmt: skip
    if len(verdicts) > 1:
        out(", ".join(told))


def _as_json(verdict: Verdict) -> dict[str, object]:
    return {
        "step": verdict.step,
        "verdict": "same" if verdict.is_same else "different",
        "same": [str(path) for path in verdict.same],
        "differences": [
            {"path": one.path, "change": one.change, "details": list(one.details)} for one in verdict.differences
        ],
        "not_promised": [str(path) for path in verdict.unpromised],
        "seconds": round(verdict.seconds, 3),
        "scratch": str(verdict.scratch) if verdict.scratch is not None else None,
    }
