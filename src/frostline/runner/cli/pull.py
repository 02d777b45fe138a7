"""Bring outputs and results from a remote, by DVC, and put them in place: of every profile, or of the named steps.

In a fresh clone nothing is left to run after it. An asset that the remote does not have is fetched from its own source
when a step needs it.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from frostline.console import out, say
from frostline.runner.cli.checkout import tell_missing
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.cli.push import add_transfer_options, dvc_words, refuse_lacking, take_remote, targets_of
from frostline.runner.cli.tables import count
from frostline.runner.keeping.dvcfile import foreign_stages
from frostline.runner.sharing.checkout import CheckedOut, check_out, sessions_on_record
from frostline.runner.sharing.refill import Refilled, refill
from frostline.runner.sharing.remotes import choose, run_dvc, transfer

PUSH_FIRST = "Push them where they were made: project push."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project pull`."""
    add_transfer_options(parser)
    parser.add_argument("--no-checkout", action="store_true", help="fill the store only, leave the files as they are")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Let DVC fetch, then check out."""
    session = open_session(values, rest)
    names = take_remote(session, values)
    targets = targets_of(session, names, whole_profile=values.profile is not None)
    remote = choose(session, values.remote)
    is_whole = transfer(session, ["fetch", *dvc_words(values), *targets], remote)
    total, lacking = CheckedOut(), Refilled()
    for one in [session] if targets else sessions_on_record(session):
        chosen = one.select(names, only=True).order if names else tuple(one.graph.steps)
        profile = one.project.profile
        lacking.add(refill(one, chosen, say, look_only=True), profile)
        if values.no_checkout:
            continue
        result = check_out(one, chosen, say)
        total.brought += [f"{profile}/{name}" for name in result.brought]
        total.lost |= {f"{profile}/{name}": paths for name, paths in result.lost.items()}
        total.later += result.later
    if not values.no_checkout:
        if not targets and _has_foreign_data(session.root):
            run_dvc(session, ["checkout", "--quiet", "--allow-missing"])
        out(f"{count(len(total.brought), 'step')} checked out")
        place = f"The remote '{remote}'"
        tell_missing(
            total, place, "Push them where they were made (project push), or make them anew: project run."
        )
    if lacking.lacking or not is_whole:
        refuse_lacking(lacking, f"The remote '{remote}' and the store lack", PUSH_FIRST)


def _has_foreign_data(root: Path) -> bool:
    """Whether DVC has outputs here that are not ours: `.dvc` files, or stages of another's in dvc.yaml."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in (".git", ".dvc", ".venv", "node_modules")]
        if any(name.endswith(".dvc") for name in files):
            return True
        if "dvc.yaml" in files and foreign_stages(Path(folder) / "dvc.yaml"):
            return True
    return False
