"""What each step saw and made: dvc.lock in DVC's own format, beside it what DVC's format can't say.

A step's entry in dvc.lock (its *body*) holds command, deps and outputs with their digests. Environment and package
versions (its *context*) go to local state, and where they are no secret to `meta` of dvc.yaml, with a digest of the
body they belong to: a body that DVC has written since has no context, and counts as it stands. Steps that DVC can't
express live in local state alone. Reads and writes those files; decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from frostline.digest import sha256_json
from frostline.errors import StoreError
from frostline.runner.digests.hashing import Digest, replace_quickly
from frostline.runner.digests.walking import Mark
from frostline.runner.keeping.entries import Entries, from_bytes
from frostline.runner.keeping.lockfile import LockFile, mark_of, tells_of_entries
from frostline.runner.keeping.places import Places
from frostline.runner.project.naming import plain_name
from frostline.runner.project.references import shell_line, shell_word
from frostline.runner.project.spec import Step
from frostline.runner.project.yaml_places import YamlError, load_plain

ENTRY_DIGITS = 16  # of the body's digest in `meta` of dvc.yaml
Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is on record for one step."""

    body: Body
    context: Mapping[str, str] | None = None  # None: DVC wrote the body, nothing more is known
    knows_env: bool = True  # False in a clone: environment digests never leave the machine
    variables: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)  # dep -> what it said apart from comments and layout

    def digests(self, kind: str) -> dict[str, str]:
        """path -> digest of the body's `deps` or `outs`."""
        return {entry["path"]: str(entry.get("md5")) for entry in self.body.get(kind, ())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is to be noted of one step."""

    step: Step
    body: Body
    context: Mapping[str, str]
    meanings: Mapping[str, str]  # of its deps; those of other bytes than the body's are left out


def command_of(step: Step) -> str | list[str]:
    """The step's command as DVC runs it: one line as a string, several as a list."""
    lines = [_with_env(step, shell_line(line, shell=step.shell, as_weasel=step.as_weasel)) for line in step.script]
    return lines[0] if len(lines) == 1 and "\n" not in lines[0] else lines


def _with_env(step: Step, line: str) -> str:
    if not step.env_values:
        return line
    settings = " ".join(f"{key}={shell_word(value)}" for key, value in step.env_values)
    return f"export {settings}; {line}" if step.shell else f"{settings} {line}"


def entry_of(path: PurePosixPath, digest: Digest) -> dict[str, Any]:
    """One dep or output as dvc.lock has it."""
    entry: dict[str, Any] = {"path": str(path), "hash": "md5", "md5": digest.md5, "size": digest.n_bytes}
    if digest.n_files is not None:
        entry["nfiles"] = digest.n_files
    if digest.is_exec:
        entry["isexec"] = True
    return entry


def body_of(step: Step, digest: Callable[[PurePosixPath], Digest | None], *, outputs: bool = True) -> Body:
    """The step's entry in dvc.lock, from what lies on disk. Raises StoreError when something is missing."""

    def entries(paths: Iterable[PurePosixPath]) -> list[dict[str, Any]]:
        found = []
        for path in sorted(paths, key=str):
            seen = digest(path)
            if seen is None:
                raise StoreError(f"'{path}' of step '{step.name}' vanished while it was recorded.")
            found.append(entry_of(path, seen))
        return found

    body: Body = {"cmd": command_of(step)}
    if step.deps:
        body["deps"] = entries(step.deps)
    if step.all_outputs and outputs:
        body["outs"] = entries(step.all_outputs)
    return body


class Ledger:
    """The records of one profile.

    Args:
        places: where the files are.
        managed: names of the steps that DVC can express.
    """

    def __init__(self, places: Places, managed: frozenset[str]) -> None:
        self.places = places
        self.managed = managed
        self.lock = LockFile(places.dvc_lock, places.lock_mirror)
        self.state: dict[str, Any] = {}  # of the project
        self.locals = Entries()  # of each step
        self.meta: dict[str, Any] | None = None
        self.marks: list[Mark | None] = []  # of the files as they were read last
        self.reload()

    def reload(self) -> None:
        """Read the files again where another runner, or DVC, has written them."""
        self.lock.reload()
        marks = [mark_of(path) for path in (self.places.state, self.places.dvc_yaml)]
        if marks != self.marks:
            self.state, self.locals = _read_state(self.places.state)
            self.meta = None
            self.marks = marks

    def knows(self, name: str) -> bool:
        """Whether anything is on record for a step."""
        if name in self.managed:
            return plain_name(name) in self.lock.bodies
        return name in self.locals

    def record(self, name: str) -> Record | None:
        """What is on record for a step; None when it never ran."""
        local = self.locals.get(name) or {}
        if name not in self.managed:
            body = local.get("body")
            if body is None:
                return None
            return Record(
                body=body,
                context=local.get("context"),
                variables=local.get("variables", {}),
                meanings=local.get("meanings", {}),
            )
        found = self.lock.body_and_key(plain_name(name))
        if found is None:
            return None
        body, key = found
        if local.get("entry") == key:
            return Record(
                body=body,
                context=local["context"],
                variables=local.get("variables", {}),
                meanings=local.get("meanings", {}),
            )
        meta = self._meta_of(name)
        meanings = _valid_meanings(body, local.get("meanings"), meta.get("meanings"))
        if meta.get("entry") == key[:ENTRY_DIGITS]:
            return Record(body=body, context=meta.get("context", {}), knows_env=False, meanings=meanings)
        return Record(body=body, meanings=meanings)

    def has_seen(self, path: PurePosixPath, md5: str) -> bool:
        """Whether the record of any step says that `path` held this."""
        return md5 in self._made(path)

    def has_made(self, path: PurePosixPath) -> bool:
        """Whether the record of any step says that it made `path`."""
        return bool(self._made(path))

    def _made(self, path: PurePosixPath) -> set[str]:
        bodies = [self.lock.bodies.get(name)[1] for name in self.lock.bodies]
        bodies += [local["body"] for local in map(self.locals.get, self.locals) if "body" in local]
        entries = [entry for body in bodies for entry in body.get("outs", ())]
        return {str(entry.get("md5")) for entry in entries if entry.get("path") == str(path)}

    def _meta_of(self, name: str) -> dict[str, Any]:
        """Our part of `meta` in dvc.yaml: read only where local state has nothing to say."""
        if self.meta is None:
            try:
                document = load_plain(self.places.dvc_yaml.read_text(encoding="utf-8")) or {}
            except (OSError, YamlError):
                document = {}
            stages = document.get("stages") if isinstance(document, dict) else None
            self.meta = {}
            for stage, value in (stages or {}).items():
                meta = value.get("meta") if isinstance(value, dict) else None
                if isinstance(meta, dict) and isinstance(meta.get("frostline"), dict):
                    self.meta[stage] = meta["frostline"]
        found: dict[str, Any] = self.meta.get(plain_name(name), {})
        return found

    def put(self, entries: Iterable[Entry]) -> None:
        """Note what steps saw and made: dvc.lock first, whole and durable, then local state."""
        self.reload()
        bodies: dict[str, Body] = {}
        for entry in entries:
            step, body = entry.step, entry.body
            local: dict[str, Any] = {
                "context": dict(entry.context),
                "variables": dict(step.variables),
                "entry": sha256_json(body),
                "meanings": _valid_meanings(body, entry.meanings),
            }
            if step.name in self.managed:
                bodies[plain_name(step.name)] = body
            else:
                local["body"] = body
            self.locals.put(step.name, local)
        self.lock.put(bodies)
        self.write_state()

    def keep_here(self, names: Iterable[str]) -> None:
        """Copy records of dvc.lock to local state, for steps that DVC can't express any more. Writes no file."""
        for name in names:
            record = self.record(name)
            if record is not None:
                context = record.context if record.knows_env else None
                local = {"context": context and dict(context), "meanings": dict(record.meanings), "body": record.body}
                self.locals.put(name, {**local, "variables": dict(record.variables)})

    def hand_over(self, names: Iterable[str]) -> None:
        """Move records of local state to dvc.lock, for steps that DVC can express again. Who calls holds its lock."""
        bodies: dict[str, Body] = {}
        for name in names:
            local = self.locals.get(name) or {}
            body = local.pop("body", None)
            if body is None or plain_name(name) in self.lock.bodies:
                continue
            bodies[plain_name(name)] = body
            if local.get("context") is None:
                self.locals.drop(name)
            else:
                self.locals.put(name, {**local, "entry": sha256_json(body)})
        self.lock.put(bodies)

    def write_state(self) -> None:
        """Replace the local state by what is in memory."""
        replace_quickly(self.places.state, self.locals.to_bytes(self.state))
        self.marks[0] = mark_of(self.places.state)


def is_remembered(places: Places) -> bool:
    """Whether local state tells of entries in dvc.lock, whatever has become of that file."""
    _, noted = _read_state(places.state)
    return any("body" not in noted.get(name) for name in noted) or tells_of_entries(places.lock_mirror)


def _valid_meanings(body: Body, *sources: Any) -> dict[str, str]:
    """dep -> the first of the sources' entries that was made from the bytes in the body."""
    from frostline.runner.meaning.equivalence import belongs_to

    found: dict[str, str] = {}
    for entry in body.get("deps", ()):
        for source in sources:
            recorded = source.get(entry["path"]) if isinstance(source, Mapping) else None
            if isinstance(recorded, str) and belongs_to(recorded, str(entry.get("md5"))):
                found.setdefault(entry["path"], recorded)
    return found


def _read_state(path: Path) -> tuple[dict[str, Any], Entries]:
    """(what is noted about the project, about each step); a spoilt file counts as empty."""
    try:
        state, steps = from_bytes(path.read_bytes())
    except (OSError, ValueError):
        return {}, Entries()
    for name, local in state.pop("steps", {}).items():  # as it was kept before: one object for everything
        steps.put(name, local)
    return state, steps
