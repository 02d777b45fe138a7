"""Archives are unpacked whole into their folder, or not at all, and never outside it."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frostline.digest import md5_file, sha256_file
from frostline.errors import AssetError, ChecksumError
from frostline.runner.assets import AssetState, Memory, check_assets, fetch_assets
from frostline.runner.assets import archives as archives_module
from frostline.runner.assets.archives import safe_name, unpack
from frostline.runner.project.spec import Asset

FILES = {"top/a.txt": b"alpha", "top/deep/b.bin": bytes(range(256)) * 50, "top/empty.txt": b""}
DEST = PurePosixPath("data/set")


def entry(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def make_tar(path: Path, entries: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, data in entries:
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return path


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def whole(path: Path, kind: str) -> Path:
    """An archive of FILES."""
    if kind == "zip":
        return make_zip(path, FILES)
    return make_tar(path, [(entry(name), data) for name, data in FILES.items()], f"w:{kind}" if kind else "w")


def tree_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["zip", "", "gz", "bz2", "xz"])
def test_every_kind_is_unpacked_whatever_its_name_is(tmp_path: Path, kind: str) -> None:
    unpack(whole(tmp_path / "archive", kind), tmp_path / "out")

    assert tree_of(tmp_path / "out") == FILES


@pytest.mark.parametrize("kind", ["zip", "gz"])
def test_one_folder_of_it_can_be_taken(tmp_path: Path, kind: str) -> None:
    archive = whole(tmp_path / "archive", kind)

    unpack(archive, tmp_path / "out", inner="top/deep")

    assert tree_of(tmp_path / "out") == {"b.bin": FILES["top/deep/b.bin"]}
    with pytest.raises(AssetError, match="it holds no folder 'top/dep'"):
        unpack(archive, tmp_path / "none", inner="top/dep")
    with pytest.raises(AssetError, match="is a file in it, not a folder"):
        unpack(archive, tmp_path / "file", inner="top/a.txt")


def test_modes_are_kept_where_they_matter_only(tmp_path: Path) -> None:
    make_tar(tmp_path / "a", [(entry("run", mode=0o4777), b"x"), (entry("read", mode=0o200), b"y")])

    unpack(tmp_path / "a", tmp_path / "out")

    assert stat.S_IMODE((tmp_path / "out" / "run").stat().st_mode) & 0o7100 == 0o100
    assert (tmp_path / "out" / "read").read_bytes() == b"y"


LINK, HARD = {"type": tarfile.SYMTYPE}, {"type": tarfile.LNKTYPE}
EVIL: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
    "name above": [(entry("../evil"), b"x")],
    "name above, hidden": [(entry("a/../../evil"), b"x")],
    "absolute name": [(entry("/tmp/evil-of-a-test"), b"x")],
    "link out": [(entry("out", linkname="../..", **LINK), b"")],
    "absolute link": [(entry("out", linkname="/etc/passwd", **LINK), b"")],
    "link out through a folder": [(entry("a/b/out", linkname="../../../x", **LINK), b"")],
    "file through a link": [(entry("d", linkname="..", **LINK), b""), (entry("d/evil"), b"x")],
    "link that a later link bends": [
        (entry("a", linkname="p/q/../../evil", **LINK), b""),
        (entry("x/f"), b"x"),
        (entry("p/q", linkname="../x", **LINK), b""),
    ],
    "link through a bent link": [
        (entry("x/f"), b"x"),
        (entry("a", linkname="p/q/../..", **LINK), b""),
        (entry("p/q", linkname="../x", **LINK), b""),
        (entry("a/evil", linkname="f", **LINK), b""),
    ],
    "hard link out": [(entry("out", linkname="../evil", **HARD), b"")],
    "hard link to nothing": [(entry("out", linkname="nothing", **HARD), b"")],
    "hard link to a link": [(entry("l", linkname="x", **LINK), b""), (entry("out", linkname="l", **HARD), b"")],
    "device": [(entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), b"")],
    "pipe": [(entry("pipe", type=tarfile.FIFOTYPE), b"")],
}


@pytest.mark.parametrize("name", EVIL)
def test_nothing_leads_out_of_a_tar(tmp_path: Path, name: str) -> None:
    place = tmp_path / "inside" / "project"
    place.mkdir(parents=True)
    (tmp_path / "evil").write_text("before")
    archive = make_tar(tmp_path / "archive.tar", EVIL[name])
    before = sorted(path for path in tmp_path.rglob("*"))

    with pytest.raises(AssetError):
        fetch_assets([Asset(dest=DEST, urls=(str(archive),), extract="")], place, mirror=None, say=lambda line: None)

    assert sorted(path for path in tmp_path.rglob("*") if path.name not in ("data",)) == before
    assert (tmp_path / "evil").read_text() == "before"
    assert not Path("/tmp/evil-of-a-test").exists()


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:\\evil", "C:/evil"])
def test_nothing_leads_out_of_a_zip(tmp_path: Path, name: str) -> None:
    archive = make_zip(tmp_path / "archive.zip", {})
    with zipfile.ZipFile(archive, "w") as opened:
        info = zipfile.ZipInfo("x")
        info.filename = name
        opened.writestr(info, b"x")

    with pytest.raises(AssetError, match="leads out"):
        unpack(archive, tmp_path / "in" / "out")

    assert tree_of(tmp_path) == {"archive.zip": archive.read_bytes()}


def test_links_that_stay_inside_are_made_and_those_to_nothing_left_out(tmp_path: Path) -> None:
    entries = [
        (entry("lib/x.so.1"), b"code"),
        (entry("lib/x.so", linkname="x.so.1", **LINK), b""),
        (entry("bin/x", linkname="../lib/x.so", **LINK), b""),
        (entry("copy", linkname="lib/x.so.1", **HARD), b""),
        (entry("nowhere", linkname="gone", **LINK), b""),
    ]

    left_out = unpack(make_tar(tmp_path / "a.tar", entries), tmp_path / "out")

    assert left_out == ["the link 'nowhere', as it holds no 'gone'"]
    assert (tmp_path / "out" / "bin" / "x").read_bytes() == b"code"
    assert (tmp_path / "out" / "copy").read_bytes() == b"code"
    assert not os.path.lexists(tmp_path / "out" / "nowhere")


def test_links_of_a_zip_are_judged_alike(tmp_path: Path) -> None:
    def archive_with(target: str) -> Path:
        path = make_zip(tmp_path / "a.zip", {"file": b"x"})
        with zipfile.ZipFile(path, "a") as opened:
            info = zipfile.ZipInfo("link")
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            opened.writestr(info, target)
        return path

    unpack(archive_with("file"), tmp_path / "good")

    assert (tmp_path / "good" / "link").readlink() == Path("file")
    with pytest.raises(AssetError, match="leads out"):
        unpack(archive_with("../../x"), tmp_path / "bad")


def test_a_bomb_ends_at_its_bound_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives_module, "LEAST_BOUND_MIB", 1)
    for archive in (
        make_zip(tmp_path / "b.zip", {"zeros": bytes(8 << 20)}),
        make_tar(tmp_path / "b.tgz", [(entry("zeros"), bytes(8 << 20))], "w:gz"),
    ):
        asset = Asset(dest=DEST, urls=(str(archive),), extract="")
        with pytest.raises(AssetError, match="unpacks to more than 200 times its own size") as caught:
            fetch_assets([asset], tmp_path, mirror=None, say=lambda line: None)
        assert "PROJECT_EXTRACT_MAX_MIB" in str(caught.value.fix)
        assert list((tmp_path / "data").iterdir()) == []

        fetch_assets([asset], tmp_path, mirror=None, say=lambda line: None, environ={"PROJECT_EXTRACT_MAX_MIB": "9"})
        assert (tmp_path / DEST / "zeros").stat().st_size == 8 << 20
        shutil.rmtree(tmp_path / DEST)


def test_a_tars_own_records_can_not_fill_the_memory(tmp_path: Path) -> None:
    header = entry("x" * 120, type=tarfile.GNUTYPE_LONGNAME)
    header.size = 1 << 30
    (tmp_path / "a.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096))

    with pytest.raises(AssetError):
        unpack(tmp_path / "a.tar", tmp_path / "out")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives_module.Bounds, "of", lambda archive, most: archives_module.Bounds(1 << 20, "", 2))

    with pytest.raises(AssetError, match="files"):
        unpack(whole(tmp_path / "a.zip", "zip"), tmp_path / "out")


@pytest.mark.parametrize("kind", ["zip", "", "gz", "xz"])
def test_a_torn_or_spoilt_archive_is_an_error_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    data = whole(tmp_path / "good", kind).read_bytes()
    for spoilt in (data[: len(data) // 2], b"hello", b"", data[:200] + bytes(100) + data[300:]):
        (tmp_path / "bad").write_bytes(spoilt)
        asset = Asset(dest=DEST, urls=("bad",), extract="")
        try:
            fetch_assets([asset], tmp_path, mirror=None, say=lambda line: None)
        except AssetError as error:
            assert "bad" in error.message
            assert list((tmp_path / "data").iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", "c\\..", "/"]), max_size=6))
def test_a_safe_name_stays_below(parts: list[str]) -> None:
    name = "/".join(parts)
    try:
        path = safe_name(name)
    except AssetError:
        return
    assert os.path.normpath(os.path.join("/root", path)).startswith("/root")  # noqa: PTH118


@pytest.fixture
def project(tmp_path: Path) -> Path:
    whole(tmp_path / "kept.tgz", "gz")
    return tmp_path


def asset_of(root: Path, **fields: Any) -> Asset:
    given = {"dest": DEST, "urls": ("kept.tgz",), "sha256": sha256_file(root / "kept.tgz"), "extract": "top"}
    return Asset(**{**given, **fields})


@pytest.fixture
def bring(project: Path) -> Callable[..., list[str]]:
    def bring(*assets: Asset) -> list[str]:
        lines: list[str] = []
        fetch_assets(
            assets or [asset_of(project)], project, mirror=None, say=lines.append, memory=Memory(project / "memory")
        )
        return lines

    return bring


def state(root: Path, asset: Asset) -> AssetState:
    return check_assets([asset], root, Memory(root / "memory"))[0].state


def test_what_was_unpacked_is_not_fetched_again_while_it_is_whole(
    project: Path, bring: Callable[..., list[str]]
) -> None:
    asset = asset_of(project)
    bring(asset)
    (project / "kept.tgz").unlink()

    assert bring(asset) == ["1 of 1 assets were there already"]
    assert tree_of(project / DEST) == {name.removeprefix("top/"): data for name, data in FILES.items()}


@pytest.mark.parametrize("change", ["edit", "remove"])
def test_a_file_that_was_changed_or_lost_comes_again(
    project: Path, bring: Callable[..., list[str]], change: str
) -> None:
    bring()
    file = project / DEST / "a.txt"
    file.write_text("edited") if change == "edit" else file.unlink()
    assert state(project, asset_of(project)) is AssetState.WRONG

    bring()

    assert file.read_bytes() == b"alpha"
    assert state(project, asset_of(project)) is AssetState.RIGHT


def test_what_else_lies_in_the_folder_stays(project: Path, bring: Callable[..., list[str]]) -> None:
    bring()
    (project / DEST / "mine" / "deep").mkdir(parents=True)
    (project / DEST / "mine" / "deep" / "note").write_text("mine")
    (project / DEST / "link").symlink_to("a.txt")
    (project / DEST / "a.txt").unlink()
    make_tar(project / "kept.tgz", [(entry("top/new.txt"), b"new")], "w:gz")

    bring()

    assert tree_of(project / DEST) == {"new.txt": b"new", "mine/deep/note": b"mine"}
    assert (project / DEST / "link").is_symlink()


def test_an_archive_with_another_checksum_is_refused_and_the_folder_kept(
    project: Path, bring: Callable[..., list[str]]
) -> None:
    bring()
    before = tree_of(project / DEST)
    (project / DEST / "a.txt").write_text("edited")
    wrong = asset_of(project, sha256="0" * 64, md5=md5_file(project / "kept.tgz"))

    with pytest.raises(ChecksumError) as caught:
        bring(wrong)

    assert "What was there is kept." in caught.value.message
    assert tree_of(project / DEST) == {**before, "a.txt": b"edited"}
    assert [path.name for path in (project / "data").iterdir()] == ["set"]


def test_another_source_or_folder_in_the_project_file_brings_it_anew(
    project: Path, bring: Callable[..., list[str]]
) -> None:
    bring()
    other = asset_of(project, extract="top/deep")
    assert state(project, other) is AssetState.STALE

    bring(other)

    assert tree_of(project / DEST) == {"b.bin": FILES["top/deep/b.bin"]}


def test_a_folder_is_never_seen_half_full(
    project: Path, bring: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bring()
    before = tree_of(project / DEST)
    make_tar(project / "kept.tgz", [(entry(f"top/{n}"), b"new") for n in range(3)], "w:gz")

    def fail(one: object, other: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(AssetError, match="No space left"):
        bring()
    monkeypatch.undo()

    assert tree_of(project / DEST) == before
    assert [path.name for path in (project / "data").iterdir()] == ["set"]


def test_a_kill_between_the_two_moves_is_mended(project: Path, bring: Callable[..., list[str]]) -> None:
    bring()
    before = tree_of(project / DEST)
    (project / DEST).rename(project / "data" / ".set.before-fetch")

    assert bring() == ["1 of 1 assets were there already"]
    assert tree_of(project / DEST) == before
