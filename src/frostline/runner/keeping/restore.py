"""Find and bring back stored results of steps.

A result counts only where it was made in today's context (environment, package versions); of a result that DVC made,
or that came with a pull, no context is known, and it counts as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from frostline.files import remove_tree
from frostline.runner.digests.hashing import Hasher, replace_quickly
from frostline.runner.keeping.context import LINKS
from frostline.runner.keeping.gitfiles import tracked
from frostline.runner.keeping.ledger import Body, Record, command_of
from frostline.runner.keeping.places import Places
from frostline.runner.keeping.store import Store, result_key
from frostline.runner.project.spec import Step


class Restorer:
    """The store of a project, seen as results of steps."""

    def __init__(self, root: Path, places: Places, hasher: Hasher) -> None:
        self.root = root
        self.places = places
        self.hasher = hasher
        self.store = Store(root, hasher.files_of)

    def find(
        self,
        step: Step,
        deps: Mapping[str, str],
        trusted: Record | None,
        context: Mapping[str, str],
        *,
        whole: bool = False,
    ) -> Body | None:
        """A stored result for a step whose deps have these digests, as an entry of dvc.lock.

        Args:
            trusted: the record, when everything but the outputs is as it says.
            whole: a result counts only with all its outputs; else those that can be done without may lack.
        """
        if trusted is not None and self._fits(step, trusted.body) and self.has_all(step, trusted.body, whole=whole):
            return trusted.body
        if not deps or len(deps) < len(step.deps):
            return None
        key = result_key(self._question(step, deps))
        for name, body in self.store.results(key):
            if self._made_in(key, name, context) and self._fits(step, body) and self.has_all(step, body, whole=whole):
                return self._dressed(body)
        return None

    def _question(self, step: Step, deps: Mapping[str, str]) -> Body:
        entries = []
        for path in sorted(deps):
            entry: dict[str, Any] = {"path": path, "hash": "md5", "md5": deps[path]}
            seen = self.hasher.digest(path)
            if seen is not None and seen.is_exec and seen.md5 == deps[path]:
                entry["isexec"] = True
            entries.append(entry)
        outs = [{"path": path} for path in sorted(map(str, step.all_outputs))]
        return {"cmd": command_of(step), "deps": entries, "outs": outs}

    def _fits(self, step: Step, body: Body) -> bool:
        return {entry["path"] for entry in body.get("outs", ())} >= {str(path) for path in step.all_outputs}

    def has_all(self, step: Step, body: Body, *, whole: bool = False) -> bool:
        """Whether a result can be had: from the store, or because what the store has no copy of is in place."""
        return not any(self.lacks(step, entry, whole=whole) for entry in body.get("outs", ()))

    def lacks(self, step: Step, entry: Mapping[str, Any], *, whole: bool = False) -> bool:
        """Whether an output is neither in the store, nor in place, nor one that can be done without."""
        path = PurePosixPath(entry["path"])
        if "md5" not in entry:
            return True
        if self.store.has(str(entry["md5"])):
            return False
        if path not in step.outputs_no_cache:
            return True
        return not self._is_in_place(entry) and (whole or not self._can_go(step, path))

    def _is_in_place(self, entry: Mapping[str, Any]) -> bool:
        seen = self.hasher.whole(entry["path"])
        return seen is not None and seen.md5 == entry["md5"]

    def _can_go(self, step: Step, path: PurePosixPath) -> bool:
        """Whether an output can be done without; one of another result is taken away, unless git has it."""
        if path not in step.dispensable:
            return False
        return self.hasher.is_gone(str(path)) or not tracked(self.root, [path])

    def _dressed(self, body: Body) -> Body:
        return {key: body[key] for key in ("cmd", "deps", "params", "outs") if key in body}

    def bring(self, step: Step, body: Body, spare: Callable[[PurePosixPath], None]) -> None:
        """Put a result's outputs in place. Raises StoreError.

        Args:
            spare: called with each path before what lies there is overwritten.
        """
        wanted = {str(path) for path in step.all_outputs}
        for entry in body.get("outs", ()):
            if entry["path"] not in wanted:
                continue
            if self._is_in_place(entry):
                continue
            path = PurePosixPath(entry["path"])
            spare(path)
            if path in step.dispensable and not self.store.has(str(entry["md5"])):
                remove_tree(self.root / path)  # it belongs to another result
            else:
                self.store.place(str(entry["md5"]), entry["path"], is_exec=bool(entry.get("isexec")))
            self.hasher.forget(entry["path"])

    def keep(self, step: Step, body: Body, context: Mapping[str, str]) -> None:
        """Store a fresh result: contents first, then the run cache's entry and its context."""
        keep_all = bool(body.get("deps"))
        for path in step.all_outputs:
            digest = self.hasher.digest(str(path))
            if digest is not None and (keep_all or path in step.outputs):
                self.store.keep(str(path), digest)
        self.remember(body, context)

    def remember(self, body: Body, context: Mapping[str, str]) -> None:
        """Enter a result into the run cache whose contents are in the store."""
        name = self.store.keep_result(body)
        if name is not None and context:
            self._add_context(result_key(body), name, context)

    def _context_file(self, key: str, name: str) -> Path:
        return self.places.local / "results" / key[:2] / key / f"{name}.json"

    def _contexts(self, key: str, name: str) -> list[dict[str, str]]:
        try:
            contexts = json.loads(self._context_file(key, name).read_bytes())
        except (OSError, ValueError):
            return []
        return contexts if isinstance(contexts, list) else []

    def _add_context(self, key: str, name: str, context: Mapping[str, str]) -> None:
        known = self._contexts(key, name)
        if dict(context) not in known:
            replace_quickly(self._context_file(key, name), json.dumps([*known, dict(context)]).encode())

    def _made_in(self, key: str, name: str, context: Mapping[str, str]) -> bool:
        known = self._contexts(key, name)
        if not known:  # DVC's; it knows of no links to folders in deps
            return not any(name.startswith(LINKS) for name in context)
        return dict(context) in known
