"""Remove from the store what no ledger refers to: contents and stored results of earlier states.

The ledgers of all profiles count, and with the options below those of git branches, tags or commits. Going back to a
state that none of them has means running its steps again. Shows what would be freed, and asks.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from frostline.console import out, say
from frostline.errors import UsageError
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.cli.tables import count
from frostline.runner.keeping import gitfiles
from frostline.runner.keeping.git_place import in_repository
from frostline.runner.keeping.ledger import is_remembered
from frostline.runner.keeping.store import Store
from frostline.runner.running.locks import Locks
from frostline.runner.sharing.sweep import Rubbish, in_use, refuse_to_empty, remove, rubbish, size_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project gc`."""
    parser.add_argument("-a", "--branches", action="store_true", help="keep what any local branch refers to, too")
    parser.add_argument("-T", "--tags", action="store_true", help="keep what any tag refers to, too")
    parser.add_argument("-A", "--commits", action="store_true", help="keep what any commit refers to, too")
    parser.add_argument("--rev", metavar="REV", action="append", default=[], help="keep what REV refers to; repeatable")
    parser.add_argument(
        "--projects", metavar="DIR", nargs="+", default=[], help="other projects that share the store: theirs is kept"
    )
    parser.add_argument("--dry", action="store_true", help="only say what would be removed")
    parser.add_argument("-y", "--yes", "--force", "-f", action="store_true", help="do not ask")
    add_project_options(parser, overrides=False)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Look, ask, look again under the locks, remove."""
    session = open_session(values, rest)
    if values.profile is not None:
        raise UsageError(
            "The store is of all profiles, and what any of them refers to is kept.", fix="Leave --profile out."
        )
    root, store = session.root, session.restorer.store
    roots = [root, *_sharers(root, store, values.projects)]
    known = [session.places.dvc_lock] if is_remembered(session.places) else []
    used = in_use(roots, store, _revisions(root, values), known=known)
    found = rubbish(store, used)
    refuse_to_empty(store, used, found)
    if not found:
        out("nothing to remove: every content in the store is in use")
        return
    out(_told(found, "would remove" if values.dry else "to remove"))
    if values.dry or not (values.yes or _agreed()):
        return
    locks = Locks(session.places.tmp, say)
    with locks.paths("project gc", read=(), write=[root]), locks.ledger():
        used = in_use(roots, store, _revisions(root, values), known=known)
        refuse_to_empty(store, used, found)
        found = _both(found, rubbish(store, used))
        remove(store, found, session.places.local / "results")
    out(f"{size_text(found.n_bytes)} freed")


def _told(found: Rubbish, verb: str) -> str:
    parts = [count(len(found.objects), "content"), count(len(found.results), "stored result")]
    if found.leftovers:
        parts.append(count(len(found.leftovers), "temporary file"))
    return f"{verb}: {', '.join(parts)} ({size_text(found.n_bytes)})"


def _both(before: Rubbish, now: Rubbish) -> Rubbish:
    """What was shown and still is rubbish."""
    shown = {*before.objects, *before.results, *before.leftovers}
    kept = {path for path in (*now.objects, *now.results, *now.leftovers) if path not in shown}
    n_bytes = now.n_bytes - sum(path.stat().st_size for path in kept)
    return Rubbish(
        objects=tuple(path for path in now.objects if path in shown),
        results=tuple(path for path in now.results if path in shown),
        leftovers=tuple(path for path in now.leftovers if path in shown),
        n_bytes=max(0, n_bytes),
    )


def _agreed() -> bool:
    """Ask on the terminal. Raises UsageError where nobody can answer."""
    if not sys.stdin.isatty():
        raise UsageError("There is nobody to ask.", fix="Look with --dry, then say --yes.")
    print("Remove? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _revisions(root: Path, values: argparse.Namespace) -> list[str]:
    """The commits whose ledgers count. Raises UsageError."""
    if not (values.branches or values.tags or values.commits or values.rev):
        return []
    if not in_repository(root):
        raise UsageError("The project is in no git repository.", fix="Leave the options for git out.")
    commits = gitfiles.all_commits(root) if values.commits else []
    commits += gitfiles.commits_of(root, "heads") if values.branches else []
    commits += gitfiles.commits_of(root, "tags") if values.tags else []
    for revision in values.rev:
        commit = gitfiles.resolve(root, revision)
        if commit is None:
            raise UsageError(f"git knows no revision '{revision}'.", fix="See: git log, git branch.")
        commits.append(commit)
    return list(dict.fromkeys(commits))


def _sharers(root: Path, store: Store, named: list[str]) -> list[Path]:
    """The other projects that use the store. Raises UsageError when it may be shared and none is named."""
    for folder in named:
        if not Path(folder).is_dir():
            raise UsageError(f"There is no folder '{folder}'.", fix="--projects names the folders of projects.")
    if not named and not store.base.resolve().is_relative_to(root.resolve()):
        raise UsageError(
            f"The store lies outside of the project, in {store.base}: others may use it.",
            fix="Name their folders: --projects DIR… (this project's own, when there is no other).",
        )
    return [Path(folder).resolve() for folder in named]
