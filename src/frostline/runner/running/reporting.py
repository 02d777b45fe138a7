"""Have the report made by its own command line: rooms meet only through command lines and files.

The report is a view, not a step: it is made again when metrics, records or the report's settings have changed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from frostline.console import say
from frostline.digest import sha256_json
from frostline.errors import StepFailed
from frostline.files import write_json_atomic
from frostline.runner.keeping.ledger import Ledger
from frostline.runner.session import Session

COMMAND = "frostline.report"


def wants_report(session: Session) -> bool:
    """Whether the project asks for a report: it has a `report` section."""
    return session.spec.report is not None


def settings_of(session: Session) -> dict[str, Any]:
    """The `report` section, as the report's command reads it."""
    report = session.spec.report
    return {
        "title": (report.title if report else None) or session.project.title or None,
        "baseline": report.baseline if report else None,
        "axes": list(report.axes) if report else [],
        "metrics": list(report.metrics) if report else [],
    }


def make_report_if_news(session: Session) -> None:
    """After a run: make the report when what it shows has changed. One that can't be made is only said to be so."""
    if not wants_report(session):
        return
    seen = _digest(session)
    state = session.ledger.state.get("report", {})
    if state.get("digest") == seen and state.get("path") and (session.root / state["path"]).is_file():
        if session.ledger.state.pop("report_due", False):
            session.ledger.write_state()
        say(f"report: {state['path']}")
        return
    try:
        path = make_report(session)
    except StepFailed as error:
        say(f"warning: {error.message}")
        return
    remember(session.ledger, seen, path)


def remember(ledger: Ledger, digest: str, path: str | None) -> None:
    """Note what the report was made from."""
    ledger.state["report"] = {"digest": digest, "path": path}
    ledger.state.pop("report_due", None)
    ledger.write_state()


def _digest(session: Session) -> str:
    """What the report is made from: settings, and the recorded digests of every step's outputs."""
    records = {step.name: session.ledger.record(step.name) for step in session.project.steps}
    outs = {name: record.digests("outs") for name, record in records.items() if record is not None}
    return sha256_json([settings_of(session), outs])


def make_report(session: Session) -> str | None:
    """Make the report; pass on what its command says. The path it names, if any.

    Raises StepFailed when the command fails.
    """
    file = session.places.local / f"report-{session.project.profile}.json"
    write_json_atomic(file, settings_of(session))
    command = [sys.executable, "-P", "-m", COMMAND, "--root", str(session.root), "--profile", session.project.profile]
    command += ["--spec", str(file)]
    done = subprocess.run(
        command, cwd=session.root, env=session.environ, stdout=subprocess.PIPE, text=True, check=False
    )
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        raise StepFailed(
            f"The report could not be made (exit code {done.returncode}); the results themselves are in place.",
            fix="See the lines above, then: project report",
        )
    return _named_path(session.root, done.stdout)


def _named_path(root: Path, text: str) -> str | None:
    for line in text.splitlines():
        if line.startswith("report: "):
            path = Path(line.removeprefix("report: ").strip())
            return str(path.relative_to(root)) if path.is_absolute() and path.is_relative_to(root) else str(path)
    return None
