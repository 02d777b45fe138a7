"""Decisions and other rows as text for people and JSON for machines."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Sequence
from typing import Any

from frostline.console import out
from frostline.runner.planning.plan import Action, Decision


def decision_json(decision: Decision) -> dict[str, Any]:
    """`{"step": …, "action": "run", "reasons": […], "causes": [{"kind": …}], "certain": true}`

    `reasons` are sentences, `causes` the same as data. Not `certain`: steps before it act, and if what it reads comes
    out the same, it is skipped after all.
    """
    return {
        "step": decision.step,
        "action": decision.action.value,
        "reasons": list(decision.reasons),
        "causes": [cause.as_json() for cause in decision.causes],
        "certain": decision.is_certain,
    }


def decisions_json(decisions: Iterable[Decision]) -> str:
    """A list of decisions as JSON."""
    return json.dumps([decision_json(decision) for decision in decisions], indent=2, ensure_ascii=False)


def print_decisions(decisions: Sequence[Decision], *, all_steps: bool = False, none: str | None = None) -> None:
    """One line for each step that is not up to date, or of which something is to be said, and the count.

    Args:
        none: the line where there are no steps at all; None: a general one.
    """
    acting = [decision for decision in decisions if decision.action is not Action.SKIP]
    shown = decisions if all_steps else [decision for decision in decisions if decision.causes]
    width = max((len(decision.step) for decision in shown), default=0)
    for decision in shown:
        reasons = decision.reasons or ("up to date",)
        more = f"  (and {len(reasons) - 1} more: project why {decision.step})" if len(reasons) > 1 else ""
        action = decision.action.value if decision.is_certain else "perhaps"
        out(f"{action:<7} {decision.step:<{width}}  {reasons[0]}{more}")
    if not acting:
        out(none if none and not decisions else up_to_date(len(decisions)))
        return
    n_restored = sum(decision.action is Action.RESTORE for decision in acting)
    n_perhaps = sum(not decision.is_certain for decision in acting)
    perhaps = f", {n_perhaps} perhaps (if a dep comes out changed)" if n_perhaps else ""
    out(
        f"{count(len(acting) - n_restored - n_perhaps, 'step')} to run{perhaps}, {n_restored} to restore,"
        f" {len(decisions) - len(acting)} up to date"
    )


def up_to_date(n_steps: int) -> str:
    """The line of a run with nothing to do."""
    if n_steps == 0:
        return "there are no steps: nothing to run"
    if n_steps == 1:
        return "1 step is up to date: nothing to run"
    return f"all {n_steps} steps are up to date: nothing to run"


def count(number: int, thing: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def some(things: Sequence[object]) -> str:
    """The first five by name, and how many more there are."""
    return ", ".join(map(str, things[:5])) + (f" and {len(things) - 5} more" if len(things) > 5 else "")


def table(rows: Sequence[Sequence[str]], headings: Sequence[str]) -> str:
    """Columns of text, as wide as they must be."""
    lines = [list(headings), *[list(row) for row in rows]]
    widths = [max(len(line[index]) for line in lines) for index in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def local_time(stamp: str | None) -> str:
    """A moment of a record, which is in UTC, as a clock on the wall shows it; empty for none."""
    if not stamp:
        return ""
    try:
        moment = datetime.datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """Seconds as people read them: 4.2 s, 3:07, 1:02:03."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
