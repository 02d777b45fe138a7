"""Digests in DVC's form, the stat cache, and what is left out of a folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frostline.digest import md5_bytes
from frostline.errors import StepFailed, StoreError
from frostline.runner.digests import contents, hashing
from frostline.runner.digests.hashing import Hasher
from frostline.runner.digests.ignores import Ignores, compile_line

from .conftest import Playground
from .test_dvc_oracle import CLEAN, DVC, dvc


def write(path: Path, text: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def old(path: Path) -> None:
    """Let so much time go by after the last change of a file that its digest may be remembered."""
    while time.time_ns() - path.stat().st_ctime_ns <= hashing.RACY_NS:
        time.sleep(0.005)


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
    monkeypatch.setattr(contents, "_md5", lambda path, *_: pytest.fail(f"{path} was read"))

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
    monkeypatch.setattr(contents, "_md5", lambda path, *_: (read.append(Path(path).name), real(path))[1])

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


@pytest.mark.parametrize("path", ["f", "d"])
def test_a_file_written_in_place_that_got_its_old_time_again_is_read(tmp_path: Path, path: str) -> None:
    for name in ("f", "d/x"):
        write(tmp_path / name, "one")
        old(tmp_path / name)
    first = Hasher(tmp_path, tmp_path / "state")
    before = first.digest(path)
    first.save()
    for name in ("f", "d/x"):
        status = (tmp_path / name).stat()
        (tmp_path / name).write_text("two")
        os.utime(tmp_path / name, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert Hasher(tmp_path, tmp_path / "state").digest(path) != before


def test_more_links_to_what_the_store_holds_let_nothing_be_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "object")
    (tmp_path / "object").chmod(0o444)
    os.link(tmp_path / "object", tmp_path / "f")
    old(tmp_path / "f")
    first = Hasher(tmp_path, tmp_path / "state")
    known = first.digest("f")
    first.save()
    os.link(tmp_path / "object", tmp_path / "another")
    monkeypatch.setattr(contents, "_md5", lambda path, *_: pytest.fail(f"{path} was read"))

    assert Hasher(tmp_path, tmp_path / "state").digest("f") == known


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


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "loop", "nowhere"])
@pytest.mark.parametrize("place", ["x", "d/x"])
def test_no_kind_of_file_makes_us_wait(tmp_path: Path, kind: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(place)
    else:
        target = {"device": "/dev/zero", "loop": "x", "nowhere": "gone"}[kind]
        Path(place).symlink_to(target)
    said = {"pipe": "is a pipe", "socket": "is a socket", "device": "is a device", "nowhere": "leads nowhere"}
    said["loop"] = "can't be read: Too many levels"
    hasher = Hasher(tmp_path, None)
    hasher.look_ahead(["x", "d"])

    with pytest.raises(StoreError, match=said[kind]):
        hasher.digest(place.split("/")[0])


def test_a_file_that_becomes_a_pipe_before_it_is_read_does_not_make_us_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(StoreError, match="is a pipe"):
        contents.md5_of_files([(tmp_path / "pipe", 5)])


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs users")
@pytest.mark.parametrize(("name", "mode"), [("f", 0o000), ("d/f", 0o000), ("d", 0o000), ("d", 0o600)])
def test_what_may_not_be_read_is_said(name: str, mode: int) -> None:
    with tempfile.TemporaryDirectory() as folder, _as_nobody(Path(folder)) as root:
        write(root / "f")
        write(root / "d/f")
        (root / name).chmod(mode)
        try:
            with pytest.raises(StoreError, match="can't be read: Permission denied"):
                Hasher(root, None).digest(name.split("/")[0])
        finally:
            (root / name).chmod(0o700)


@contextmanager
def _as_nobody(root: Path) -> Iterator[Path]:
    """Root may read everything: for the block, be somebody who may not, and own the folder."""
    if os.geteuid() != 0:
        yield root
        return
    os.chown(root, 65534, -1)
    os.seteuid(65534)
    try:
        yield root
    finally:
        os.seteuid(0)


def test_files_are_read_side_by_side_and_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "AHEAD_BYTES", 3000)
    monkeypatch.setattr(contents, "FEW_BYTES", 2000)
    monkeypatch.setattr(contents, "BLOCK_BYTES", 1000)
    files = [tmp_path / str(number) for number in range(90)]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]) * (number * 50))

    digests = contents.md5_of_files([(file, file.stat().st_size) for file in files])

    assert digests == [md5_bytes(file.read_bytes()) for file in files]


def test_ctrl_c_does_not_wait_for_the_end_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "AHEAD_BYTES", 1)
    monkeypatch.setattr(contents, "FEW_FILES", 0)
    monkeypatch.setattr(contents, "BLOCK_BYTES", 1)
    (tmp_path / "endless").write_bytes(b"x" * 100_000_000)
    here = threading.get_ident()
    threading.Timer(0.2, signal.pthread_kill, [here, signal.SIGINT]).start()

    with pytest.raises(KeyboardInterrupt):  # byte by byte, the end is hours away
        contents.md5_of_files([(tmp_path / "endless", 100_000_000)])


def test_a_step_that_leaves_a_pipe_has_failed(playground: Playground) -> None:
    playground.write({"make.py": "import os\nos.makedirs('out', exist_ok=True)\nos.mkfifo('out/pipe')\n"})
    playground.write(
        {"project.yml": "commands: [{name: s, script: ['python make.py'], outputs: [out]}]\nprofiles: {a: {}}"}
    )

    with pytest.raises(StepFailed, match=r"What step 's' left can't be recorded: .*out/pipe' is a pipe"):
        playground.project("run", "s")

    assert playground.decisions()["s"] == ("run", ["never ran here"])


def test_an_error_in_one_of_many_files_is_told(tmp_path: Path) -> None:
    files = [(tmp_path / str(number), 1) for number in range(100)]
    for file, _ in files[1:]:
        file.write_bytes(b"x")

    with pytest.raises(StoreError, match="can't be read: No such file"):
        contents.md5_of_files(files)


def test_only_what_may_still_change_is_read_again_in_a_folder_written_just_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "d/old")
    monkeypatch.setattr(hashing, "RACY_NS", 300_000_000)
    old(tmp_path / "d/old")
    write(tmp_path / "d/new")
    first = Hasher(tmp_path, tmp_path / "state")
    first.digest("d")
    first.save()
    read: list[str] = []
    real = contents._md5
    monkeypatch.setattr(contents, "_md5", lambda path, *_: (read.append(Path(path).name), real(path))[1])

    Hasher(tmp_path, tmp_path / "state").digest("d")

    assert read == ["new"]


@pytest.mark.parametrize("cut", [3, 30, -1])
def test_a_spoilt_memory_of_a_folder_counts_as_empty(tmp_path: Path, cut: int) -> None:
    for name in ("a", "b"):
        write(tmp_path / "d" / name, name)
        old(tmp_path / "d" / name)
    known = Hasher(tmp_path, tmp_path / "state").digest("d")
    (memory,) = (tmp_path / "state/trees").iterdir()
    memory.write_bytes(memory.read_bytes()[:cut])

    assert Hasher(tmp_path, tmp_path / "state").digest("d") == known


NAMES = st.text("ab\n\"'\\\u00e9\u4e2d\udcff \x7f", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(NAMES, st.binary(max_size=3).map(md5_bytes), max_size=6))
def test_a_listing_is_dvcs_json(files: dict[str, str]) -> None:
    entries = [{"md5": files[name], "relpath": name} for name in sorted(files)]

    assert hashing.listing_bytes(files) == json.dumps(entries, sort_keys=True).encode()


@pytest.mark.skipif(not DVC.exists(), reason="dvc is not installed")
def test_dvc_finds_the_same_digest_of_a_folder_with_everything_in_it(playground: Playground) -> None:
    project = (
        "profiles: {only: {}}\ncommands: [{name: s, script: ['python copy.py out.txt'], deps: [d], outputs: [out.txt]}]"
    )
    playground.write({name: name for name in (
        "d/\u00e9 'quoted' \"x\"", "d/new\nline", "d/B", "d/a", "d/a-b", "d/a/b".replace("a/", "A/"), "d/sub/z.log",
        "d/sub/keep.log", "d/sub/cache/x", "other/x", "d/.hidden/y",
    )} | {"project.yml": project, ".dvcignore": "*.log\ncache/\n!keep.log\n"})  # fmt: skip
    (playground.root / "d/link").symlink_to("../other/x")
    (playground.root / "d/folder").symlink_to("A")
    (playground.root / "d/empty").mkdir()

    playground.project("run", "s")

    assert dvc(playground, "status") == CLEAN


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
