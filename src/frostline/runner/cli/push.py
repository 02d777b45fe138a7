"""Send outputs and results to a remote, by DVC: of every profile, or of the steps that are named.

A remote is one of `remotes` in project.yml, or of DVC's configuration.
"""

from __future__ import annotations

import argparse

from frostline.console import say
from frostline.errors import StoreError, UsageError
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.cli.tables import count, some
from frostline.runner.project.naming import plain_name
from frostline.runner.session import Session
from frostline.runner.sharing.checkout import sessions_on_record
from frostline.runner.sharing.refill import Refilled, refill
from frostline.runner.sharing.remotes import choose, is_remote, transfer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project push`."""
    add_transfer_options(parser)
    add_project_options(parser)


def add_transfer_options(parser: argparse.ArgumentParser) -> None:
    """What push and pull share."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="steps or workflows (default: everything on record, of all profiles)"
    )
    parser.add_argument("-r", "--remote", metavar="R", help="which remote (default: DVC's default one, or 'default')")
    parser.add_argument("-j", "--jobs", metavar="N", help="transfers at once")
    parser.add_argument("-a", "--branches", action="store_true", help="what the ledgers of all branches refer to, too")
    parser.add_argument("-T", "--tags", action="store_true", help="what the ledgers of all tags refer to, too")
    parser.add_argument("-A", "--commits", action="store_true", help="what the ledgers of all commits refer to, too")


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Let DVC push."""
    session = open_session(values, rest)
    names = take_remote(session, values)
    targets = targets_of(session, names, whole_profile=values.profile is not None)
    remote = choose(session, values.remote)
    unmanaged = [name for name in session.graph.steps if name not in session.ledger.managed]
    n_kept = sum(bool(session.graph.steps[name].outputs) for name in unmanaged)
    if n_kept:
        say(f"outputs of {count(n_kept, 'step')} stay here: made in place, or always anew, or tracked by git")
    lacking = Refilled()
    for one in [session] if targets else sessions_on_record(session):
        chosen = one.select(names, only=True).order if names else tuple(one.graph.steps)
        lacking.add(refill(one, chosen, say), one.project.profile)
    if lacking.n_back:
        say(f"put {count(lacking.n_back, 'output')} back into the store, which lacked what was in place")
    if not transfer(session, ["push", *dvc_words(values), *targets], remote):  # else the remote has what lacks here
        refuse_lacking(lacking, f"The store and the remote '{remote}' lack", "Make them anew: project run.")


def refuse_lacking(lacking: Refilled, lack: str, fix: str) -> None:
    """Raise StoreError for what DVC has found nowhere, unless it can only be assets that come from elsewhere."""
    if not lacking.lacking and not lacking.n_later:
        message = "Some contents that ledgers refer to (others', or those in git) are neither here nor there."
        raise StoreError(message, fix="DVC names their digests above.")
    if lacking.lacking:
        steps = count(len(lacking.lacking), "step")
        raise StoreError(f"{lack} {count(len(lacking.paths), 'output')} of {steps}: {some(lacking.paths)}.", fix=fix)


def dvc_words(values: argparse.Namespace) -> list[str]:
    """`-j` and what of git counts, as DVC takes them. Raises UsageError."""
    words = [f"--all-{kind}" for kind in ("branches", "tags", "commits") if getattr(values, kind)]
    if values.jobs is None:
        return words
    if not values.jobs.isdecimal() or int(values.jobs) < 1:
        raise UsageError(f"'{values.jobs}' is no whole number above 0.", fix="Write -j 4.")
    return [*words, "--jobs", values.jobs]


def take_remote(session: Session, values: argparse.Namespace) -> list[str]:
    """The names of steps among the words; a remote's name among them is taken as in `weasel push NAME`."""
    words = list(values.names)
    if values.remote is None and words and is_remote(session, words[0]):
        values.remote = words.pop(0)
    return words


def targets_of(session: Session, names: list[str], *, whole_profile: bool) -> list[str]:
    """What DVC is asked for; empty: everything. Raises UsageError when nothing is on record."""
    yaml = session.places.dvc_yaml
    if not names and not whole_profile:
        if not any(path.is_file() for path in (session.root / "dvc.lock", *session.root.glob("ledger/*/dvc.lock"))):
            raise UsageError(
                "Nothing is on record: there is no dvc.lock.",
                fix="Run something first (project run NAME), or commit dvc.lock where it was run.",
            )
        return []
    place = str(yaml.relative_to(session.root))
    if not yaml.is_file():
        raise UsageError(
            f"Nothing is on record for the profile '{session.project.profile}'.",
            fix=f"Run something first: project run NAME --profile {session.project.profile}",
        )
    if not names:
        return [place]
    chosen = session.select(names, only=True).order
    known = [name for name in chosen if name in session.ledger.managed and session.ledger.record(name) is not None]
    if not known:
        raise UsageError(f"Nothing is on record of {', '.join(names)}.", fix="Run it first.")
    return [f"{place}:{plain_name(name)}" for name in known]
