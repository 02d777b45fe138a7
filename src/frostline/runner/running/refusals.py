"""What neither DVC's ledger nor the store can keep of what a step reads and makes: it is refused, never silently lost.

Links to folders are no part of DVC's digest of a folder. Those that lead inside of a dep are on record beside it; what
others lead to would not count. The store has no room for them at all. A name that is no UTF-8 makes every later `dvc`
command fail. In a file of weasel's vocabulary, and for assets, such things are said and stay. Changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from frostline.errors import StepFailed
from frostline.runner.project.spec import Step
from frostline.runner.session import Session


def check_read(session: Session, step: Step, say: Callable[[str], None]) -> None:
    """Look at the deps of a step that is about to run. Raises StepFailed."""
    _tell(session, step, say, _faults_of_deps(session, step))


def check_made(session: Session, step: Step, say: Callable[[str], None]) -> bool:
    """Look at what a step made; whether the store can keep it. Raises StepFailed."""
    _tell(session, step, say, _faults_of_outputs(session, step))
    return not any(session.hasher.links_in(str(path)) for path in step.all_outputs)


def _tell(session: Session, step: Step, say: Callable[[str], None], faults: Iterator[tuple[str, str]]) -> None:
    for message, fix in faults:
        if not session.spec.weasel_only and step.declared is None:
            raise StepFailed(message, where=f"{session.spec.file_name}:{step.line}", fix=fix)
        say(f"warning: {message}")


def _faults_of_deps(session: Session, step: Step) -> Iterator[tuple[str, str]]:
    for dep in step.deps:
        for name, link in session.hasher.links_in(str(dep)).items():
            if not link.is_inside and not _is_other_dep(session.root, step, dep, name):
                yield (
                    f"'{dep / name}', which step '{step.name}' reads, is a link out of '{dep}' to the folder "
                    f"'{link.target}': what lies there would not count.",
                    "Add that folder to the step's deps, or name the link in .dvcignore.",
                )
        yield from _faults_of_names(session, step, dep)


def _faults_of_outputs(session: Session, step: Step) -> Iterator[tuple[str, str]]:
    for path in step.all_outputs:
        for name in session.hasher.links_in(str(path)):
            yield (
                f"'{path / name}', which step '{step.name}' made, is a link to a folder: neither DVC's ledger nor the "
                "store can keep it.",
                "Write a file with the folder's name instead, or name the link in .dvcignore.",
            )
        yield from _faults_of_names(session, step, path)


def _faults_of_names(session: Session, step: Step, path: PurePosixPath) -> Iterator[tuple[str, str]]:
    name = session.hasher.strange.get(str(path))
    if name is not None and step.name in session.ledger.managed:
        shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        yield (
            f"The name of '{path}/{shown}' is no UTF-8: once it is on record, every `dvc` command fails here.",
            "Give it another name, or name it in .dvcignore.",
        )


def _is_other_dep(root: Path, step: Step, dep: PurePosixPath, name: str) -> bool:
    """Whether what a link in a dep leads to is another dep, or lies in one."""
    target = os.path.realpath(root / dep / name)
    others = [os.path.realpath(root / other) for other in step.deps if other != dep]
    return any(target == other or target.startswith(other + os.sep) for other in others)
