"""Show everything that decides about one step: the decision, its causes old against new, and what follows from it."""

from __future__ import annotations

import argparse
import json
from pathlib import PurePosixPath
from typing import Any

from frostline.console import out, paint_out
from frostline.runner.cli.around import following_lines, plan_around
from frostline.runner.cli.options import add_project_options, add_strict, open_session
from frostline.runner.cli.tables import decision_json, duration, local_time
from frostline.runner.planning.causes import Cause, Kind, is_shortened, lines_of
from frostline.runner.planning.plan import Action, Decision, following
from frostline.runner.planning.word_diff import marked_lines
from frostline.runner.running.records import newest_records
from frostline.runner.session import Session

WORDS = {Action.RUN: "would run", Action.RESTORE: "would be restored from the store", Action.SKIP: "is up to date"}
MAX_NAMES = 8  # of a folder's files that changed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project why`."""
    parser.add_argument("names", nargs="+", metavar="STEP", help="step (or workflow, prefix, glob)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_strict(parser)
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Plan with everything upstream and downstream, and show the named steps' part."""
    session = open_session(values, rest)
    selection = session.select(values.names)
    named = [name for name in selection.order if name in selection.named]
    decisions = plan_around(session, selection, named)
    session.hasher.save()
    if values.json:
        out(json.dumps([_as_json(session, decisions, name) for name in named], indent=2, ensure_ascii=False))
        return
    for name in named:
        _show(session, decisions, name)


def _show(session: Session, decisions: dict[str, Decision], name: str) -> None:
    decision = decisions[name]
    perhaps = "" if decision.is_certain else "perhaps "
    out(f"{paint_out(name, 'bold')} {perhaps}{WORDS[decision.action]}")
    for cause in decision.causes:
        out(f"  {'though' if decision.action is Action.SKIP else 'because'} {_headline(cause)}")
        _show_details(session, cause)
        if cause.kind is Kind.NEVER_RAN:
            for line in session.weasels_differences(name):
                out(f"    weasel ran it, as project.lock says, but {line}")
    record = _last_record(session, name)
    for line in _notes(session, name, record):
        out(f"  {line}")
    for line in following_lines(following(session.graph, decisions, [name])):
        out(f"  {line}")


def _headline(cause: Cause) -> str:
    """The cause's sentence, where its details are not shown below anyway."""
    if cause.kind is Kind.COMMAND:
        return "command changed:"
    return f"vars.{cause.name} changed:" if is_shortened(cause) else str(cause)


def _show_details(session: Session, cause: Cause) -> None:
    """What a cause's sentence has no room for: values word by word, the files of a folder."""
    if cause.kind is Kind.COMMAND or is_shortened(cause):
        for sign, pieces in marked_lines(lines_of(cause.old), lines_of(cause.new)):
            out(f"    {sign} {' '.join(_marked(*piece) for piece in pieces)}")
    elif cause.kind is Kind.DEP:
        for kind, names in _files(session, cause).items():
            more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
            out(f"      {kind}: {', '.join(names[:MAX_NAMES])}{more}")


def _marked(sign: str, text: str) -> str:
    """A piece of a line: coloured on a terminal, elsewhere in the brackets that `git diff --word-diff` has."""
    if sign == " ":
        return text
    bare = paint_out(text, "red" if sign == "-" else "green")
    return bare if bare != text else f"[-{text}-]" if sign == "-" else f"{{+{text}+}}"


def _files(session: Session, cause: Cause) -> dict[str, list[str]]:
    """Which files of a folder changed; nothing where the old listing is not in the store."""
    if not (isinstance(cause.old, str) and isinstance(cause.new, str) and cause.old.endswith(".dir")):
        return {}
    store = session.restorer.store
    if not cause.new.endswith(".dir") or not store.object_path(cause.old).is_file():
        return {}
    today = session.digest(PurePosixPath(cause.name))
    if today is None or today.md5 != cause.new:
        return {}
    old, new = store.listing(cause.old), session.hasher.files_of(cause.name)
    found = {
        "changed": sorted(path for path in old.keys() & new.keys() if old[path] != new[path]),
        "new": sorted(new.keys() - old.keys()),
        "gone": sorted(old.keys() - new.keys()),
    }
    return {kind: names for kind, names in found.items() if names}


def _last_record(session: Session, name: str) -> dict[str, Any] | None:
    """The record of the run that made what the step has now, where it ran here."""
    for record in newest_records(session.places.records):
        if (record.get("step"), record.get("profile"), record.get("status")) == (
            name, session.project.profile, "done",
        ):  # fmt: skip
            return record
    return None


def _notes(session: Session, name: str, record: dict[str, Any] | None) -> list[str]:
    """What may help, and decides nothing: the code it runs, its last run, packages that differ by a patch level."""
    imports = session.graph.steps[name].imports
    lines = [f"its code, found by following imports: {', '.join(map(str, imports))}"] if imports else []
    if record is not None:
        commit = f" at commit {str(record['git_commit'])[:8]}" if record.get("git_commit") else ""
        took = f", in {duration(record['seconds'])}" if isinstance(record.get("seconds"), int | float) else ""
        lines.append(f"it ran last {local_time(record.get('started'))}{commit}{took}")
        for package, before in (record.get("versions") or {}).items():
            today = session.contexts.version(package)
            if before != today:
                lines.append(f"{package} was {before or 'not installed'} then, and is {today or 'not installed'} now")
    return lines


def _as_json(session: Session, decisions: dict[str, Decision], name: str) -> dict[str, Any]:
    decision = decisions[name]
    row = decision_json(decision)
    for cause, plain in zip(decision.causes, row["causes"], strict=True):
        if cause.kind is Kind.DEP and (files := _files(session, cause)):
            plain["files"] = files
    return {
        **row,
        "imports": [str(path) for path in session.graph.steps[name].imports],
        "upstream": list(session.graph.upstream[name]),
        "downstream": [
            {"step": other.step, "action": other.action.value, "certain": other.is_certain}
            for other in following(session.graph, decisions, [name])
        ],
        "last_run": _last_record(session, name),
    }
