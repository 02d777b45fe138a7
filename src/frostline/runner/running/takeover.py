"""Take over what weasel has done: steps that its project.lock has, and whose files are as it left them.

They get a record and a place in the store, as if they had been run here, once. project.lock itself is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from frostline.runner.keeping.setup import prepare
from frostline.runner.project.weasel import LOCK_FILE
from frostline.runner.running.executors.local import LocalExecutor
from frostline.runner.running.run import Options, Runner
from frostline.runner.session import Session


def take_over(session: Session, done: Sequence[str], say: Callable[[str], None]) -> None:
    """Record the steps that weasel has done; say which."""
    if prepare(session.root, session.project.directories):
        session.forget_state()
    runner = Runner(session, LocalExecutor(session.places.running), Options(), say)
    runner.prepare(list(done))
    try:
        for name in done:
            runner.adopt(session.graph.steps[name])
    finally:
        runner.close()
    steps = "1 step is" if len(done) == 1 else f"{len(done)} steps are"
    say(f"{LOCK_FILE}: {steps} as weasel left them, and taken over as done: {', '.join(done)}")
