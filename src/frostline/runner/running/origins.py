"""What a try of a step is made from, so that its checkpoint reaches no other command and no other inputs.

Variables count by what they make of command and deps: one that only sets a time limit may change between two tries.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from frostline.digest import sha256_json
from frostline.runner.digests.hashing import Digest
from frostline.runner.keeping.clearing import Origin
from frostline.runner.keeping.ledger import command_of
from frostline.runner.meaning.equivalence import said
from frostline.runner.project.spec import Step
from frostline.runner.session import Session


def origin_of(session: Session, step: Step, deps: Mapping[PurePosixPath, Digest | None]) -> Origin:
    """What a try would be made from now.

    Args:
        deps: what lies at the paths that the step reads.
    """
    exact = {str(path): digest.md5 if digest is not None else None for path, digest in deps.items()}
    meant = {path: said(recorded) for path, recorded in session.meanings(step).items()}
    rest = [command_of(step), session.contexts.of(step)]
    known = {path: meaning for path, meaning in meant.items() if meaning is not None}
    return Origin(exact=sha256_json([*rest, exact]), meant=sha256_json([*rest, {**exact, **known}]))
