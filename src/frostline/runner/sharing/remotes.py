"""Remotes: the addresses of project.yml and of DVC's configuration, and the `dvc` command that speaks to them.

An address under `remotes` is handed to DVC before it is used: to `.dvc/config`, or, when it holds `${env.X}`, to
`.dvc/config.local`, which git ignores. Transfers, credentials and plugins are DVC's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from frostline.console import say
from frostline.errors import StoreError, UsageError, did_you_mean
from frostline.runner.keeping.store import dvc_settings
from frostline.runner.project.references import with_env
from frostline.runner.session import Session
from frostline.runner.sharing import dvc_missing

ADVICE = "Name one in project.yml (`remotes: {default: ADDRESS}`), or: dvc remote add -d NAME ADDRESS"
DEFAULT = "default"


def choose(session: Session, name: str | None) -> str:
    """The remote that DVC is told to use, known to DVC by then. Raises UsageError where there is none, or no choice.

    Args:
        name: as asked for; None: DVC's default, else the one named `default`, else the only one.
    """
    declared = session.project.remotes
    known = {**_configured(session.root), **declared}
    if name is None:
        name = dvc_settings(session.places.dvc).get("core", {}).get("remote")
        name = name or (DEFAULT if DEFAULT in known else None) or (next(iter(known)) if len(known) == 1 else None)
    if name is None:
        if not known and (name := _users_default(session)):
            return name
        if not known:
            raise UsageError("No remote is set up.", fix=ADVICE)
        raise UsageError("There are several remotes.", fix=f"Choose one with -r: {', '.join(known)}.")
    if name in declared:
        _hand_over(session, name, declared[name])
    elif name not in known and name not in _listed(session):
        raise UsageError(f"There is no remote '{name}'.", fix=did_you_mean(name, known) if known else ADVICE)
    return name


def is_remote(session: Session, word: str) -> bool:
    """Whether a word of the command line names a remote and nothing to run."""
    if word in session.graph.steps or word in session.spec.workflows:
        return False
    return word in session.project.remotes or word in _configured(session.root)


def _configured(root: Path) -> dict[str, str]:
    """name -> address, of the project's own DVC configuration."""
    sections = dvc_settings(root / ".dvc")
    named = ((re.fullmatch(r"'?remote \"(.+)\"'?", title), values) for title, values in sections.items())
    return {match[1]: values.get("url", "") for match, values in named if match is not None}


def _users_default(session: Session) -> str | None:
    """The default remote of the user's or the machine's DVC configuration."""
    done = run_dvc(session, ["config", "core.remote"], capture=True)
    return done.stdout.strip() or None if done.returncode == 0 else None


def _listed(session: Session) -> list[str]:
    """All remotes that DVC knows, those of the user and the machine too."""
    done = run_dvc(session, ["remote", "list"], capture=True)
    return [line.split()[0] for line in done.stdout.splitlines() if line.strip()]


def _hand_over(session: Session, name: str, address: str) -> None:
    """Let DVC know a remote of project.yml; the one named `default` becomes DVC's default where it has none."""
    filled = with_env(address, session.environ)
    if not filled.strip():
        raise UsageError(f"The address of the remote '{name}' is empty.", fix=f"Set the variables in '{address}'.")
    if _place(session.root, filled) == _place(session.places.dvc, _configured(session.root).get(name)):
        return
    words = ["remote", "add", "--quiet", "--force", *(["--local"] if filled != address else [])]
    if name == DEFAULT and "remote" not in dvc_settings(session.places.dvc).get("core", {}):
        words.append("--default")
    done = run_dvc(session, [*words, name, filled], capture=True)
    if done.returncode != 0:
        raise StoreError(f"DVC refuses the remote '{name}': {done.stderr.strip()}", where=session.spec.file_name)
    say(f"noted the remote '{name}' in .dvc/config{'.local' if filled != address else ''}")


def _place(base: Path, address: str | None) -> str | None:
    """An address as it counts: a path whole, a URL as it is."""
    return address if address is None or "://" in address else os.path.normpath(base / address)


def run_dvc(
    session: Session, words: Sequence[str], *, capture: bool = False, program: Sequence[str] = ("-m", "dvc")
) -> subprocess.CompletedProcess[str]:
    """Call `dvc` in the project's folder; what it says is shown unless captured."""
    command = [sys.executable, "-P", *program, *words]  # -P: the project may have a copy.py
    try:
        return subprocess.run(
            command, cwd=session.root, env=session.environ, capture_output=capture, text=True, check=False
        )
    except OSError as error:
        raise StoreError(f"The command 'dvc' can't be started: {error.strerror or error}.") from error


def transfer(session: Session, words: Sequence[str], remote: str) -> bool:
    """`dvc push` or `dvc fetch`, with the run cache; whether everything was here or there. Raises StoreError."""
    done = run_dvc(session, [*words, "--run-cache", "--remote", remote], program=[dvc_missing.__file__])
    if done.returncode not in (0, dvc_missing.MISSING):
        raise StoreError(
            f"`dvc {words[0]}` failed with exit code {done.returncode}.",
            fix="DVC's own message stands above. What came through so far is kept: the next try goes on from there.",
        )
    return done.returncode == 0
