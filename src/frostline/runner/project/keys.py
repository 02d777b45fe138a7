"""Every key of project.yml: what it takes, what it means, and whose it is. Only data.

parse.py takes the names that it knows from here, schema.py the whole, so that reader and editors can't disagree.
`takes` is JSON Schema; None is taken wherever a value is, as `key:` with nothing behind it means "not said".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Schema = Mapping[str, Any]


class Origin(Enum):
    """Whose a key is."""

    WEASEL = "weasel's and spaCy's projects have it"
    LEGACY = "older spaCy projects have it; it means nothing here"
    OURS = "beyond weasel: a file that has it has our meaning throughout"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping in project.yml."""

    name: str
    takes: Schema
    about: str
    origin: Origin = Origin.WEASEL


REFERENCE = r"\$\{.+\}"
TEXT: Schema = {"type": ["string", "number", "null"]}
NAME: Schema = {"type": ["string", "number"], "minLength": 1}
FLAG: Schema = {"type": ["boolean", "null"]}
TEXTS: Schema = {"type": ["array", "string", "null"], "items": {"type": ["string", "number"]}}
TEXT_OF: Schema = {"type": ["object", "null"], "additionalProperties": TEXT}
TEXTS_OF: Schema = {"type": ["object", "null"], "additionalProperties": TEXTS}
VALUES: Schema = {"type": ["object", "null"]}
PROFILE_NAME = "[A-Za-z0-9][A-Za-z0-9_-]*"
PROFILES: Schema = {
    "type": ["object", "null"],
    "propertyNames": {"pattern": f"^{PROFILE_NAME}$"},
    "additionalProperties": VALUES,
}
LIST_OF_VALUES: Schema = {"type": ["array", "null"], "items": {"type": "object"}}
ANYTHING: Schema = {}


def _number(least: int, kind: str = "integer") -> Schema:
    """A number from `least` on, or a reference to a variable that holds one."""
    bound = {"minimum": least} if kind == "integer" else {"exclusiveMinimum": least}
    return {"type": [kind, "string", "null"], "pattern": REFERENCE, **bound}


def _one(section: str) -> Schema:
    """One mapping, as DEFINITIONS has it."""
    return {"anyOf": [{"$ref": f"#/definitions/{section}"}, {"type": "null"}]}


def _many(section: str) -> Schema:
    """A list of such mappings."""
    return {"type": ["array", "null"], "items": {"$ref": f"#/definitions/{section}"}}


def _digits(*lengths: int) -> Schema:
    """Hexadecimal digits of one of these lengths."""
    counts = "|".join(f"[0-9a-fA-F]{{{length}}}" for length in lengths)
    return {"type": ["string", "null"], "pattern": rf"^\s*({counts})?\s*$"}


OURS, LEGACY = Origin.OURS, Origin.LEGACY

RESOURCES = (
    Key("cpus", _number(1), "Cores. The step computes with exactly that many threads.", OURS),
    Key("gpus", _number(0), "GPUs.", OURS),
    Key("memory_mib", _number(1), "Memory in MiB.", OURS),
)

MATRIX = (
    Key("include", LIST_OF_VALUES, "Further keys for the cells an entry matches, or a cell of its own.", OURS),
    Key("exclude", LIST_OF_VALUES, "Cells that match one of these entries are left out.", OURS),
)
AXIS: Schema = {
    "type": ["array", "string"],
    "pattern": rf"^{REFERENCE}$",
    "description": "An axis: a list of values, or a reference to a variable that holds one.",
}

GIT = (
    Key("repo", NAME, "Address or path of the repository."),
    Key("branch", TEXT, "A branch, a tag or a commit; the repository's default branch where nothing is said."),
    Key("path", TEXT, "A file or folder of the repository; all of it where nothing is said."),
)

COMMAND = (
    Key("name", NAME, "Name of the step. With a matrix it names the axes, or gets `-value` for each of them."),
    Key("help", TEXT, "What the command does, for people."),
    Key("script", TEXTS, "Command lines, run in this order; the first failure ends the step."),
    Key("deps", TEXTS, "Files and folders that the step reads; `*` stands for one part of other steps' outputs."),
    Key("outputs", TEXTS, "Files and folders that the step writes; kept in the store."),
    Key("outputs_no_cache", TEXTS, "Outputs without a copy in the store."),
    Key("no_skip", FLAG, "Run the step every time."),
    Key("matrix", _one("matrix"), "One step for each cell of these axes.", OURS),
    Key("profile", TEXTS, "The profiles that have this command; all of them where nothing is said.", OURS),
    Key("resources", _one("resources"), "What the step takes; steps run side by side where they fit.", OURS),
    Key("timeout_s", _number(0, "number"), "Seconds after which the step is ended, and has failed.", OURS),
    Key("retries", _number(0), "How often the step is tried again after a failure.", OURS),
    Key(
        "env",
        {"type": ["array", "object", "string", "null"], "items": TEXTS["items"], "additionalProperties": TEXT},
        "A list: variables of your environment whose change reruns the step. A mapping: variables set for it.",
        OURS,
    ),
    Key("requires", TEXTS, "Packages of which a new major or minor version reruns the step.", OURS),
    Key("checkpoint", TEXTS, "Paths that survive a kill and are handed to the next try; no outputs.", OURS),
    Key("metrics", TEXTS, "Outputs, or files in outputs, that `dvc metrics` shows.", OURS),
    Key("plots", TEXTS, "Outputs, or files in outputs, that `dvc plots` shows.", OURS),
    Key("wait_for", TEXTS, "Steps that come before this one, though no file says so.", OURS),
    Key("shell", FLAG, "Hand each line to the shell: pipes, `*`, `$HOME`.", OURS),
)

ASSET = (
    Key("dest", NAME, "Where the file or folder goes."),
    Key(
        "url",
        TEXTS,
        "Where it comes from: http(s)://…, hf://OWNER/NAME[@REVISION]/PATH, pypi:PACKAGE==VERSION/PATH, file://… or a"
        " path. A list is tried in its order.",
    ),
    Key("checksum", _digits(32, 64), "weasel's key: the MD5 of the file, or its SHA-256."),
    Key("git", _one("git"), "A file or folder out of a git repository."),
    Key("extra", FLAG, "Brought by `project assets --extra` only."),
    Key("description", TEXT, "What it is; of an asset without a source, how to get it."),
    Key("sha256", _digits(64), "SHA-256 of the file; of the archive, where it is unpacked.", OURS),
    Key("md5", _digits(32), "MD5 of the file; of the archive, where it is unpacked.", OURS),
    Key(
        "extract",
        {"type": ["boolean", "string", "null"]},
        "Unpack the archive into the folder `dest`; a text names the folder in the archive to take.",
        OURS,
    ),
    Key("profile", TEXTS, "The profiles that the asset belongs to; all of them where nothing is said.", OURS),
)

REPORT = (
    Key("title", TEXT, "Title of the report; the project's where nothing is said.", OURS),
    Key("baseline", TEXT, "The variant that the others are compared with.", OURS),
    Key("axes", TEXTS, "The axes of the matrix that the report is laid out by.", OURS),
    Key("metrics", TEXTS, "The metrics that it shows.", OURS),
)

TOP = (
    Key("title", TEXT, "Title of the project."),
    Key("description", TEXT, "What the project is about."),
    Key("vars", VALUES, "Variables: `${vars.name}`. A value may be of any kind and refer to other variables."),
    Key("env", TEXT_OF, "Environment variables: `${env.name}` is the value of the variable named here."),
    Key("directories", TEXTS, "Folders that are made before the first step runs."),
    Key("remotes", TEXT_OF, "Places that outputs are stored in, by name."),
    Key("assets", _many("asset"), "Files and folders from outside."),
    Key("workflows", TEXTS_OF, "Lists of steps, by name: `project run NAME` runs them in this order."),
    Key("commands", _many("command"), "What the project's steps run, read and write."),
    Key("profiles", PROFILES, "Values that replace those of `vars`, by profile; the first is the default.", OURS),
    Key("report", _one("report"), "The project has a report, made after a workflow has run.", OURS),
    Key("spacy_version", ANYTHING, "Of older spaCy projects; means nothing here.", LEGACY),
    Key("version", ANYTHING, "Of older spaCy projects; means nothing here.", LEGACY),
    Key("check_requirements", ANYTHING, "Of older spaCy projects; means nothing here.", LEGACY),
)  # fmt: skip


# section -> its keys, and the one that it must have
DEFINITIONS: Mapping[str, tuple[tuple[Key, ...], str | None]] = {
    "command": (COMMAND, "name"),
    "matrix": (MATRIX, None),
    "resources": (RESOURCES, None),
    "asset": (ASSET, "dest"),
    "git": (GIT, "repo"),
    "report": (REPORT, None),
}


def names(keys: tuple[Key, ...], origin: Origin | None = None) -> tuple[str, ...]:
    """The names of the keys, or of those of one origin."""
    return tuple(key.name for key in keys if origin is None or key.origin is origin)
