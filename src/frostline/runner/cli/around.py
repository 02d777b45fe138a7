"""Around a plan: what follows below the steps that were asked about, and what stands against it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from frostline.console import out
from frostline.runner.keeping import dvcfile
from frostline.runner.planning.graph import Selection, all_below
from frostline.runner.planning.plan import Action, Decision, following
from frostline.runner.session import Session


def check_dvc_yaml(session: Session) -> None:
    """Tell now what would keep the ledger from being written after the steps. Raises StoreError."""
    if not session.under_dvc:
        dvcfile.check(session.places, session.known_steps, session.ledger)


def plan_around(session: Session, selection: Selection, names: Collection[str]) -> dict[str, Decision]:
    """The plan of a selection and of all that is below `names`, by step."""
    below = all_below(session.graph, names)
    chosen = session.select([*selection.order, *below]) if below else selection
    return {decision.step: decision for decision in session.plan(chosen)}


def following_lines(follows: Iterable[Decision]) -> list[str]:
    """Two lines at most: what would run surely, and what perhaps."""
    lines = []
    listed = list(follows)
    for is_certain, words in ((True, "then these would run"), (False, "then perhaps, if a dep comes out changed")):
        names = [
            f"{decision.step} (from the store)" if decision.action is Action.RESTORE else decision.step
            for decision in listed
            if decision.is_certain is is_certain
        ]
        if names:
            lines.append(f"{words}: {', '.join(names)}")
    return lines


def print_what_follows(session: Session, selection: Selection, decisions: Iterable[Decision]) -> None:
    """Below a plan: the steps outside of it that would be out of date by it."""
    acting = [decision.step for decision in decisions if decision.action is not Action.SKIP]
    if set(all_below(session.graph, acting)) - set(selection.order):
        around = plan_around(session, selection, acting)
        for line in following_lines(following(session.graph, around, selection.order)):
            out(line)
