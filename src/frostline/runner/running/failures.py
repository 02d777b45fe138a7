"""What to say of a step whose command went wrong. Decides nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

from frostline.errors import StepFailed, nearest
from frostline.runner.project.spec import Step
from frostline.runner.running.executors.base import Outcome
from frostline.runner.session import Session

FULL_BYTES = 1 << 16  # with less room on the disk, a log may have lost its end


def failure_of(session: Session, step: Step, outcome: Outcome, log: Path) -> StepFailed:
    """The error for a step that ended badly."""
    where = str(log.relative_to(session.root))
    if outcome.timed_out:
        return StepFailed(
            f"Step '{step.name}' ran out of its time limit of {step.timeout_s:g} s.",
            where=where,
            fix="Raise timeout_s in project.yml, or give the step less to do.",
        )
    how = f"exit code {outcome.exit_code}" if outcome.exit_code >= 0 else f"signal {-outcome.exit_code}"
    fix = f"Its output is shown by: project logs {step.name}"
    if outcome.exit_code == 127 and outcome.failed_command:
        program = outcome.failed_command.split(maxsplit=1)[0]
        near = nearest(program, ["python", "frostline", "project", "pip", "bash", "sh", "git"])
        fix = f"There is no program '{program}' on PATH." + (f" Did you mean '{near}'?" if near else "")
    elif _is_full(log.parent):
        folder = log.parent.relative_to(session.root)
        fix = f"The disk that holds '{folder}' is full: its output may lack the end. Make room first."
    return StepFailed(f"Step '{step.name}' failed with {how}: {outcome.failed_command}", where=where, fix=fix)


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL_BYTES
    except OSError:
        return False  # nothing is there that could be cut short
