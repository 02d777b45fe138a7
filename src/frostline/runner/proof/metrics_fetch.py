"""Fetch single files of another revision into the store, by DVC.

DVC fetches what a workspace's ledger has; so it gets a workspace of its own for a moment, with nothing in it but that
revision's ledger, our store and our remotes.
"""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import uuid
from pathlib import Path, PurePosixPath

from frostline.files import remove_tree
from frostline.runner.keeping import gitfiles
from frostline.runner.keeping.store import dvc_settings
from frostline.runner.proof.differing import Comparison, Revision
from frostline.runner.session import Session
from frostline.runner.sharing.remotes import choose, run_dvc


def fetch_metrics(session: Session, found: Comparison, remote: str | None) -> None:
    """Bring the metrics files that are not at hand into the store, as far as the remote has them."""
    name = choose(session, remote)
    if found.lost_here:
        run_dvc(session, ["fetch", "--quiet", "--remote", name, *found.lost_here])
    if found.lost_there:
        _fetch_there(session, found.revision, found.lost_there, name)


def _fetch_there(session: Session, revision: Revision, wanted: list[str], remote: str) -> None:
    place = session.places.local / "scratch" / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        _ledger_of(session, revision, place)
        command = [sys.executable, "-P", "-m", "dvc", "fetch", "--quiet", "--remote", remote, *wanted]
        subprocess.run(command, cwd=place, env=session.environ, check=False)
    finally:
        remove_tree(place)


def _ledger_of(session: Session, revision: Revision, place: Path) -> None:
    """A DVC workspace with the revision's ledger."""
    (place / ".dvc" / "tmp").mkdir(parents=True)
    _write_config(session, place / ".dvc" / "config")
    for file in (session.places.dvc_yaml, session.places.dvc_lock):
        path = file.relative_to(session.root)
        text = gitfiles.text_at(session.root, revision.commit, PurePosixPath(path.as_posix()))
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text or "", encoding="utf-8")


def _write_config(session: Session, file: Path) -> None:
    """The project's configuration, its paths made whole."""
    config = configparser.ConfigParser(interpolation=None)
    for section, values in dvc_settings(session.places.dvc).items():
        filled = dict(values)
        if "url" in filled and "://" not in filled["url"]:
            filled["url"] = os.path.normpath(session.places.dvc / filled["url"])
        config[section] = filled
    config["core"] = {**(dict(config["core"]) if config.has_section("core") else {}), "no_scm": "true"}
    cache = dict(config["cache"]) if config.has_section("cache") else {}
    config["cache"] = {**cache, "dir": str(session.restorer.store.base.resolve())}
    with file.open("w", encoding="utf-8") as stream:
        config.write(stream)
