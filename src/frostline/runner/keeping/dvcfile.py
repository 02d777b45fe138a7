"""Keep dvc.yaml in step with the ledger: one stage for each step on record, so that DVC finds what we find.

Stages of ours carry `meta: {frostline: …}`; all others, keys that a user added to ours, and comments are left as they
are. A step that never ran has no stage: DVC would call it out of date.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from frostline.digest import sha256_json
from frostline.errors import StoreError
from frostline.files import write_parts_atomic
from frostline.runner.keeping.ledger import ENTRY_DIGITS, Ledger, Record, command_of
from frostline.runner.keeping.lockfile import mark_of
from frostline.runner.keeping.places import Places, plain_name
from frostline.runner.keeping.yaml_out import dump_parts
from frostline.runner.project.spec import Step
from frostline.runner.project.yaml_places import YamlError, load_draining, load_plain

OWN_KEYS = ("cmd", "wdir", "deps", "outs", "metrics", "plots", "meta")
HEADER = "# Made by `project run`: stages with `meta: frostline` are written anew, all others are left alone.\n"
TOP_LEVEL = ("metrics", "plots")
Stage = dict[str, Any]
_NOTHING_KEPT: Stage = {"meta": {"frostline": {}}}  # of most stages of ours; one value for all, never written to


def stage_of(step: Step, *, wdir: str | None, record: Record) -> Stage:
    """A step as a stage of dvc.yaml.

    Args:
        wdir: the project's folder as seen from dvc.yaml; None: the same folder.
        record: what is on record; of its context all but the environment is written, with a digest of the body
            that it belongs to. A record of DVC's has no context, and so no such digest.
    """
    stage: Stage = {"cmd": _escaped(command_of(step))}
    if wdir is not None:
        stage["wdir"] = wdir
    if step.deps:
        stage["deps"] = [_escaped(str(path)) for path in sorted(step.deps, key=str)]
    for key, paths in _outputs_by_key(step).items():
        if paths:
            stage[key] = [_flagged(step, path) for path in sorted(paths, key=str)]
    meta: dict[str, Any] = {"step": step.name} if plain_name(step.name) != step.name else {}
    if record.context is not None:
        meta["entry"] = sha256_json(record.body)[:ENTRY_DIGITS]
        shared = {key: value for key, value in record.context.items() if not key.startswith("env/")}
        if shared:
            meta["context"] = shared
    if record.meanings:
        meta["meanings"] = dict(record.meanings)
    inner = [str(path) for path in step.metrics if path not in step.all_outputs]
    if inner:
        meta["metrics"] = inner
    inner_plots = [str(path) for path in step.plots if path not in step.all_outputs]
    if inner_plots:
        meta["plots"] = inner_plots
    stage["meta"] = {"frostline": meta}
    return stage


def _outputs_by_key(step: Step) -> dict[str, list[PurePosixPath]]:
    found: dict[str, list[PurePosixPath]] = {"outs": [], "metrics": [], "plots": []}
    for path in step.all_outputs:
        key = "metrics" if path in step.metrics else "plots" if path in step.plots else "outs"
        found[key].append(path)
    return found


def _flagged(step: Step, path: PurePosixPath) -> Any:
    flags: dict[str, bool] = {}
    if path in step.outputs_no_cache:
        flags["cache"] = False
    if step.keeps_outputs:
        flags["persist"] = True
    name = _escaped(str(path))
    return {name: flags} if flags else name


def _escaped(value: Any) -> Any:
    """DVC has references of its own: a `${` that is not one of them is written `\\${`."""
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", "\\${")


def wanted_stages(places: Places, steps: tuple[Step, ...], ledger: Ledger) -> dict[str, Stage]:
    """The stages that dvc.yaml should have of ours, in the file's order."""
    wdir = None if places.is_default else os.path.relpath(places.root, places.ledger)
    stages = {}
    for step in steps:
        if step.name not in ledger.managed:
            continue
        record = ledger.record(step.name)
        if record is None:
            continue
        stages[plain_name(step.name)] = stage_of(step, wdir=wdir, record=record)
    return stages


def sync(places: Places, steps: tuple[Step, ...], ledger: Ledger) -> bool:
    """Bring dvc.yaml, and the entries of dvc.lock that no step has any more, up to date; whether anything was written.

    Raises StoreError when dvc.yaml can't be read, or has a stage of another's under a step's name.
    """
    wanted = wanted_stages(places, steps, ledger)
    text = _read(places.dvc_yaml)
    document = _without_our_stages(text, places.dvc_yaml)
    old = document.get("stages") or {}
    foreign = {name for name, stage in old.items() if not _is_ours(stage)}
    for name in wanted:
        if name in foreign:
            raise StoreError(
                f"dvc.yaml already has a stage '{name}' that is not ours.",
                where=str(places.dvc_yaml),
                fix="Rename the step in project.yml, or remove the stage.",
            )
    _drop_lost_entries(ledger, wanted, foreign, old)
    rendered = _rendered(text, places.dvc_yaml, _merged(document, wanted), foreign)
    changed = not _says(rendered, text)
    if changed:
        places.ledger.mkdir(parents=True, exist_ok=True)
        write_parts_atomic(places.dvc_yaml, rendered)
        ledger.meta = None
    seal(places, steps, ledger)
    return changed


def _merged(document: dict[str, Any], wanted: dict[str, Stage]) -> dict[str, Any]:
    """The document with our stages, which leave `wanted`, in the place of the old ones; users' keys on them kept."""
    old = document.get("stages") or {}
    stages: dict[str, Any] = {name: stage for name, stage in old.items() if not _is_ours(stage)}
    top_level = {key: [path for stage in wanted.values() for path in _top_level(stage, key)] for key in TOP_LEVEL}
    for name in list(wanted):
        stage = wanted.pop(name)
        before = old.get(name) or {}
        kept = {key: value for key, value in before.items() if key not in OWN_KEYS}
        other_meta = {key: value for key, value in (before.get("meta") or {}).items() if key != "frostline"}
        stages[name] = {**stage, **kept, "meta": {**other_meta, **stage["meta"]}}
    new = {key: value for key, value in document.items() if key != "stages"}
    for key, ours_now in top_level.items():
        ours_before = {path for stage in old.values() if _is_ours(stage) for path in _top_level(stage, key)}
        others = [item for item in document.get(key) or [] if item not in ours_before]
        if others or ours_now:
            new[key] = [*others, *(path for path in ours_now if path not in others)]
        else:
            new.pop(key, None)
    if stages:
        new["stages"] = stages
    return new


def _top_level(stage: Stage, key: str) -> list[str]:
    """Paths of metrics or plots inside output folders, as seen from dvc.yaml."""
    wdir = stage.get("wdir")
    paths = stage["meta"]["frostline"].get(key) or []
    return [str(PurePosixPath(wdir) / path) if wdir else path for path in paths]


def foreign_stages(path: Path) -> list[str]:
    """The stages of a dvc.yaml that are not ours; none where it can't be read."""
    try:
        stages = _parse(_read(path), path).get("stages")
    except StoreError:
        return []
    return [name for name, stage in stages.items() if not _is_ours(stage)] if isinstance(stages, dict) else []


def _is_ours(stage: Any) -> bool:
    return isinstance(stage, dict) and isinstance((stage.get("meta") or {}).get("frostline"), dict)


def _drop_lost_entries(ledger: Ledger, wanted: dict[str, Stage], foreign: set[str], old: dict[str, Any]) -> None:
    """Entries of steps that were ours and are no more."""
    lost = [name for name in old if name not in wanted and name not in foreign and name in ledger.lock.bodies]
    if lost:
        ledger.lock.drop(lost)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _without_our_stages(text: str, path: Path) -> dict[str, Any]:
    """dvc.yaml, of our stages only what a new one takes over: users' keys, and where their metrics and plots are."""
    stages: dict[str, Any] = {}

    def keep(name: Any, stage: Any) -> None:
        if _is_ours(stage):
            ours = {key: stage["meta"]["frostline"].get(key) for key in TOP_LEVEL}
            meta = {key: value for key, value in stage["meta"].items() if key != "frostline"}
            kept = {key: value for key, value in stage.items() if key == "wdir" or key not in OWN_KEYS}
            ours = {key: value for key, value in ours.items() if value}
            stage = {**kept, "meta": {**meta, "frostline": ours}} if kept or meta or ours else _NOTHING_KEPT
        stages[name] = stage

    document = _parse(text, path, keep)
    return {**document, "stages": stages} if stages else document


def _parse(text: str, path: Path, keep: Callable[[Any, Any], None] | None = None) -> dict[str, Any]:
    """dvc.yaml; with `keep`, its stages go there one by one."""
    try:
        document = load_plain(text) if keep is None else load_draining(text, "stages", keep)
    except YamlError as error:
        raise StoreError(
            f"dvc.yaml can't be read: {error.message}", where=f"{path}:{error.place.line}", fix="Mend it, or remove it."
        ) from error
    if document is not None and not isinstance(document, dict):
        raise StoreError("dvc.yaml holds no mapping.", where=str(path), fix="Mend it, or remove it.")
    return document or {}


def _says(parts: list[str], text: str) -> bool:
    """Whether a text is the one that is given in parts."""
    at = 0
    for part in parts:
        if not text.startswith(part, at):
            return False
        at += len(part)
    return at == len(text)


def _rendered(text: str, path: Path, new: dict[str, Any], foreign: set[str]) -> list[str]:
    """The new text, in parts. A file that is ours alone is written out; any other is edited so that comments stay."""
    body = text.removeprefix(HEADER)
    if not new and not body.strip():
        return [text]
    if not body.strip() or (not foreign and "#" not in body):
        return [HEADER, *dump_parts(new)]
    return [text if new == _parse(text, path) else _edited(text, new)]


def _edited(text: str, new: dict[str, Any]) -> str:
    """Change the parsed text where it differs, comments and layout kept (ruamel, loaded only here)."""
    import io

    from ruamel.yaml import YAML

    editor = YAML()
    editor.width = 10**9
    editor.preserve_quotes = True
    document = editor.load(text)
    _apply(document, new)
    stream = io.StringIO()
    editor.dump(document, stream)
    return stream.getvalue()


def _apply(target: Any, new: dict[str, Any]) -> None:
    for key in [key for key in target if key not in new]:
        del target[key]
    for key, value in new.items():
        if key in target and isinstance(target[key], dict) and isinstance(value, dict):
            _apply(target[key], value)
        elif key not in target or target[key] != value:
            target[key] = value


def is_current(places: Places, steps: tuple[Step, ...], ledger: Ledger) -> bool:
    """Whether dvc.yaml is as `sync` last left it, for the same steps and records; looks at digests and marks only."""
    known = ledger.state.get("dvc_yaml")
    return bool(known) and known == _seal(places, steps, ledger)


def seal(places: Places, steps: tuple[Step, ...], ledger: Ledger) -> None:
    """Note in local state that dvc.yaml is as it should be."""
    now = _seal(places, steps, ledger)
    if ledger.state.get("dvc_yaml") != now:
        ledger.state["dvc_yaml"] = now
        ledger.write_state()


def _seal(places: Places, steps: tuple[Step, ...], ledger: Ledger) -> list[Any]:
    """What the stages of dvc.yaml are made from, and the file itself, as a value that JSON keeps as it is."""
    seen = hashlib.sha256()
    for step in steps:
        if step.name in ledger.managed:
            told = (step.name, step.shell, step.keeps_outputs, step.script, step.env_values)
            paths = (step.deps, step.outputs, step.outputs_no_cache, step.metrics, step.plots)
            seen.update(f"{told}{[[str(path) for path in kind] for kind in paths]}\n".encode())
    marks = [mark_of(path) for path in (places.dvc_yaml, places.dvc_lock)]
    return [seen.hexdigest(), ledger.locals.digest(), *(list(mark) if mark else None for mark in marks)]
