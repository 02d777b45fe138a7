"""Reading project.yml: what is taken, and how faults are told."""

from __future__ import annotations

import pytest

from frostline.errors import ProjectFileError
from frostline.runner.project.parse import parse_spec
from frostline.runner.project.yaml_places import load_plain, load_with_places

FAULTY = """
vars: {n: 1}
commands:
  - name: train
    scrpt: [python train.py]
    outputs: {a: b}
  - name: train
    script: [echo hi]
    no_skip: maybe
    resources: {cpu: 2}
assets:
  - url: http://x.org/a
    dest: a
    sha256: 12
  - url: http://x.org/b
profils: {}
"""


def faults(text: str) -> ProjectFileError:
    with pytest.raises(ProjectFileError) as caught:
        parse_spec(text)
    return caught.value


def test_all_faults_are_told_at_once_with_line_column_and_the_nearest_word() -> None:
    error = faults(FAULTY)

    assert error.exit_code == 2
    assert error.message.splitlines() == [
        "project.yml has 8 faults:",
        "  project.yml:5:5: Unknown key 'scrpt' in command 'train'. Did you mean 'script'?",
        "  project.yml:6:14: 'outputs' must be a list of texts, not a mapping.",
        "  project.yml:7:11: There are two commands named 'train'.",
        "  project.yml:9:14: 'no_skip' must be true or false, not text.",
        "  project.yml:10:17: Unknown key 'cpu' in resources. Did you mean 'cpus'?",
        "  project.yml:14:13: 'sha256' must be 64 hexadecimal digits, not '12'.",
        "  project.yml:15:5: An asset has no 'dest'. Say which path it takes in the project.",
        "  project.yml:16:1: Unknown key 'profils'. Did you mean 'profiles'?",
    ]


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("commands: [", "project.yml:2:1", "not YAML"),
        ("a: 1\na: 2", "project.yml:2:1", "stands twice"),
        ("- x", "project.yml:1:1", "must hold a mapping"),
        ("", "project.yml:1:1", "must hold a mapping"),
        ("commands:\n\t- name: x", "project.yml:2:1", "not YAML"),
        ("a: &x [*x]", "project.yml:1:4", "refers to itself"),
        ("commands: hello", "project.yml:1:11", "'commands' must be a list of mappings, not text"),
        ("commands: [{name: a}]\nworkflows: {a: [a]}", "project.yml:2:13", "both a workflow and a command"),
        ("commands: [{script: [a]}]", "project.yml:1:12", "no 'name'"),
        ("vars: [a]", "project.yml:1:7", "'vars' must be a mapping, not a list"),
        ("commands: [{name: a, script: [b: c]}]", "project.yml:1:31", "must be a list of texts, but holds a mapping"),
        ("commands: [{name: a, matrix: {x: 1}}]", "project.yml:1:34", "a list of values"),
        ("report: {titel: x}", "project.yml:1:10", "Unknown key 'titel' in the report"),
        ("profiles: {'a b': {}}", "project.yml:1:12", "may hold letters"),
    ],
)
def test_a_fault_has_its_place(text: str, where: str, message: str) -> None:
    error = faults(text)

    assert error.where == where
    assert message in error.message


@pytest.mark.parametrize(
    ("value", "where", "word"),
    [
        ("[${vars.x}]", "project.yml:2:11", "${vars.x}"),
        ("{a: ${vars.x}}", "project.yml:2:14", "${vars.x}"),
        (
            '["${profile}", z,\n    out/${vars.x}-${ matrix.y }.txt]',
            "project.yml:3:5",
            "out/${vars.x}-${ matrix.y }.txt",
        ),
        ("[é, $${x}", "project.yml:2:14", "$${x}"),
    ],
)
def test_a_reference_in_a_list_in_one_line_must_be_quoted(value: str, where: str, word: str) -> None:
    error = faults(f"vars:\n  files: {value}\nx-later: 1\n")

    assert error.where == where
    assert (
        error.message == f"Between [ ] and {{ }}, '{word}' must stand in quotes: YAML takes its '{{' for a mapping's."
    )
    assert error.fix == f'Write "{word}".'


def test_other_faults_between_brackets_are_told_as_they_are() -> None:
    error = faults("vars: {a: '${vars.x}', b: [{c: 1}{d: 2}]}")

    assert error.message.startswith("This is not YAML")
    assert error.fix is None


def test_a_weasel_file_is_read_with_all_its_keys() -> None:
    spec = parse_spec(
        """
title: "T"
description: D
spacy_version: ">=3"
vars: {config: a.cfg, gpu: -1}
env: {key: MY_KEY}
directories: [assets, corpus]
remotes: {default: s3://bucket}
assets:
  - dest: assets/x
    url: https://example.org/x
    checksum: d41d8cd98f00b204e9800998ecf8427e
  - dest: assets/g
    git: {repo: https://example.org/r, branch: main, path: g}
    extra: true
  - dest: assets/private.bin
    checksum: d41d8cd98f00b204e9800998ecf8427e
workflows:
  all: [pre, train]
commands:
  - {name: pre, help: H, script: [python a.py], deps: [assets/x], outputs: [corpus/x], no_skip: true}
  - {name: train, script: ["python t.py ${vars.config}"], outputs_no_cache: [training]}
"""
    )

    assert spec.weasel_only
    assert [command.name for command in spec.commands] == ["pre", "train"]
    assert spec.assets[0].md5 == "d41d8cd98f00b204e9800998ecf8427e"
    assert spec.assets[1].git == {"repo": "https://example.org/r", "branch": "main", "path": "g"}
    assert spec.assets[2].urls == ()
    assert spec.warnings == ("project.yml:4:1: 'spacy_version' is of spaCy's projects and has no meaning here",)


def test_a_key_of_ours_ends_weasels_meaning() -> None:
    assert not parse_spec("commands: [{name: a, resources: {cpus: 1}}]").weasel_only
    assert not parse_spec("profiles: {a: {}}").weasel_only


def test_words_mean_what_yaml_1_2_says() -> None:
    text = "[yes, on, 012, 0o17, 0x1f, 1:30, 1e3, .5, ~, null, true, 1_000, 2024-01-01, '1']"

    assert load_plain(text) == ["yes", "on", 12, 15, 31, "1:30", 1000.0, 0.5, None, None, True, 1000, "2024-01-01", "1"]


def test_merged_keys_keep_their_own_places() -> None:
    tree = load_with_places("a: &a {x: 1}\nb:\n  <<: *a\n  y: 2\n")

    assert tree["b"] == {"x": 1, "y": 2}
    assert (tree["b"].values_at["x"].line, tree["b"].values_at["y"].line) == (1, 4)
