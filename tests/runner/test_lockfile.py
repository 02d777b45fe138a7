"""dvc.lock and its copy as JSON: what is read is what the file says, and writing touches what changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from frostline.errors import StoreError
from frostline.runner.keeping.entries import Entries, from_bytes
from frostline.runner.keeping.lockfile import LockFile
from frostline.runner.project.yaml_places import load_plain

BY_DVC = """schema: '2.0'
stages:
  one:
    cmd: python "a b"
    deps:
    - path: data.txt
      hash: md5
      md5: 00345e00345e00345e00345e00345e00
      size: 3
  '2':
    cmd:
    - 'true'
    - "two\\nlines"
    outs:
    - path: out
      hash: md5
      md5: 11111111111111111111111111111111.dir
      size: 3
      nfiles: 1
"""
BODY = {"cmd": "made anew", "outs": [{"path": "x", "hash": "md5", "md5": "1e5", "size": 0}]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dvc.lock"
    path.write_text(BY_DVC)
    os.utime(path, ns=(1, 1))  # not so new that a change could go unseen
    return path


def opened(path: Path) -> LockFile:
    return LockFile(path, path.parent / "mirror.json")


def test_the_copy_says_what_the_file_says_and_no_yaml_is_read_for_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = load_plain(BY_DVC)["stages"]
    first = opened(file)
    monkeypatch.setattr("frostline.runner.keeping.lockfile.load_draining", None)

    second = opened(file)

    for lock in (first, second):
        assert list(lock.bodies) == ["one", "2"]
        assert {name: lock.body(name) for name in lock.bodies} == stages


def test_a_file_that_changed_is_read_again_whatever_the_copy_says(file: Path) -> None:
    lock = opened(file)
    file.write_text(BY_DVC.replace("size: 3", "size: 4"))

    lock.reload()

    for seen in (lock, opened(file)):
        body = seen.body("one")
        assert body is not None and body["deps"][0]["size"] == 4


@pytest.mark.parametrize("spoil", [b"", b"{}", b"[]\nx", b'{"version": 1, "mark": null}\nno tab'])
def test_a_spoilt_copy_is_made_anew(file: Path, spoil: bytes) -> None:
    opened(file)
    (file.parent / "mirror.json").write_bytes(spoil)

    assert list(opened(file).bodies) == ["one", "2"]


def test_writing_one_stage_keeps_the_text_of_the_others(file: Path) -> None:
    lock = opened(file)

    lock.put({"new": BODY})
    lock.put({"one": BODY})

    text = file.read_text()
    assert load_plain(text)["stages"] == {**load_plain(BY_DVC)["stages"], "new": BODY, "one": BODY}
    assert BY_DVC[BY_DVC.index("  '2':") :] in text
    assert lock.mark is not None and opened(file).body("new") == BODY


def test_a_file_in_another_layout_is_written_out_whole(file: Path) -> None:
    file.write_text('{"schema": "2.0", "datasets": [{"name": "d"}], "stages": {"one": {"cmd": "x"}}}')
    lock = opened(file)

    lock.put({"new": BODY})

    assert load_plain(file.read_text()) == {
        "schema": "2.0",
        "datasets": [{"name": "d"}],
        "stages": {"one": {"cmd": "x"}, "new": BODY},
    }
    lock.drop(["one", "new"])
    assert load_plain(file.read_text())["stages"] == {}


def test_what_is_no_ledger_is_named(file: Path) -> None:
    for text in ("stages: [x]", "stages: {a: 1}", "stages: text", "[]", "<<<<<<< HEAD"):
        file.write_text(text)
        with pytest.raises(StoreError):
            opened(file)


def test_entries_keep_any_name_and_their_order() -> None:
    entries = Entries()
    for name in ("b", "a\tb\n", "ü/${x}"):
        entries.put(name, {"value": name})

    head, again = from_bytes(entries.to_bytes({"n": 1}))

    assert head == {"n": 1}
    assert [(name, again.get(name)) for name in again] == [(name, {"value": name}) for name in entries]


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ("{cmd: 3, outs: 4}", "no command under 'cmd'"),
        ("{cmd: x, outs: [3]}", "no list of paths and digests under 'outs'"),
        ("{cmd: x, deps: [{path: [1]}]}", "no list of paths and digests under 'deps'"),
        ("{cmd: x, outs: [{path: a, md5: [1]}]}", "no list of paths and digests under 'outs'"),
        ("3", "is no mapping"),
    ],
)
def test_an_entry_that_is_none_is_named_with_its_line_and_a_way_on(file: Path, entry: str, what: str) -> None:
    file.write_text(f"schema: '2.0'\nstages:\n  one: {{cmd: x}}\n  m-0: {entry}\n")

    with pytest.raises(StoreError) as caught:
        opened(file)

    assert "'m-0'" in caught.value.message and what in caught.value.message
    assert caught.value.where == f"{file}:4" and "remove it" in (caught.value.fix or "")
