"""Digests in DVC's form, the stat cache, and what is left out of a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frostline.digest import md5_bytes
from frostline.errors import StoreError
from frostline.runner import contents, hashing
from frostline.runner.hashing import Hasher
from frostline.runner.ignores import Ignores, compile_line


def write(path: Path, text: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def old(path: Path) -> None:
    """Make a file look as if it was written a while ago, so that its digest may be remembered."""
    os.utime(path, ns=(10**18, 10**18))


def test_a_folder_is_the_md5_of_its_sorted_listing(tmp_path: Path) -> None:
    write(tmp_path / "d/sub/b.txt", "b")
    write(tmp_path / "d/sub.txt", "a")
    (tmp_path / "d/empty").mkdir()

    digest = Hasher(tmp_path, None).digest("d")

    listing = (
        '[{"md5": "0cc175b9c0f1b6a831c399e269772661", "relpath": "sub.txt"}, '
        '{"md5": "92eb5ffee6ae2fec3ad71c777531578f", "relpath": "sub/b.txt"}]'
    )
    assert digest is not None
    assert (digest.md5, digest.n_bytes, digest.n_files) == (md5_bytes(listing.encode()) + ".dir", 2, 2)


def test_an_empty_folder_and_a_missing_path_have_their_digests(tmp_path: Path) -> None:
    (tmp_path / "e").mkdir()
    hasher = Hasher(tmp_path, None)

    assert hasher.digest("nothing") is None
    assert hasher.digest("e") == hashing.Digest(md5_bytes(b"[]") + ".dir", 0, 0)


def test_a_rename_changes_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "d/a")
    before = Hasher(tmp_path, None).digest("d")
    (tmp_path / "d/a").rename(tmp_path / "d/b")

    assert Hasher(tmp_path, None).digest("d") != before


def test_an_unchanged_tree_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("f", "d/a", "d/b"):
        write(tmp_path / name)
        old(tmp_path / name)
    first = Hasher(tmp_path, tmp_path / "state")
    known = (first.digest("f"), first.digest("d"))
    first.save()
    monkeypatch.setattr(contents, "_md5", lambda path: pytest.fail(f"{path} was read"))

    again = Hasher(tmp_path, tmp_path / "state")

    assert (again.digest("f"), again.digest("d")) == known


def test_one_changed_file_of_a_folder_is_the_only_one_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / "d" / name)
        old(tmp_path / "d" / name)
    first = Hasher(tmp_path, tmp_path / "state")
    first.digest("d")
    first.save()
    write(tmp_path / "d/b", "new content")
    read: list[str] = []
    real = contents._md5
    monkeypatch.setattr(contents, "_md5", lambda path: (read.append(Path(path).name), real(path))[1])

    Hasher(tmp_path, tmp_path / "state").digest("d")

    assert read == ["b"]


def test_a_file_written_just_now_is_not_trusted_to_its_clock(tmp_path: Path) -> None:
    write(tmp_path / "f", "one")
    first = Hasher(tmp_path, tmp_path / "state")
    before, status = first.digest("f"), (tmp_path / "f").stat()
    first.save()
    (tmp_path / "f").write_text("two")
    os.utime(tmp_path / "f", ns=(status.st_atime_ns, status.st_mtime_ns))

    assert Hasher(tmp_path, tmp_path / "state").digest("f") != before


def test_a_spoilt_stat_cache_counts_as_empty(tmp_path: Path) -> None:
    write(tmp_path / "f")
    write(tmp_path / "state/stat.json", "{not json")

    assert Hasher(tmp_path, tmp_path / "state").digest("f") is not None


def test_what_can_not_be_hashed_is_said_and_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d/pipe")
    with pytest.raises(StoreError, match="no regular file"):
        Hasher(tmp_path, None).digest("d")
    (tmp_path / "d/pipe").unlink()
    (tmp_path / "d/link").symlink_to("nowhere")

    with pytest.raises(StoreError, match="leads nowhere"):
        Hasher(tmp_path, None).digest("d")


def test_linked_files_are_followed_and_linked_folders_left_out(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere/x")
    write(tmp_path / "d/own")
    (tmp_path / "d/file").symlink_to(tmp_path / "elsewhere/x")
    (tmp_path / "d/folder").symlink_to(tmp_path / "elsewhere")

    hasher = Hasher(tmp_path, None)

    assert sorted(hasher.files_of("d")) == ["file", "own"]


def test_dvcignore_hides_files_from_its_folder_down(tmp_path: Path) -> None:
    for name in ("d/a.py", "d/__pycache__/a.pyc", "d/.git/x", "d/deep/keep.log", "d/deep/x.log", "d/x.log"):
        write(tmp_path / name)
    write(tmp_path / ".dvcignore", "__pycache__/\n*.log\n")
    write(tmp_path / "d/deep/.dvcignore", "!keep.log\n")

    found = sorted(Hasher(tmp_path, None).files_of("d"))

    assert found == ["a.py", "deep/.dvcignore", "deep/keep.log"]


PARTS = st.sampled_from(["a", "b", "ab", "*", "?", "**", "a*", "[ab]", "[!a]", "*.b"])
PATTERNS = st.builds(
    lambda bang, start, parts, end: bang + start + "/".join(parts) + end,
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(PARTS, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "a.b", "c"]), min_size=1, max_size=4).map("/".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(PATTERNS, min_size=1, max_size=3), PATHS)
@example(["a/**/b"], "a/b")
@example(["**/b", "!a/b"], "a/b")
def test_patterns_match_as_pathspec_has_it(lines: list[str], path: str) -> None:
    pathspec = pytest.importorskip("pathspec")
    spec = pathspec.PathSpec.from_lines("gitwildmatch", lines)
    ignores = Ignores((("", tuple(pattern for line in lines if (pattern := compile_line(line)) is not None)),))

    # pathspec gives no verdict on folders apart from their files: a path below is hidden with its folder.
    parts = path.split("/")
    ours = _hidden(ignores, parts)

    hidden_folder = any(spec.match_file("/".join(parts[:index]) + "/") for index in range(1, len(parts)))
    assert ours == (hidden_folder or spec.match_file(path))


def _hidden(ignores: Ignores, parts: list[str]) -> bool:
    """As a walk from the top finds it: what lies in a hidden folder is never looked at."""
    for index in range(1, len(parts)):
        if ignores.hides("/".join(parts[:index]), is_directory=True):
            return True
    return ignores.hides("/".join(parts), is_directory=False)
