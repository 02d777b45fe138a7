"""Durable writes: a reader sees the old content or the new one, whatever fails in between."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from frostline import files
from frostline.errors import TrainingError


def content(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    files.write_text_atomic(tmp_path / "a" / "x", "old")

    files.write_text_atomic(tmp_path / "a" / "x", "new")

    assert content(tmp_path) == {"a/x": "new"}


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_file_keeps_its_old_content_when_the_system_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "x").write_text("old")

    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(OSError, match="No space left"):
        files.write_text_atomic(tmp_path / "x", "new")

    assert content(tmp_path) == {"x": "old"}


def test_json_is_written_the_same_whatever_the_order_of_its_keys(tmp_path: Path) -> None:
    files.write_json_atomic(tmp_path / "a", {"b": 1, "a": "ü"})
    files.write_json_atomic(tmp_path / "b", {"a": "ü", "b": 1})

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert "ü" in (tmp_path / "a").read_text(encoding="utf8")


def test_a_directory_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "d" / "old").mkdir(parents=True)

    with files.new_directory(tmp_path / "d") as folder:
        (folder / "x").write_text("new")

    assert content(tmp_path) == {"d/x": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_directory_keeps_its_old_content_when_the_block_fails(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_text("old")

    with pytest.raises(RuntimeError, match="half way"), files.new_directory(tmp_path / "d") as folder:
        (folder / "x").write_text("new")
        raise RuntimeError("half way")

    assert content(tmp_path) == {"d/x": "old"}


def test_a_directory_keeps_its_old_content_when_the_last_rename_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_text("old")
    rename = os.replace

    def refuse_the_new_one(source: Path, destination: Path) -> None:
        if Path(destination) == tmp_path / "d" and (Path(source) / "x").read_text() == "new":
            raise OSError(5, "Input/output error")
        rename(source, destination)

    monkeypatch.setattr(os, "replace", refuse_the_new_one)
    with pytest.raises(OSError, match="Input/output"), files.new_directory(tmp_path / "d") as folder:
        (folder / "x").write_text("new")

    assert content(tmp_path) == {"d/x": "old"}


TOO_LONG = "x" * 250  # a file may have this name, but nothing longer beside it


@pytest.mark.parametrize("write", [files.new_file, files.new_directory])
def test_a_target_that_can_not_be_written_is_named_and_not_its_temporary_name(tmp_path: Path, write: Any) -> None:
    with pytest.raises(OSError, match="too long") as caught, write(tmp_path / TOO_LONG) as temporary:
        temporary.write_text("new")

    assert caught.value.filename == str(tmp_path / TOO_LONG)
    assert ".tmp" not in str(caught.value)


def test_a_full_disk_names_the_target(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, files.new_file(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")  # as write() does, which knows no path

    assert caught.value.filename == str(tmp_path / "x")


def test_a_source_that_can_not_be_read_is_not_taken_for_the_target(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output") as caught, files.new_file(tmp_path / "x"):
        raise OSError(errno.EIO, "Input/output error")

    assert caught.value.filename is None


def test_what_fails_inside_a_new_directory_is_named_as_it_would_have_been(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, files.new_directory(tmp_path / "model") as folder:
        files.write_text_atomic(folder / "tagger" / "state.json", "{}")
        (folder / "parser" / "state.json").write_text("{}")

    assert caught.value.filename == str(tmp_path / "model" / "parser" / "state.json")


@pytest.mark.parametrize("error", [
    OSError(errno.EACCES, "Failed to open local file '{}/shard-00000.arrow'"),  # pyarrow has the path in its message
    TrainingError("The weights can't be written: {}", where="{}/weights.safetensors"),
])  # fmt: skip
def test_messages_of_libraries_and_of_ours_name_the_target_too(tmp_path: Path, error: Any) -> None:
    with pytest.raises(type(error)) as caught, files.new_directory(tmp_path / "corpus") as folder:
        if isinstance(error, OSError):
            raise OSError(error.errno, str(error.strerror).format(folder))
        raise TrainingError(error.message.format(folder), where=error.where.format(folder))

    assert str(tmp_path / "corpus") in str(caught.value)
    assert ".tmp" not in str(caught.value)


def test_removing_a_link_leaves_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "x").write_text("here")
    (tmp_path / "link").symlink_to(tmp_path / "kept")

    files.remove_tree(tmp_path / "link")

    assert content(tmp_path) == {"kept/x": "here"}


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    files.remove_tree(tmp_path / "nothing")

    assert list(tmp_path.iterdir()) == []


def test_the_names_a_library_uses_on_its_way_never_stand_beside_its_file(tmp_path: Path) -> None:
    with files.set_apart(tmp_path / "x.bin") as file:
        (file.parent / ".tmp7XOVQl").write_bytes(b"whole")
        beside = {entry.name for entry in tmp_path.iterdir()}
        (file.parent / ".tmp7XOVQl").replace(file)

    assert all(name.startswith(".x.bin.") and name.endswith(".tmp") for name in beside)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("x.bin", b"whole")]


def test_what_a_library_could_not_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"old")

    with pytest.raises(RuntimeError), files.set_apart(tmp_path / "x.bin") as file:
        file.write_bytes(b"half")
        raise RuntimeError

    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("x.bin", b"old")]
