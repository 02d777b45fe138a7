"""What project.yml says, as values: the file's own shape (Spec) and what expansion makes of it (Step, Asset).

Only data. Reading and checking the file is parse.py's business, filling in references and cells expand.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

DEFAULT_PROFILE = "default"
FETCH = "fetch"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in project.yml; both count from 1."""

    line: int
    column: int


class Text(str):
    """A string of project.yml that knows where it stands."""

    __slots__ = ("place",)
    place: Place

    def __new__(cls, value: str, place: Place) -> Text:
        text = super().__new__(cls, value)
        text.place = place
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class GitSource:
    """An asset that comes out of a git repository."""

    repo: str
    path: str = ""
    branch: str | None = None  # a branch, tag or commit; None: the repository's default


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One entry of `assets`, expanded. Without urls and git it is private: it must be brought by hand."""

    dest: PurePosixPath  # relative to the project root
    urls: tuple[str, ...] = ()  # tried in this order
    sha256: str | None = None
    md5: str | None = None
    git: GitSource | None = None
    extract: str | None = None  # the folder of the archive to unpack, "" for all of it; None: nothing is unpacked
    extra: bool = False  # only brought by `project assets --extra`
    is_shared: bool = False  # other profiles may have it, at the same path
    description: str = ""
    line: int = 0  # in project.yml, for messages

    @property
    def has_checksum(self) -> bool:
        """Whether the file has a say about its bytes: the unpacked archive's, where it is unpacked."""
        return self.sha256 is not None or self.md5 is not None

    @property
    def is_private(self) -> bool:
        """Whether nothing says where the asset comes from."""
        return not self.urls and self.git is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a step takes of the machine; None: not said."""

    cpus: int | None = None
    gpus: int | None = None
    memory_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The cells of a command: the product of the axes, less `exclude`, plus `include`."""

    axes: Mapping[str, Any]  # values are lists, or a reference to a variable that holds one
    include: tuple[Mapping[str, Any], ...] = ()
    exclude: tuple[Mapping[str, Any], ...] = ()
    place: Place = Place(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """One entry of `commands` as written, references unresolved."""

    name: Text
    place: Place
    help: str = ""
    script: tuple[Text, ...] = ()
    deps: tuple[Text, ...] = ()
    outputs: tuple[Text, ...] = ()
    outputs_no_cache: tuple[Text, ...] = ()
    metrics: tuple[Text, ...] = ()
    plots: tuple[Text, ...] = ()
    checkpoint: tuple[Text, ...] = ()
    wait_for: tuple[Text, ...] = ()
    env_names: tuple[Text, ...] = ()  # variables of the caller's environment whose change counts
    env_values: Mapping[str, Text] = field(default_factory=dict)  # variables set for the step
    requires: tuple[Text, ...] | None = None  # None: not said
    matrix: Matrix | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)  # cpus, gpus, memory_mib, timeout_s, retries
    shell: bool = False
    no_skip: bool = False
    profiles: tuple[Text, ...] = ()  # the profiles that have the command; empty: every one


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetSpec:
    """One entry of `assets` as written."""

    dest: Text
    place: Place
    urls: tuple[Text, ...] = ()
    sha256: str | None = None
    md5: str | None = None
    git: Mapping[str, Text] | None = None
    extract: str | None = None
    extra: bool = False
    description: str = ""
    profiles: tuple[str, ...] = ()  # empty: every profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The `report` section: what `project report` is told."""

    title: str | None = None
    baseline: str | None = None
    axes: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """project.yml, checked."""

    file_name: str = "project.yml"
    title: str = ""
    description: str = ""
    vars: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)  # name in ${env.NAME} -> environment variable
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # name -> vars; the first is the default
    directories: tuple[Text, ...] = ()
    remotes: Mapping[str, Text] = field(default_factory=dict)
    assets: tuple[AssetSpec, ...] = ()
    workflows: Mapping[str, tuple[Text, ...]] = field(default_factory=dict)
    commands: tuple[CommandSpec, ...] = ()
    report: Report | None = None
    weasel_only: bool = True  # no key beyond weasel's: its meaning holds throughout
    warnings: tuple[str, ...] = ()

    @property
    def default_profile(self) -> str:
        """The profile that is taken when none is named."""
        return next(iter(self.profiles), DEFAULT_PROFILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One entry of `commands`, or one cell of its matrix: references filled in, `${env.X}` aside."""

    name: str
    script: tuple[str, ...]  # one command line each, run in order; env references stay symbolic
    deps: tuple[PurePosixPath, ...] = ()  # relative to the project root; those of `imports` come last
    imports: tuple[PurePosixPath, ...] = ()  # deps that nobody declared: the project's code that its commands run
    outputs: tuple[PurePosixPath, ...] = ()
    outputs_no_cache: tuple[PurePosixPath, ...] = ()
    metrics: tuple[PurePosixPath, ...] = ()
    plots: tuple[PurePosixPath, ...] = ()
    checkpoint: tuple[PurePosixPath, ...] = ()  # no outputs: they survive a kill and go on success
    wait_for: tuple[str, ...] = ()
    env_names: tuple[str, ...] = ()
    env_values: tuple[tuple[str, str], ...] = ()
    requires: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()  # the vars it uses, for `why`
    declared: str | None = None  # digest of what the step is told beside its command (the assets of `fetch`)
    cell: tuple[tuple[str, str], ...] = ()  # axis -> value, of a matrix
    command: str = ""  # the name it has in `commands`, before the cell is filled in
    help: str = ""
    resources: Resources = Resources()
    timeout_s: float | None = None  # None: no limit
    retries: int = 0
    shell: bool = False
    as_weasel: bool = False  # values of environment variables are put into a line before it is split
    no_skip: bool = False
    is_elsewhere: bool = False  # an output of it is another profile's in DVC's eyes, which has one stage for a path
    keeps_outputs: bool = False  # outputs are not removed before it runs: it replaces them itself
    line: int = 0  # in project.yml, for messages

    @property
    def all_outputs(self) -> tuple[PurePosixPath, ...]:
        """Cached outputs first, then the others."""
        return self.outputs + self.outputs_no_cache

    @property
    def dispensable(self) -> tuple[PurePosixPath, ...]:
        """The outputs whose absence alone is no reason to run it again, where the store has no copy."""
        if not self.outputs:
            return ()
        return tuple(path for path in self.outputs_no_cache if path not in self.metrics and path not in self.plots)
