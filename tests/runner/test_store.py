"""The cache of contents and the run cache."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostline.errors import StoreError
from frostline.runner.digests.hashing import Hasher
from frostline.runner.keeping.store import Store, result_key
from frostline.runner.keeping.yaml_out import dump_yaml
from frostline.runner.project.yaml_places import load_plain


def keep(root: Path, path: str) -> tuple[Store, str]:
    hasher = Hasher(root, None)
    store = Store(root, hasher.files_of)
    digest = hasher.digest(path)
    assert digest is not None
    store.keep(path, digest)
    return store, digest.md5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A root with a folder `d` of two files."""
    (tmp_path / "d/sub").mkdir(parents=True)
    (tmp_path / "d/a").write_text("a")
    (tmp_path / "d/sub/b").write_text("b")
    return tmp_path


def test_a_folder_comes_back_as_it_was(folder: Path) -> None:
    store, md5 = keep(folder, "d")
    (folder / "d/a").write_text("other")
    (folder / "d/more").write_text("x")

    store.place(md5, "d")

    assert {
        path.relative_to(folder / "d").as_posix(): path.read_text()
        for path in (folder / "d").rglob("*")
        if path.is_file()
    } == {"a": "a", "sub/b": "b"}


def test_objects_are_read_only_and_leave_no_temporary_files(folder: Path) -> None:
    keep(folder, "d")

    objects = [path for path in (folder / ".dvc/cache/files").rglob("*") if path.is_file()]

    assert len(objects) == 3
    assert {path.stat().st_mode & 0o777 for path in objects} == {0o444}
    assert not any(path.name.endswith(".tmp") for path in objects)


def test_a_folder_with_a_lost_file_is_not_whole(folder: Path) -> None:
    store, md5 = keep(folder, "d")
    assert store.has(md5)

    store.object_path("0cc175b9c0f1b6a831c399e269772661").unlink()

    assert not store.has(md5)


def test_a_spoilt_object_is_noticed_removed_and_not_used(folder: Path) -> None:
    store, md5 = keep(folder, "d/a")
    store.object_path(md5).chmod(0o644)
    store.object_path(md5).write_text("spoilt")
    (folder / "d/a").unlink()

    with pytest.raises(StoreError, match="was spoilt"):
        store.place(md5, "d/a")

    assert not store.has(md5) and not (folder / "d/a").exists()


def test_a_stored_folder_whose_names_lead_out_of_it_is_refused(folder: Path) -> None:
    store, md5 = keep(folder, "d")
    store.listings[md5] = {"../evil": "0cc175b9c0f1b6a831c399e269772661"}

    with pytest.raises(StoreError, match="leads out of it"):
        store.place(md5, "d")

    assert not (folder / "evil").exists()


def test_the_key_of_a_result_knows_command_deps_and_output_names_only() -> None:
    body = {
        "cmd": "c",
        "deps": [{"path": "a", "hash": "md5", "md5": "1", "size": 3}],
        "outs": [{"path": "o", "hash": "md5", "md5": "2", "size": 4, "nfiles": 1}],
    }
    same = {**body, "deps": [{**body["deps"][0], "size": 9}], "outs": [{"path": "o", "md5": "other"}]}  # type: ignore[dict-item]

    assert result_key(body) == result_key(same)
    assert result_key(body) != result_key({**body, "cmd": "d"})


def test_results_come_back_newest_first_and_spoilt_ones_are_passed_over(tmp_path: Path) -> None:
    store = Store(tmp_path, lambda path: {})
    body = {"cmd": "c", "deps": [{"path": "a", "md5": "1"}], "outs": [{"path": "o", "md5": "2"}]}
    name = store.keep_result(body)
    key = result_key(body)
    (tmp_path / ".dvc/cache/runs" / key[:2] / key / "f00").write_text("{not: [yaml")

    assert list(store.results(key)) == [(name, body)]


NUMBERS = st.from_regex(r"[-+]?[0-9]{1,8}([eE.:_][-+]?[0-9]{1,3})?", fullmatch=True)
WORDS = st.sampled_from(
    ["yes", "no", "on", "null", "~", "true", "", "0o17", "0x1f", ".inf", "1:30", "- a", "a: b", "#"]
)


@given(st.one_of(st.text(max_size=20), NUMBERS, WORDS))
def test_what_is_written_is_read_alike_by_yaml_1_1_and_1_2(text: str) -> None:
    import yaml
    from ruamel.yaml import YAML

    if any((ord(char) < 32 and char != "\n") or char in "\x7f\x85\u2028\u2029\ufeff" for char in text):
        return
    written = dump_yaml({"key": text, "list": [text]})

    expected = {"key": text, "list": [text]}
    assert yaml.safe_load(written) == expected
    assert YAML(typ="safe", pure=True).load(written) == expected
    assert load_plain(written) == expected
