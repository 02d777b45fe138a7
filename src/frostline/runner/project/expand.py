"""From Spec to Steps and Assets: variables, profile and matrix cells filled in. Pure: text in, values out.

`${env.X}` stays symbolic in command lines, so that secrets reach no file; in paths it is put in, as a path must be
known. All faults are told at once.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from frostline.errors import UsageError, did_you_mean
from frostline.runner.project.faults import Faults
from frostline.runner.project.fetch_step import check_assets, fetch_step
from frostline.runner.project.matrix import Cell, cells
from frostline.runner.project.naming import check_names
from frostline.runner.project.overrides import refuse_unused, with_overrides
from frostline.runner.project.patterns import with_patterns_filled
from frostline.runner.project.references import Scope, as_text, env_names, is_plain, with_env
from frostline.runner.project.spec import (
    FETCH,
    Asset,
    AssetSpec,
    CommandSpec,
    GitSource,
    Place,
    Resources,
    Spec,
    Step,
    Text,
)

OWN_PATHS = (".dvc", ".git", "dvc.yaml", "dvc.lock")  # no step may remove these
LEDGERS = "ledger"  # of the profiles beside the default one
OWN_PACKAGES = ("frostline", "torch", "thinc", "transformers", "tokenizers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project file with one profile and one set of overrides filled in."""

    spec: Spec
    profile: str
    steps: tuple[Step, ...]  # in the file's order; `fetch` first
    assets: tuple[Asset, ...]  # of this profile, extra and private ones too
    overrides: Mapping[str, Any]
    directories: tuple[PurePosixPath, ...] = ()
    title: str = ""
    description: str = ""
    remotes: Mapping[str, str] = field(default_factory=dict)  # name -> address; env references stay symbolic

    @property
    def is_default_profile(self) -> bool:
        """Whether the ledger is the one at the root."""
        return self.profile == self.spec.default_profile


def expand(
    spec: Spec,
    *,
    profile: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Project:
    """Fill in the references of a whole project file.

    Args:
        profile: None for the default one.
        overrides: variable -> value, from the command line; they win over the profile.
        environ: values of environment variables, for paths only.
    Raises:
        UsageError: no such profile or variable.
        ProjectFileError: faults in the file, all of them.
    """
    chosen = spec.default_profile if profile is None else profile
    if chosen != spec.default_profile and chosen not in spec.profiles:
        raise UsageError(f"There is no profile '{chosen}'.", fix=did_you_mean(chosen, spec.profiles))
    expander = _Expander(spec, chosen, overrides or {}, environ or {})
    chosen_commands = [command for command in spec.commands if not command.profiles or chosen in command.profiles]
    steps = [step for command in chosen_commands for step in expander.command(command)]
    assets = tuple(expander.asset(asset) for asset in spec.assets if not asset.profiles or chosen in asset.profiles)
    remotes = {name: expander.scope().text(text, text.place) for name, text in spec.remotes.items()}
    expander.check_profile_names()
    fetch = fetch_step(spec, assets, chosen, overrides or {}, expander.used_by_assets)
    if fetch is not None and FETCH not in {*spec.workflows, *(step.name for step in steps)}:
        steps.insert(0, fetch)
    directories = expander.directories()
    check_names(expander.named, spec.workflows, expander.faults)
    check_assets(spec, assets, chosen, expander.faults)
    expander.faults.raise_any()
    refuse_unused(overrides or {}, expander.declared, expander.seen, spec.file_name)
    steps = with_patterns_filled(steps)
    return Project(
        spec=spec,
        profile=chosen,
        steps=tuple(steps),
        assets=assets,
        overrides=dict(overrides or {}),
        directories=directories,
        title=expander.prose(spec.title),
        description=expander.prose(spec.description),
        remotes=remotes,
    )


class _Expander:
    """One expansion: the scope of the whole file, and the faults so far."""

    def __init__(self, spec: Spec, profile: str, overrides: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self.spec = spec
        self.profile = profile
        self.overrides = overrides
        self.declared = {**spec.vars, **spec.profiles.get(profile, {})}
        self.variables = with_overrides(self.declared, overrides)
        self.environ = environ
        self.faults = Faults(spec.file_name)
        self.moved = {name for values in spec.profiles.values() for name in values}  # vars that profiles change
        self.used_by_assets: set[str] = set()
        self.seen: set[str] = set()  # every variable that a reference names
        self.named: list[tuple[str, Place]] = []  # the steps so far
        self.known: dict[str, PurePosixPath] = {}  # a path that one step writes and another reads is kept once

    def scope(self, cell: Cell | None = None, env: Iterable[str] = (), included: Iterable[str] = ()) -> Scope:
        names = {**{name: name for name in env}, **self.spec.env}
        return Scope(
            self.faults,
            variables=self.variables,
            env=names,
            profile=self.profile,
            cell=cell,
            included=included,
            seen=self.seen,
        )

    def _declared_scope(self, profile: str) -> Scope:
        """What the file says for a profile, whatever the command line says; its faults are told elsewhere."""
        variables = {**self.spec.vars, **self.spec.profiles.get(profile, {})}
        return Scope(Faults(self.spec.file_name), variables=variables, env=self.spec.env, profile=profile)

    def prose(self, text: str) -> str:
        """A text for people: what it refers to is no concern of the step it speaks of, nor a fault if it is unknown."""
        scope = Scope(
            Faults(""), variables=self.variables, env=self.spec.env, profile=self.profile, cell={}, seen=self.seen
        )
        return scope.text(text, Place(1, 1), shell=True)

    def directories(self) -> tuple[PurePosixPath, ...]:
        """The folders that the project asks for."""
        return self._paths(self.spec.directories, self.scope())

    def command(self, command: CommandSpec) -> list[Step]:
        """The steps of a command: one, or one for each cell."""
        if command.matrix is None:
            return [self._step(command, None)]
        own = self._declared_scope(self.profile) if self.overrides else None
        others = (
            self._declared_scope(profile)
            for profile in self.spec.profiles
            if profile != self.profile and (not command.profiles or profile in command.profiles)
        )
        return [self._step(command, cell) for cell in cells(command.matrix, self.scope(), own=own, others=[*others])]

    def _step(self, command: CommandSpec, cell: Cell | None) -> Step:
        included = {key for entry in command.matrix.include for key in entry} if command.matrix else ()
        scope = self.scope(cell, command.env_names, included)
        name = scope.text(command.name, command.name.place)
        if cell is not None and "${matrix." not in command.name:
            name = "-".join([name, *(as_text(cell[axis]) for axis in command.matrix.axes if axis in cell)])  # type: ignore[union-attr]
        self.named.append((name, command.name.place))
        script = self._script(command, scope)
        values = tuple((key, scope.text(text, text.place)) for key, text in command.env_values.items())
        outputs, no_cache, metrics, plots = (
            self._outputs(texts, scope, carries_profile=len(command.profiles) != 1)
            for texts in (command.outputs, command.outputs_no_cache, command.metrics, command.plots)
        )
        no_cache = tuple(path for path in no_cache if path not in outputs)
        named = [path for path in metrics + plots if not _inside(path, outputs + no_cache)]
        wanted = env_names(" ".join([*script, *(value for _, value in values)]))
        required = [scope.text(text, text.place) for text in command.requires or ()]
        numbers = self._numbers(command, scope)
        return Step(
            name=name,
            command=command.name.split("${")[0].rstrip("-") or name,
            help=self.prose(command.help),
            script=script,
            deps=self._paths(command.deps, scope),
            outputs=tuple(dict.fromkeys([*outputs, *named])),
            outputs_no_cache=no_cache,
            metrics=metrics,
            plots=plots,
            checkpoint=self._checkpoint(command, scope, (*outputs, *named, *no_cache)),
            wait_for=tuple(scope.text(text, text.place) for text in command.wait_for),
            env_names=tuple(dict.fromkeys([*command.env_names, *wanted])),
            env_values=values,
            requires=tuple(required) if command.requires is not None else _own_packages(script),
            variables=tuple(sorted(scope.used.items())),
            cell=tuple((axis, as_text(value)) for axis, value in (cell or {}).items()),
            resources=Resources(**{key: numbers.get(key) for key in ("cpus", "gpus", "memory_mib")}),
            timeout_s=numbers.get("timeout_s"),
            retries=numbers.get("retries") or 0,
            shell=command.shell,
            as_weasel=self.spec.weasel_only,
            no_skip=command.no_skip,
            line=command.place.line,
        )

    def _script(self, command: CommandSpec, scope: Scope) -> tuple[str, ...]:
        lines = tuple(scope.text(line, line.place, shell=command.shell).strip() for line in command.script)
        for line, text in zip(lines, command.script, strict=True):
            if "\0" in line:
                self.faults.add(text.place, "This command line holds a NUL, which no program can be given.")
            elif not command.shell and not is_plain(line):
                try:
                    shlex.split(line)
                except ValueError as error:
                    self.faults.add(text.place, f"This command line can't be split into words: {error}.")
        return tuple(line for line in lines if line)

    def _checkpoint(
        self, command: CommandSpec, scope: Scope, outputs: tuple[PurePosixPath, ...]
    ) -> tuple[PurePosixPath, ...]:
        """Paths that survive a kill; inside an output they would not, as outputs are removed before a try."""
        paths = self._outputs(command.checkpoint, scope, carries_profile=False)
        for path in paths:
            if _inside(path, outputs):
                place = command.checkpoint[0].place
                self.faults.add(place, f"The checkpoint '{path}' lies in an output.", "Give it a path of its own.")
        return paths

    def _numbers(self, command: CommandSpec, scope: Scope) -> dict[str, Any]:
        """Resources, time limit and retries as numbers above 0 (0 is taken for retries and gpus)."""
        numbers: dict[str, Any] = {}
        for key, (raw, place) in command.numbers.items():
            value = scope.value(raw, place)
            kinds = (int, float) if key == "timeout_s" else (int,)
            least = 0 if key in ("retries", "gpus") else 1e-9
            if isinstance(value, bool) or not isinstance(value, kinds) or value < least:
                kind = "a number of seconds above 0" if key == "timeout_s" else "a whole number"
                self.faults.add(place, f"'{key}' must be {kind}, not '{value}'.")
            else:
                numbers[key] = value
        return numbers

    def _paths(self, texts: Iterable[Text], scope: Scope) -> tuple[PurePosixPath, ...]:
        """Paths as they count: normalised, each once; a reference to a list stands for its items."""
        found: dict[PurePosixPath, None] = {}
        for text in texts:
            values = scope.value(text, text.place)
            for value in values if isinstance(values, list) else [values]:
                path = with_env(as_text(value), self.environ)
                if "\0" in path:
                    self.faults.add(text.place, "This path holds a NUL, which no file system takes.")
                elif path.strip():
                    normal = posixpath.normpath(path)
                    found[self.known.setdefault(normal, PurePosixPath(normal))] = None
                else:
                    self.faults.add(text.place, "This path is empty.")
        return tuple(found)

    def _outputs(
        self, texts: Iterable[Text], scope: Scope, *, carries_profile: bool = True
    ) -> tuple[PurePosixPath, ...]:
        found: dict[PurePosixPath, None] = {}
        for text in texts:
            inner = self.scope(scope.cell, scope.env, scope.included)
            paths = self._paths((text,), inner)
            scope.used |= inner.used
            self._check_output(text, paths, inner, carries_profile=carries_profile)
            found |= dict.fromkeys(paths)
        return tuple(found)

    def _check_output(
        self, text: Text, paths: tuple[PurePosixPath, ...], scope: Scope, *, carries_profile: bool
    ) -> None:
        """Outputs are removed before a step runs, so they must be the step's own. In weasel's files they are not
        removed, and may lie anywhere but where the project itself is kept."""
        own = (*OWN_PATHS, self.spec.file_name) if self.spec.weasel_only else (*OWN_PATHS, self.spec.file_name, LEDGERS)
        for path in paths:
            if not self.spec.weasel_only and (path.is_absolute() or ".." in path.parts[:1]):
                self.faults.add(text.place, f"The output '{path}' lies outside the project.")
            elif not path.parts:
                message = "The output '.' is the project's own folder, and an output is removed before its step runs."
                self.faults.add(text.place, message, "Name a folder for what this step alone makes.")
            elif path.parts[0] in own:
                message = f"The output '{path}' is where the project itself is kept."
                self.faults.add(text.place, message, "Give it another path.")
        if carries_profile and len(self.spec.profiles) > 1 and not self._moves_with_profile(scope):
            self.faults.add(
                text.place,
                f"The output '{text}' is the same path in every profile, so that profiles would disturb each other.",
                "Put ${profile} in it.",
            )

    def _moves_with_profile(self, scope: Scope) -> bool:
        return scope.uses_profile or any(name.split(".")[0] in self.moved for name in scope.used)

    def asset(self, asset: AssetSpec) -> Asset:
        """An asset with its references filled in."""
        scope = self.scope()
        dest = self._outputs((asset.dest,), scope, carries_profile=False)
        inner = self.scope()
        inner.text(asset.dest, asset.dest.place)
        git: dict[str, str] = {key: scope.text(text, text.place) for key, text in (asset.git or {}).items()}
        urls = tuple(scope.text(url, url.place) for url in asset.urls if url)
        source = GitSource(repo=git["repo"], path=git.get("path", ""), branch=git.get("branch")) if git else None
        self.used_by_assets |= set(scope.used)
        is_shared = len(self.spec.profiles) > 1 and not self._moves_with_profile(inner)
        extract = self._inner_path(asset, scope)
        if is_shared and len(asset.profiles) != 1 and self._moves_with_profile(scope):
            self.faults.add(
                asset.dest.place,
                f"The asset '{asset.dest}' comes from another place in each profile, but goes to the same path.",
                "Put ${profile} in its dest.",
            )
        return Asset(
            dest=dest[0] if dest else PurePosixPath("."),
            urls=urls,
            sha256=asset.sha256,
            md5=asset.md5,
            extract=extract,
            git=source,
            is_shared=is_shared,
            extra=asset.extra,
            description=self.prose(asset.description),
            line=asset.place.line,
        )

    def _inner_path(self, asset: AssetSpec, scope: Scope) -> str | None:
        """The folder of an archive that is unpacked, normalised; "" for all of it."""
        if not asset.extract:
            return asset.extract
        path = PurePosixPath(posixpath.normpath(scope.text(asset.extract, asset.place)))
        if path.is_absolute() or ".." in path.parts:
            self.faults.add(asset.place, f"'extract: {path}' is no folder in an archive.", "Write it as folder/folder.")
        return "" if path == PurePosixPath(".") else str(path)

    def check_profile_names(self) -> None:
        """Names of profiles in assets and commands of other profiles are checked too."""
        entries = [(asset.place, asset.profiles) for asset in self.spec.assets]
        entries += [(command.place, command.profiles) for command in self.spec.commands]
        for place, profiles in entries:
            for name in profiles:
                if name not in self.spec.profiles:
                    self.faults.unknown(getattr(name, "place", place), "profile", name, self.spec.profiles)


def _inside(path: PurePosixPath, folders: Iterable[PurePosixPath]) -> bool:
    return any(path == folder or folder in path.parents for folder in folders)


def _own_packages(script: Iterable[str]) -> tuple[str, ...]:
    """The packages that a command of ours computes with."""
    for line in script:
        start = line.split(maxsplit=3)
        if start[:1] == ["frostline"] or (start[1:2] == ["-m"] and start[2:3] and start[2].startswith("frostline")):
            return OWN_PACKAGES
    return ()
