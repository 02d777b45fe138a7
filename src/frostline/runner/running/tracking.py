"""Where git and the ledger meet: outputs that git tracks, outputs that it should not see, and a git that came later.

DVC refuses an output that git tracks. The record of such a step lives in local state, until git lets go of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from frostline.runner.keeping import gitfiles
from frostline.runner.keeping.git_place import in_repository
from frostline.runner.keeping.setup import drop_no_scm
from frostline.runner.running.locks import Locks
from frostline.runner.session import Session

Say = Callable[[str], None]


def settle_tracked(session: Session, names: Iterable[str], say: Say) -> list[str]:
    """Ask git which of some steps it tracks outputs of, and keep every record where it belongs.

    Gives the steps that git has let go of: DVC's ledger has them again.
    """
    ledger = session.ledger
    asked = [name for name in names if name in session.graph.steps]
    paths = {path: name for name in asked for path in session.graph.steps[name].outputs}
    tracked = gitfiles.tracked(session.root, paths)
    found = {paths[path] for path in tracked}
    before = set(ledger.state.get("tracked", []))
    now = (before - set(asked)) | found
    news, freed = found - before, sorted(before.intersection(asked) - found)
    ledger.keep_here(name for name in news if name in session.expressible)
    ledger.state["tracked"] = sorted(now)
    ledger.managed = session.expressible - now
    if freed:
        with Locks(session.places.tmp, say, idle=session.under_dvc).ledger():
            ledger.hand_over(name for name in freed if name in ledger.managed)
    if now != before:
        ledger.write_state()
    for path in sorted(path for path in tracked if paths[path] in news & session.expressible):
        say(
            f"warning: git tracks '{path}', so DVC can't keep it. Let git go of it: git rm -r --cached '{path}'"
            " (what git is to keep belongs under outputs_no_cache)"
        )
    return freed


def unhidden(session: Session, paths: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Those of some outputs that git would show as new files, or would if it were here.

    A project in weasel's vocabulary gets no .gitignore before there is a git, as weasel writes none; but where it has
    one, a git is meant to come.
    """
    root = session.root
    if session.spec.weasel_only and not in_repository(root) and not (root / ".gitignore").is_file():
        return []
    return gitfiles.unignored(session.root, paths)


def hide_recorded(session: Session) -> None:
    """Give each output that DVC keeps a line in a .gitignore, where it has none."""
    managed = [step for step in session.project.steps if step.name in session.ledger.managed]
    recorded = [step for step in managed if session.ledger.record(step.name) is not None]
    gitfiles.ignore(session.root, unhidden(session, [path for step in recorded for path in step.outputs]))


def welcome_git(session: Session, say: Say) -> None:
    """With a git that came after the first run: let DVC know of it, and hide the outputs from it."""
    if not drop_no_scm(session.root):
        return
    say("git is here now: took no_scm out of .dvc/config, so that DVC knows")
    settle_tracked(session, list(session.graph.steps), say)
    hide_recorded(session)
