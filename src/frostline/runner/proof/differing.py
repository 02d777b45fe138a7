"""Compare the project with a git revision: which steps are not as they were there, and why; and the metrics.

Needs the two ledgers, and of the data the metrics files alone: from git where it tracks them, else from disk or the
store. Reads; writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from frostline.digest import md5_bytes, sha256_json
from frostline.errors import FrostlineError, ProjectFileError, StoreError, UsageError
from frostline.runner.keeping import gitfiles
from frostline.runner.keeping.context import LINKS
from frostline.runner.keeping.git_place import in_repository
from frostline.runner.keeping.ledger import ENTRY_DIGITS, Body
from frostline.runner.keeping.store import Store
from frostline.runner.planning.plan import Action
from frostline.runner.project.expand import Project, expand
from frostline.runner.project.naming import plain_name
from frostline.runner.project.parse import PROJECT_FILE, parse_spec
from frostline.runner.project.yaml_places import YamlError, load_plain
from frostline.runner.proof.differences import flat
from frostline.runner.session import Session


@dataclass(frozen=True, slots=True)
class StepChange:
    """One step that is not as in the revision."""

    step: str
    change: str  # "added", "removed", "changed", or "stale": changed, and not run since
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetricChange:
    """One number (or word) of a metrics file; None where it is not there."""

    path: str
    metric: str
    old: Any
    new: Any

    @property
    def difference(self) -> float | None:
        """new - old, of two numbers."""
        if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (self.old, self.new)):
            return None
        found: float = self.new - self.old
        return found


@dataclass(slots=True)
class Revision:
    """What a commit's ledger says."""

    name: str
    commit: str
    bodies: dict[str, Body] = field(default_factory=dict)  # plain step name -> entry of dvc.lock
    contexts: dict[str, dict[str, str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # plain name -> the step's own
    metrics: tuple[PurePosixPath, ...] = ()


@dataclass(slots=True)
class Comparison:
    """The workspace against a revision."""

    revision: Revision
    steps: list[StepChange] = field(default_factory=list)
    metrics: list[MetricChange] = field(default_factory=list)  # equal ones too
    lost_there: list[str] = field(default_factory=list)  # metrics files of the revision that are not to be had
    lost_here: list[str] = field(default_factory=list)  # the same of the workspace

    @property
    def not_at_hand(self) -> list[str]:
        """Metrics files that can't be compared: neither git, disk nor store has one side."""
        return sorted({*self.lost_there, *self.lost_here})


def read_revision(session: Session, name: str) -> Revision:
    """The ledger of a revision, for the session's profile. Raises UsageError, StoreError."""
    root = session.root
    commit = gitfiles.resolve(root, name)
    if commit is None:
        in_git = in_repository(root)
        raise UsageError(
            f"git knows no revision '{name}'." if in_git else "The project is in no git repository.",
            fix="See: git log, git branch -a. In a shallow clone, fetch it first." if in_git else None,
        )
    lock = _yaml_at(session, commit, session.places.dvc_lock)
    yaml = _yaml_at(session, commit, session.places.dvc_yaml)
    revision = Revision(name, commit, metrics=_metrics_of(_project_at(session, commit)))
    for plain, body in (lock.get("stages") or {}).items():
        stage = (yaml.get("stages") or {}).get(plain)
        meta = ((stage or {}).get("meta") or {}).get("frostline") if isinstance(stage, dict) else None
        if isinstance(meta, dict) and isinstance(body, dict):
            revision.bodies[plain] = body
            revision.names[plain] = str(meta.get("step", plain))
            if meta.get("entry") == sha256_json(body)[:ENTRY_DIGITS]:
                revision.contexts[plain] = meta.get("context") or {}
    return revision


def _yaml_at(session: Session, commit: str, file: Path) -> dict[str, Any]:
    path = PurePosixPath(file.relative_to(session.root).as_posix())
    text = gitfiles.text_at(session.root, commit, path)
    try:
        content = load_plain(text) if text else {}
    except YamlError as error:
        raise StoreError(
            f"{path} of {commit[:8]} can't be read: {error.message}",
            where=f"{path}:{error.place.line}",
            fix="A merge may have left its marks there: compare with another revision.",
        ) from error
    return content if isinstance(content, dict) else {}


def _project_at(session: Session, commit: str) -> Project:
    """The project as it was; today's where it can't be read."""
    text = gitfiles.text_at(session.root, commit, PurePosixPath(PROJECT_FILE))
    try:
        return expand(parse_spec(text or ""), profile=session.project.profile, environ=session.environ)
    except (ProjectFileError, UsageError):
        return session.project


def _metrics_of(project: Project) -> tuple[PurePosixPath, ...]:
    return tuple(dict.fromkeys(path for step in project.steps for path in step.metrics))


def compare(session: Session, revision: Revision) -> Comparison:
    """Compare steps and metrics. Decides what is out of date by the ledger, without data."""
    session.absent.everything = True
    found = Comparison(revision)
    decisions = {decision.step: decision for decision in session.plan(session.select(()))}
    for step in session.project.steps:
        if step.name not in session.ledger.managed:
            continue
        plain = plain_name(step.name)
        record = session.ledger.record(step.name)
        old = revision.bodies.get(plain)
        reasons = ["is not in the revision"] if old is None else []
        if old is not None and record is not None:
            reasons = _body_changes(old, record.body, frozenset(map(str, step.dispensable)))
            reasons += _context_changes(revision.contexts.get(plain), record.context)
        decision = decisions[step.name]
        if decision.action is not Action.SKIP:
            found.steps.append(StepChange(step.name, "stale", (*reasons, *(f"now: {r}" for r in decision.reasons))))
        elif reasons:
            found.steps.append(StepChange(step.name, "added" if old is None else "changed", tuple(reasons)))
    today = {plain_name(step.name) for step in session.project.steps}
    for plain, name in revision.names.items():
        if plain not in today:
            found.steps.append(StepChange(name, "removed", ("is no more in the project file",)))
    _compare_metrics(session, revision, found)
    return found


def _body_changes(old: Body, new: Body, unpromised: frozenset[str]) -> list[str]:
    """How two entries of dvc.lock differ; outputs that are never alike (times) aside."""
    reasons = ["command changed"] if old.get("cmd") != new.get("cmd") else []
    for kind, word in (("deps", "dep"), ("outs", "output")):
        before = {entry["path"]: str(entry.get("md5")) for entry in old.get(kind, ())}
        after = {entry["path"]: str(entry.get("md5")) for entry in new.get(kind, ())}
        for path in dict.fromkeys([*after, *before]):
            if path not in before:
                reasons.append(f"{word} '{path}' is new")
            elif path not in after:
                reasons.append(f"{word} '{path}' is gone")
            elif before[path] != after[path] and path not in unpromised:
                reasons.append(f"{word} '{path}' changed: {before[path][:8]} → {after[path][:8]}")
    return reasons


def _context_changes(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> list[str]:
    """Package versions and the like; environment variables are in no commit."""
    if old is None or new is None:
        return []
    reasons = []
    for key in dict.fromkeys([*new, *old]):
        kind, _, name = key.partition("/")
        if kind == "env" or old.get(key) == new.get(key):
            continue
        if kind == "requires":
            reasons.append(f"package {name} changed: {old.get(key) or 'none'} → {new.get(key) or 'none'}")
        elif key.startswith(LINKS):
            reasons.append(f"links to folders in dep '{name}' changed")
        else:
            reasons.append("what it is told in the project file changed")
    return reasons


def _compare_metrics(session: Session, revision: Revision, found: Comparison) -> None:
    now = {plain_name(step.name): record.body for step in session.project.steps
           if (record := session.ledger.record(step.name)) is not None}  # fmt: skip
    for path in sorted({*revision.metrics, *_metrics_of(session.project)}, key=str):
        old = _old_content(session, revision, path)
        new = _new_content(session, now, path)
        found.lost_there += [str(path)] if old is _LOST else []
        found.lost_here += [str(path)] if new is _LOST else []
        if old is _LOST or new is _LOST:
            continue
        before, after = (_values(content) for content in (old, new))
        for key in dict.fromkeys([*after, *before]):
            found.metrics.append(MetricChange(str(path), key, before.get(key), after.get(key)))


_LOST = b"\0lost"  # recorded, and not to be had


def _old_content(session: Session, revision: Revision, path: PurePosixPath) -> bytes | None:
    text = gitfiles.text_at(session.root, revision.commit, path)
    return text.encode() if text is not None else _stored(session, revision.bodies.values(), path)


def _new_content(session: Session, now: Mapping[str, Body], path: PurePosixPath) -> bytes | None:
    file = session.root / path
    return file.read_bytes() if file.is_file() else _stored(session, now.values(), path)


def _stored(session: Session, bodies: Iterable[Body], path: PurePosixPath) -> bytes | None:
    """The content that bodies record for a path; None when they record none."""
    store: Store = session.restorer.store
    for body in bodies:
        for entry in body.get("outs", ()):
            folder, md5 = PurePosixPath(entry["path"]), str(entry.get("md5"))
            if folder == path:
                return _object(store, md5)
            if folder in path.parents and md5.endswith(".dir"):
                if not store.object_path(md5).is_file():
                    return _LOST
                inner = store.listing(md5).get(str(path.relative_to(folder)))
                return None if inner is None else _object(store, inner)
    return None


def _object(store: Store, md5: str) -> bytes:
    try:
        data = store.object_path(md5).read_bytes()
    except OSError:
        return _LOST
    return data if md5_bytes(data) == md5 else _LOST


def _values(content: bytes | None) -> dict[str, Any]:
    """dotted.key -> value of a metrics file: JSON, YAML or TOML; of anything else, nothing."""
    if content is None:
        return {}
    text = content.decode("utf-8", "replace")
    try:
        return {key: value for key, value in flat(json.loads(text)).items() if not isinstance(value, dict | list)}
    except ValueError:
        pass
    try:
        value = load_plain(text)
    except (YamlError, FrostlineError):
        value = None
    if not isinstance(value, dict):
        import tomllib

        try:
            value = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            return {}
    return {key: leaf for key, leaf in flat(value).items() if not isinstance(leaf, dict | list)}
