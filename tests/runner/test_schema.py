"""The JSON Schema for editors: kept in docs/, and of one mind with the reader."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.runner.json_schema import faults_of

from frostline.errors import ProjectFileError, UsageError
from frostline.runner.project.keys import DEFINITIONS, TOP, Key
from frostline.runner.project.parse import parse_spec
from frostline.runner.project.schema import project_schema, schema_text
from frostline.runner.project.yaml_places import load_plain

from .conftest import Playground

REPOSITORY = Path(__file__).resolve().parents[2]
KEPT = REPOSITORY / "docs" / "project.schema.json"
SCHEMA = project_schema()

# One value of each kind that YAML can write.
KINDS: tuple[Any, ...] = ("text", "${vars.x}", "", 2, 0.5, -1, True, None, ["text"], [1], [None], [["text"]])
KINDS += ([{"k": "v"}], {"k": "v"}, {"k": ["v"]}, {"k": {"v": 1}}, {"k": True}, "a" * 32, "b" * 64)
WHOLE = {
    "command": {"name": "step"},
    "asset": {"dest": "place", "url": "here"},
    "git": {"repo": "here"},
    "matrix": {"axis": [1]},
    "resources": {},
    "report": {},
}


def document(section: str | None, key: Key, value: Any) -> dict[str, Any]:
    """A project file that is right but perhaps for one key's value."""
    if section is None:
        return {key.name: value}
    entry = {**WHOLE[section], key.name: value}
    if section in ("matrix", "resources"):
        return {"commands": [{**WHOLE["command"], section: entry}]}
    if section == "git":
        return {"assets": [{**WHOLE["asset"], "git": entry}]}
    return {"report": entry} if section == "report" else {f"{section}s": [entry]}


ALL_KEYS = [(None, key) for key in TOP] + [(name, key) for name, (keys, _) in DEFINITIONS.items() for key in keys]


@pytest.mark.parametrize(("section", "key"), ALL_KEYS, ids=lambda value: getattr(value, "name", value or "top"))
def test_schema_and_reader_take_and_refuse_the_same_values(section: str | None, key: Key) -> None:
    differences = []
    for value in KINDS:
        text = document(section, key, value)
        try:
            parse_spec(json.dumps(text))
            is_read = True
        except ProjectFileError:
            is_read = False
        if is_read != (faults_of(text, SCHEMA) == []) and not told_later(key):
            differences.append(f"{value!r} is {'taken' if is_read else 'refused'}: {faults_of(text, SCHEMA)}")
    assert differences == []


def told_later(key: Key) -> bool:
    """Numbers are looked at when references have been filled in, since a variable may hold them."""
    return key.name in ("timeout_s", "retries", "cpus", "gpus", "memory_mib")


def test_the_kept_file_is_what_the_command_prints(playground: Playground, capsys: pytest.CaptureFixture[str]) -> None:
    from frostline.runner.cli.main import dispatch

    dispatch(["schema"])

    assert KEPT.read_text(encoding="utf-8") == schema_text(), "run: project schema --output docs/project.schema.json"
    assert capsys.readouterr().out == schema_text()


def test_it_is_written_to_a_file_that_is_named(tmp_path: Path) -> None:
    from frostline.runner.cli.main import dispatch

    dispatch(["schema", "--output", str(tmp_path / "new" / "s.json")])

    assert (tmp_path / "new" / "s.json").read_text(encoding="utf-8") == schema_text()
    with pytest.raises(UsageError):
        dispatch(["schema", "--output", str(tmp_path)])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("commands: [{name: a, scrpt: [b]}]", "commands/0/scrpt"),
        ("commands: [{script: [b]}]", "commands/0"),
        ("commands: [{name: a, resources: {cpus: 0}}]", "commands/0/resources/cpus"),
        ("commands: [{name: a, matrix: {x: 1}}]", "commands/0/matrix/x"),
        ("assets: [{dest: a, sha256: abc}]", "assets/0/sha256"),
        ("profiles: {'a b': {}}", "profiles"),
        ("profils: {}", "profils"),
    ],
)
def test_slips_are_marked_where_they_stand(text: str, place: str) -> None:
    assert [fault.split(":")[0] for fault in faults_of(load_plain(text), SCHEMA)] == [place]


def test_the_repositorys_own_file_follows_it() -> None:
    text = (REPOSITORY / "project.yml").read_text(encoding="utf-8")

    assert faults_of(load_plain(text), SCHEMA) == []
    assert text.startswith("# yaml-language-server: $schema=docs/project.schema.json\n")


def test_every_key_has_a_description() -> None:
    assert [key.name for _, key in ALL_KEYS if not key.about.endswith(".")] == []
    assert os.linesep not in "".join(key.about for _, key in ALL_KEYS)
