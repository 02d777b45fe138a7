"""Read project.yml into a Spec: every key checked, all faults told at once with file, line and column.

The file is a superset of what weasel and spaCy projects write. References are left as they are: expand.py fills
them in. Reads one file, writes nothing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from frostline.errors import ProjectFileError, nearest
from frostline.runner.project.faults import Faults, Reader
from frostline.runner.project.keys import ASSET, COMMAND, GIT, PROFILE_NAME, REPORT, RESOURCES, TOP, Key, Origin, names
from frostline.runner.project.spec import AssetSpec, CommandSpec, Matrix, Place, Report, Spec, Text
from frostline.runner.project.yaml_places import Map, Seq, YamlError, load_with_places

PROJECT_FILE = "project.yml"

SLIP = 0.8  # how like a known key (difflib's ratio) a word is that is no key of another tool's, but a slip
NUMBERS = ("timeout_s", "retries")


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` that holds a project.yml. Raises ProjectFileError."""
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise ProjectFileError(
        f"There is no {PROJECT_FILE} here or in a folder above.",
        where=str(start),
        fix="Go to the project's folder, or name it with --project DIR.",
    )


def read_spec(path: Path) -> Spec:
    """Parse the project file at `path`. Raises ProjectFileError with all its faults."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProjectFileError(f"{path.name} is not UTF-8: {error.reason}.", where=path.name) from error
    return parse_spec(text, path.name)


def parse_spec(text: str, file_name: str = PROJECT_FILE) -> Spec:
    """Parse the text of a project file. Raises ProjectFileError with all its faults."""
    faults = Faults(file_name)
    try:
        top = load_with_places(text)
    except YamlError as error:
        raise _yaml_fault(text, error, faults) from error
    if not isinstance(top, Map):
        raise ProjectFileError(f"{file_name} must hold a mapping such as 'commands:'.", where=f"{file_name}:1:1")
    spec = _Parser(top, faults).spec()
    faults.raise_any()
    return spec


def _yaml_fault(text: str, error: YamlError, faults: Faults) -> ProjectFileError:
    """What YAML has against the text, in words that fit the two slips that are common here."""
    word = _bare_reference(text, error.place)
    if word is not None:
        message = f"Between [ ] and {{ }}, '{word}' must stand in quotes: YAML takes its '{{' for a mapping's."
        return ProjectFileError(message, where=faults.where(word.place), fix=f'Write "{word}".')
    marks = re.search(r"^(<{7}|>{7}) ", text, re.MULTILINE)
    if marks is not None:
        place = Place(text.count("\n", 0, marks.start()) + 1, 1)
        way_out = "Choose one side of each."
        return ProjectFileError("A merge has left its marks.", where=faults.where(place), fix=way_out)
    has_tab = re.search(r"^\s*\t", text, re.MULTILINE)
    fix = "Indent with spaces: YAML takes no tabs." if has_tab else None
    return ProjectFileError(error.message, where=faults.where(error.place), fix=fix)


def _bare_reference(text: str, place: Place) -> Text | None:
    """The word whose `${` YAML has stumbled over at its brace; None when something else is wrong."""
    lines = text.splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    brace = place.column - 1
    if line[max(0, brace - 1) : brace + 1] != "${":
        return None
    words = re.finditer(r"(?:\$\{[^{}]*\}|[^\s,\[\]{}])+", line)
    found = next((match for match in words if match.start() < brace < match.end()), None)
    return None if found is None else Text(found[0], Place(place.line, found.start() + 1))


class _Parser:
    """One parse: the tree, the faults so far, and whether a key beyond weasel's was met."""

    def __init__(self, top: Map, faults: Faults) -> None:
        self.top = top
        self.faults = faults
        self.read = Reader(faults)
        self.weasel_only = True
        self.warnings: list[str] = []

    def spec(self) -> Spec:
        read, top = self.read, self.top
        self._check_top()
        commands = tuple(c for c in map(self._command, read.sections(top, "commands")) if c)
        assets = tuple(a for a in map(self._asset, read.sections(top, "assets")) if a)
        workflows = read.section(top, "workflows")
        return Spec(
            file_name=self.faults.file_name,
            title=read.text(top, "title"),
            description=read.text(top, "description"),
            vars=self._plain(read.section(top, "vars")),
            env={name: read.text(section, name) for section in [read.section(top, "env")] for name in section},
            profiles=self._profiles(),
            directories=read.texts(top, "directories"),
            remotes={name: read.text(section, name) for section in [read.section(top, "remotes")] for name in section},
            assets=assets,
            workflows=self._workflows(workflows),
            commands=self._distinct(commands, workflows),
            report=self._report(),
            weasel_only=self.weasel_only,
            warnings=tuple(self.warnings),
        )

    def _check_top(self) -> None:
        for key in names(TOP, Origin.LEGACY):
            if key in self.top:
                self._warn(self.top, key, f"'{key}' is of spaCy's projects and has no meaning here")
        self._look_for_ours(self.top, TOP)
        self._ignore_unknown(self.top, TOP, prefixes=("x-", ".", "_"))

    def _look_for_ours(self, section: Map, keys: tuple[Key, ...]) -> None:
        if any(key in section for key in names(keys, Origin.OURS)):
            self.weasel_only = False

    def _ignore_unknown(
        self, section: Map, keys: tuple[Key, ...], inside: str = "", prefixes: tuple[str, ...] = ()
    ) -> None:
        """A word very like a known one is a slip; any other is left alone, as weasel does, with a warning."""
        known = names(keys)
        for key in section:
            if key in known or key.startswith(prefixes):
                continue
            if nearest(key, known, likeness=SLIP) is not None:
                self.faults.unknown(section.keys_at[key], "key", key, known, inside=inside)
            else:
                self._warn(section, key, f"unknown key '{key}'{inside} is ignored")

    def _warn(self, section: Map, key: str, text: str) -> None:
        self.warnings.append(f"{self.faults.where(section.keys_at[key])}: {text}")

    def _plain(self, section: Map) -> dict[str, Any]:
        return dict(section)

    def _workflows(self, section: Map) -> dict[str, tuple[Text, ...]]:
        """The workflows; weasel runs a step as often as it is listed, here it is brought up to date once."""
        found = {name: self.read.texts(section, name) for name in section}
        for name, steps in found.items():
            for step in dict.fromkeys(step for index, step in enumerate(steps) if step in steps[:index]):
                self._warn(section, name, f"'{step}' stands twice in the workflow '{name}', and is run once")
        return found

    def _profiles(self) -> dict[str, dict[str, Any]]:
        section = self.read.section(self.top, "profiles")
        for name in section:
            if not re.fullmatch(PROFILE_NAME, name):
                self.faults.add(
                    section.keys_at[name], f"The profile name '{name}' may hold letters, digits, _ and - only."
                )
        return {name: dict(self.read.section(section, name)) for name in section}

    def _report(self) -> Report | None:
        if "report" not in self.top:
            return None
        section = self.read.section(self.top, "report")
        self.read.only(section, names(REPORT), "the report")
        return Report(
            title=self.read.text(section, "title") or None,
            baseline=self.read.text(section, "baseline") or None,
            axes=self.read.texts(section, "axes"),
            metrics=self.read.texts(section, "metrics"),
        )

    def _distinct(self, commands: tuple[CommandSpec, ...], workflows: Map) -> tuple[CommandSpec, ...]:
        seen: dict[str, set[str]] = {}  # name -> the profiles that have it; "" stands for every one
        for command in commands:
            profiles: set[str] = set(map(str, command.profiles)) or {""}
            known = seen.get(command.name, set())
            if known & profiles or (known and "" in known | profiles):
                self.faults.add(command.name.place, f"There are two commands named '{command.name}'.")
            if command.name in workflows:
                self.faults.add(
                    workflows.keys_at[command.name], f"'{command.name}' is both a workflow and a command.",
                    "Rename one of them.",
                )  # fmt: skip
            seen[command.name] = known | profiles
        return commands

    def _command(self, section: Map) -> CommandSpec | None:
        read = self.read
        name = read.text(section, "name")
        read.only(section, names(COMMAND), f"command '{name}'" if name else "a command")
        self._look_for_ours(section, COMMAND)
        if not name:
            self.faults.add(section.place, "A command has no 'name'.")
            return None
        env_names, env_values = self._step_env(section)
        return CommandSpec(
            name=name,
            place=section.place,
            help=read.text(section, "help"),
            script=read.texts(section, "script"),
            deps=read.texts(section, "deps"),
            outputs=read.texts(section, "outputs"),
            outputs_no_cache=read.texts(section, "outputs_no_cache"),
            metrics=read.texts(section, "metrics"),
            plots=read.texts(section, "plots"),
            checkpoint=read.texts(section, "checkpoint"),
            wait_for=read.texts(section, "wait_for"),
            env_names=env_names,
            env_values=env_values,
            requires=read.texts(section, "requires") if "requires" in section else None,
            matrix=self._matrix(section),
            numbers=self._numbers(section),
            shell=read.flag(section, "shell"),
            no_skip=read.flag(section, "no_skip"),
            profiles=read.texts(section, "profile"),
        )

    def _step_env(self, section: Map) -> tuple[tuple[Text, ...], dict[str, Text]]:
        """`env` of a command: a list names variables whose change counts, a mapping sets variables."""
        value = section.get("env")
        if isinstance(value, Map):
            return (), {key: self.read.text(value, key) for key in value}
        return self.read.texts(section, "env"), {}

    def _numbers(self, section: Map) -> dict[str, Any]:
        """Numbers of the command with their places: name -> (value, place); values may be references."""
        resources = self.read.section(section, "resources")
        self.read.only(resources, names(RESOURCES), "resources")
        return {
            key: (place[key], place.values_at[key])
            for place, keys in ((section, NUMBERS), (resources, names(RESOURCES)))
            for key in keys
            if place.get(key) is not None
        }

    def _matrix(self, section: Map) -> Matrix | None:
        if section.get("matrix") is None:
            return None
        matrix = self.read.section(section, "matrix")
        axes = {key: matrix[key] for key in matrix if key not in ("include", "exclude")}
        for key, value in axes.items():
            if not isinstance(value, Seq) and not (isinstance(value, Text) and value.startswith("${")):
                self.read.wrong(matrix, key, "a list of values, or a reference to a variable that holds one")
        return Matrix(
            axes=axes,
            include=tuple(self.read.sections(matrix, "include")),
            exclude=tuple(self.read.sections(matrix, "exclude")),
            place=matrix.place,
        )

    def _asset(self, section: Map) -> AssetSpec | None:
        read = self.read
        self._ignore_unknown(section, ASSET, " in an asset")
        self._look_for_ours(section, ASSET)
        if isinstance(section.get("url"), Seq):
            self.weasel_only = False
        if not read.text(section, "dest"):
            self.faults.add(section.place, "An asset has no 'dest'.", "Say which path it takes in the project.")
            return None
        git = self._git(section)
        urls = read.texts(section, "url")
        extract = self._extract(section, bool(urls or git))
        sha256, md5 = self._checksums(section)
        return AssetSpec(
            dest=read.text(section, "dest"),
            place=section.place,
            urls=urls,
            sha256=sha256,
            md5=md5,
            extract=extract,
            git=git,
            extra=read.flag(section, "extra"),
            description=read.text(section, "description"),
            profiles=read.texts(section, "profile"),
        )

    def _git(self, section: Map) -> dict[str, Text] | None:
        if section.get("git") is None:
            return None
        git = self.read.section(section, "git")
        self._ignore_unknown(git, GIT, " in an asset's git")
        if not self.read.text(git, "repo"):
            self.faults.add(git.place, "An asset's 'git' has no 'repo'.")
        return {key: self.read.text(git, key) for key in names(GIT) if git.get(key)}

    def _extract(self, section: Map, has_source: bool) -> str | None:
        """The folder of the archive to unpack, "" for all of it; None: nothing is unpacked."""
        value = section.get("extract")
        if value is None or value is False:
            return None
        if not isinstance(value, str | bool):
            self.read.wrong(section, "extract", "true, false or a folder in the archive")
        elif not has_source:
            self.faults.add(
                section.keys_at["extract"], "This asset has no source, so there is nothing to unpack.",
                "Give it a 'url', or say in 'dest' where the unpacked folder must be put.",
            )  # fmt: skip
        return value if isinstance(value, str) else ""

    def _checksums(self, section: Map) -> tuple[str | None, str | None]:
        """(sha256, md5) of an asset; weasel's `checksum` is an MD5, or a SHA-256 by its length."""
        found: dict[str, str | None] = {"sha256": None, "md5": None}
        for key in ("checksum", "sha256", "md5"):
            word = self.read.text(section, key).strip().lower()
            if not word:
                continue
            kind = {32: "md5", 64: "sha256"}.get(len(word))
            if kind is None or not re.fullmatch(r"[0-9a-f]+", word) or (key != "checksum" and kind != key):
                wanted = {"md5": "32", "sha256": "64"}.get(key, "32 (MD5) or 64 (SHA-256)")
                fix = "Put it in quotes: YAML takes it for a number." if isinstance(section[key], float) else None
                self.faults.add(
                    section.values_at[key], f"'{key}' must be {wanted} hexadecimal digits, not '{word}'.", fix
                )
            else:
                found[kind] = word
        return found["sha256"], found["md5"]
