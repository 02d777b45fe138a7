"""Assets come from the first source that has them, whole and right, or not at all."""

from __future__ import annotations

import hashlib
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from tests.runner.assets.server import Site, serve

from frostline.digest import sha256_bytes, sha256_file
from frostline.errors import AssetError, ChecksumError
from frostline.runner.assets import AssetState, Memory, check_assets, fetch_assets
from frostline.runner.assets import http as http_module
from frostline.runner.project.spec import Asset

DATA = bytes(range(256)) * 400
DEST = PurePosixPath("assets/data.bin")


def asset_of(*urls: str, data: bytes | None = DATA, line: int = 7) -> Asset:
    return Asset(dest=DEST, urls=urls, sha256=None if data is None else sha256_bytes(data), line=line)


def fetch(root: Path, *assets: Asset, mirror: str | None = None) -> list[str]:
    lines: list[str] = []
    fetch_assets(assets, root, mirror=mirror, say=lines.append)
    return lines


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(http_module, "WAITS_S", (0.0, 0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(Site(files={"/data.bin": DATA})) as running:
        yield running


def hidden_files(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "assets").glob(".*")) if (root / "assets").exists() else []


def test_a_download_takes_its_name_when_it_is_whole(site: Site, tmp_path: Path) -> None:
    fetch(tmp_path, asset_of(f"{site.url}/data.bin"))

    assert (tmp_path / DEST).read_bytes() == DATA
    assert hidden_files(tmp_path) == []


def test_what_is_there_with_the_right_checksum_is_not_asked_for(site: Site, tmp_path: Path) -> None:
    asset = asset_of(f"{site.url}/data.bin")
    fetch(tmp_path, asset)
    site.seen.clear()

    lines = fetch(tmp_path, asset)

    assert site.seen == []
    assert lines == ["1 of 1 assets were there already"]


def test_a_broken_connection_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    site.breaks_after["/data.bin"] = 60_000

    fetch(tmp_path, asset_of(f"{site.url}/data.bin"))

    (first, second) = site.seen
    assert first == ("/data.bin", None)
    assert second[1] is not None
    assert 0 < int(second[1].removeprefix("bytes=").rstrip("-")) <= 60_000
    assert (tmp_path / DEST).read_bytes() == DATA


def test_a_later_call_goes_on_with_the_part_that_an_earlier_one_left(site: Site, tmp_path: Path) -> None:
    url = f"{site.url}/data.bin"
    part = tmp_path / "assets" / f".data.bin.{hashlib.md5(url.encode()).hexdigest()[:8]}.part"
    part.parent.mkdir()
    part.write_bytes(DATA[:50_000])

    fetch(tmp_path, asset_of(url))

    assert site.seen == [("/data.bin", "bytes=50000-")]
    assert (tmp_path / DEST).read_bytes() == DATA


def test_a_part_of_another_file_is_thrown_away_and_the_file_had_afresh(site: Site, tmp_path: Path) -> None:
    url = f"{site.url}/data.bin"
    part = tmp_path / "assets" / f".data.bin.{hashlib.md5(url.encode()).hexdigest()[:8]}.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * 50_000)

    fetch(tmp_path, asset_of(url))

    assert [wanted for _, wanted in site.seen] == ["bytes=50000-", None]
    assert (tmp_path / DEST).read_bytes() == DATA


def test_a_server_without_ranges_is_asked_for_the_whole_file(site: Site, tmp_path: Path) -> None:
    site.has_ranges = False
    site.breaks_after["/data.bin"] = 60_000

    fetch(tmp_path, asset_of(f"{site.url}/data.bin"))

    assert (tmp_path / DEST).read_bytes() == DATA


def test_a_server_out_of_order_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.statuses["/data.bin"] = [503, 429]

    fetch(tmp_path, asset_of(f"{site.url}/data.bin"))

    assert len(site.seen) == 3
    assert (tmp_path / DEST).read_bytes() == DATA


def test_the_second_source_is_taken_where_the_first_has_nothing(site: Site, tmp_path: Path) -> None:
    fetch(tmp_path, asset_of(f"{site.url}/absent.bin", f"{site.url}/data.bin"))

    assert [path for path, _ in site.seen] == ["/absent.bin", "/data.bin"]
    assert (tmp_path / DEST).read_bytes() == DATA


def test_the_second_source_is_taken_where_the_first_has_wrong_bytes(site: Site, tmp_path: Path) -> None:
    site.files["/wrong.bin"] = b"something else"

    fetch(tmp_path, asset_of(f"{site.url}/wrong.bin", f"{site.url}/data.bin"))

    assert (tmp_path / DEST).read_bytes() == DATA


def test_wrong_bytes_are_refused_with_both_digests_and_the_place_and_the_old_file_is_kept(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / DEST).write_bytes(b"old")

    with pytest.raises(ChecksumError) as caught:
        fetch(tmp_path, asset_of(f"{site.url}/data.bin", data=b"declared"))

    assert sha256_bytes(DATA) in caught.value.message
    assert sha256_bytes(b"declared") in caught.value.message
    assert caught.value.where == "project.yml:7"
    assert (tmp_path / DEST).read_bytes() == b"old"
    assert hidden_files(tmp_path) == []


def test_a_file_with_another_checksum_is_replaced_by_the_right_one(site: Site, tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / DEST).write_bytes(b"old")

    fetch(tmp_path, asset_of(f"{site.url}/data.bin"))

    assert (tmp_path / DEST).read_bytes() == DATA


def test_the_error_names_every_source_that_failed_and_the_mirror_variable(site: Site, tmp_path: Path) -> None:
    with pytest.raises(AssetError) as caught:
        fetch(tmp_path, asset_of(f"{site.url}/one", f"{site.url}/two"))

    assert not isinstance(caught.value, ChecksumError)
    assert f"{site.url}/one: the server answered 404" in caught.value.message
    assert f"{site.url}/two: the server answered 404" in caught.value.message
    assert "PROJECT_ASSET_MIRROR" in str(caught.value.fix)


def test_a_host_that_can_not_be_reached_is_tried_once_for_all_assets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    one = asset_of("http://127.0.0.1:9/one")
    two = Asset(dest=PurePosixPath("assets/two"), urls=("http://127.0.0.1:9/two",), line=9)

    with pytest.raises(AssetError, match="could not be reached") as caught:
        fetch(tmp_path, one, two)

    assert caught.value.message.count("could not be reached") == 2
    assert "project.yml:9" in caught.value.message


def test_other_assets_are_brought_although_one_fails(site: Site, tmp_path: Path) -> None:
    bad = Asset(dest=PurePosixPath("assets/bad"), urls=(f"{site.url}/absent",), line=3)

    with pytest.raises(AssetError):
        fetch(tmp_path, bad, asset_of(f"{site.url}/data.bin"))

    assert (tmp_path / DEST).read_bytes() == DATA


def test_a_mirror_folder_is_asked_before_the_network(site: Site, tmp_path: Path) -> None:
    kept = tmp_path / "mirror" / "example.org" / "v1" / "data.bin"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(DATA)

    fetch(tmp_path, asset_of("https://example.org/v1/data.bin"), mirror=str(tmp_path / "mirror"))

    assert (tmp_path / DEST).read_bytes() == DATA


def test_a_mirror_may_be_a_url_and_what_it_lacks_comes_from_the_source(site: Site, tmp_path: Path) -> None:
    site.files["/mirror/example.org/v1/data.bin"] = DATA

    fetch(tmp_path, asset_of("https://example.org/v1/data.bin"), mirror=f"{site.url}/mirror/")
    (tmp_path / DEST).unlink()
    fetch(tmp_path, asset_of(f"{site.url}/data.bin"), mirror=f"{site.url}/empty")

    assert site.seen[0][0] == "/mirror/example.org/v1/data.bin"
    assert site.seen[-1][0] == "/data.bin"


@pytest.mark.parametrize("as_url", [True, False])
def test_a_file_on_this_machine_is_copied(tmp_path: Path, as_url: bool) -> None:
    (tmp_path / "kept.bin").write_bytes(DATA)

    fetch(tmp_path, asset_of((tmp_path / "kept.bin").as_uri() if as_url else "kept.bin"))

    assert (tmp_path / DEST).read_bytes() == DATA
    assert (tmp_path / "kept.bin").exists()


@pytest.mark.parametrize("url", ["hf://owner", "s3://bucket/file", "xy://a/b", "pypi:name/file", "http:///nowhere"])
def test_a_source_of_a_kind_that_is_not_known_is_an_error_that_says_what_is(tmp_path: Path, url: str) -> None:
    with pytest.raises(AssetError) as caught:
        fetch(tmp_path, asset_of(url))

    assert url in caught.value.message
    assert caught.value.fix


def test_a_private_asset_is_asked_for_but_is_no_fault_until_its_bytes_are_wrong(tmp_path: Path) -> None:
    private = asset_of()

    assert fetch(tmp_path, private) == [f"{DEST} is not there. It has no url: bring it by hand."]
    (tmp_path / "assets").mkdir()
    (tmp_path / DEST).write_bytes(b"another")
    with pytest.raises(ChecksumError):
        fetch(tmp_path, private)


def test_the_state_of_every_asset_can_be_told_without_fetching(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / DEST).write_bytes(DATA)
    absent = Asset(dest=PurePosixPath("assets/none"), urls=("https://example.org/x",))

    states = [
        check.state for check in check_assets([asset_of(), asset_of(data=b"x"), asset_of(data=None), absent], tmp_path)
    ]

    assert states == [AssetState.RIGHT, AssetState.WRONG, AssetState.UNCHECKED, AssetState.ABSENT]


def test_md5_is_checked_too(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ChecksumError, match="md5"):
        fetch(tmp_path, Asset(dest=DEST, urls=(f"{site.url}/data.bin",), md5="0" * 32))


def test_a_full_disk_leaves_nothing_behind(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: object, target: object) -> None:
        Path(str(target)).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "kept.bin").write_bytes(DATA)
    monkeypatch.setattr("shutil.copyfile", fail)

    with pytest.raises(AssetError, match="No space left"):
        fetch(tmp_path, asset_of("kept.bin"))

    assert hidden_files(tmp_path) == []


def test_a_member_of_a_wheel_is_taken_out_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pip(tmp_path, monkeypatch, {"pack/data.bin": DATA})

    fetch(tmp_path, asset_of("pypi:pack==1.0/pack/data.bin"))

    assert (tmp_path / DEST).read_bytes() == DATA


def test_a_wheel_is_downloaded_once_and_a_wrong_member_named_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_pip(tmp_path, monkeypatch, {"pack/data.bin": DATA})
    wrong = Asset(dest=PurePosixPath("assets/other"), urls=("pypi:pack==1.0/pack/date.bin",))

    with pytest.raises(AssetError) as caught:
        fetch(tmp_path, asset_of("pypi:pack==1.0/pack/data.bin"), wrong)

    assert len(calls) == 1
    assert caught.value.fix == "Did you mean 'pack/data.bin'?"


def fake_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes]) -> list[list[str]]:
    """Let `python -m pip download` write a wheel with the given members; returns the calls."""
    import zipfile

    calls: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        folder = Path(command[command.index("--dest") + 1])
        folder.mkdir(parents=True)
        with zipfile.ZipFile(folder / "pack-1.0-py3-none-any.whl", "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_the_flagship_assets_come_from_the_real_mirror(mirror: Path, tmp_path: Path) -> None:
    from frostline.runner.project.expand import expand
    from frostline.runner.project.parse import read_spec

    repository = Path(__file__).resolve().parents[3]
    assets = expand(read_spec(repository / "project.yml"), profile="ewt").assets

    fetch(tmp_path, *assets, mirror=str(mirror))

    assert all(check.state is AssetState.RIGHT for check in check_assets(assets, tmp_path))
    weights = tmp_path / "assets" / "ewt" / "all-MiniLM-L6-v2" / "model.safetensors"
    assert sha256_file(weights) == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def test_a_part_without_a_checksum_is_gone_on_with_only_while_the_file_is_the_same(site: Site, tmp_path: Path) -> None:
    site.etags["/data.bin"] = '"one"'
    site.breaks_after["/data.bin"] = 60_000
    asset = asset_of(f"{site.url}/data.bin", data=None)

    def end(line: str) -> None:
        if "going on" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_assets([asset], tmp_path, mirror=None, say=end)
    assert [name.rpartition(".")[2] for name in hidden_files(tmp_path)] == ["part", "mark"]

    fetch(tmp_path, asset)
    assert site.seen[-1][1] is not None
    assert (tmp_path / DEST).read_bytes() == DATA
    assert hidden_files(tmp_path) == []


def test_a_file_that_changed_between_two_tries_comes_whole(site: Site, tmp_path: Path) -> None:
    url = f"{site.url}/data.bin"
    site.etags["/data.bin"] = '"two"'
    part = tmp_path / "assets" / f".data.bin.{hashlib.md5(url.encode()).hexdigest()[:8]}.part"
    part.parent.mkdir()
    part.write_bytes(b"old" * 1000)
    part.with_name(part.name + ".mark").write_text('"one"')

    fetch(tmp_path, asset_of(url, data=None))

    assert site.seen == [("/data.bin", "bytes=3000-")]
    assert (tmp_path / DEST).read_bytes() == DATA


def test_a_download_that_goes_on_each_time_may_break_more_often_than_tries_are_counted(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks = iter(range(12))

    class Breaking(dict[str, int]):
        def pop(self, path: str, default: int) -> int:  # type: ignore[override]
            return 8_000 if next(breaks, None) is not None else default

    site.breaks_after = Breaking()

    fetch(tmp_path, asset_of(f"{site.url}/data.bin"))

    assert len(site.seen) == 13
    assert (tmp_path / DEST).read_bytes() == DATA


def test_a_proxy_of_the_environment_is_used(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", site.url)
    monkeypatch.setenv("http_proxy", site.url)
    site.files["far.example/data.bin"] = DATA

    fetch(tmp_path, asset_of("http://far.example/data.bin"))

    assert site.seen == [("far.example/data.bin", None)]
    assert (tmp_path / DEST).read_bytes() == DATA


@pytest.mark.parametrize("proxy", ["nonsense://x", "socks5://127.0.0.1:9"])
def test_a_proxy_that_can_not_be_used_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("all_proxy", proxy)

    with pytest.raises(AssetError) as caught:
        fetch(tmp_path, asset_of("http://far.example/data.bin"))

    assert "proxy" in caught.value.message or "could not be reached" in caught.value.message


def test_a_page_of_github_that_shows_a_file_stands_for_the_file(tmp_path: Path) -> None:
    from frostline.runner.assets.sources import raw_github

    raw = "https://raw.githubusercontent.com/o/n/main/a/b.txt"
    assert raw_github("https://github.com/o/n/blob/main/a/b.txt") == raw
    assert raw_github("http://github.com/o/n/tree/main/a/b.txt") == raw
    for url in ("https://github.com/o/n/releases/download/v1/a.zip", "https://github.com/o/n/raw/main/a", raw):
        assert raw_github(url) == url


def test_a_file_of_the_cloud_comes_through_the_plug_in_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec
    from fsspec.implementations.memory import MemoryFileSystem

    class Cloud(MemoryFileSystem):  # type: ignore[misc]
        protocol = "s3"
        store: dict[str, object] = {}  # noqa: RUF012
        pseudo_dirs = [""]  # noqa: RUF012

    registry = importlib.import_module("fsspec.registry")  # its name in the package is that of a mapping
    monkeypatch.setitem(registry._registry, "s3", Cloud)
    with fsspec.open("s3://bucket/data.bin", "wb") as stream:
        stream.write(DATA)

    fetch(tmp_path, asset_of("s3://bucket/data.bin"))
    assert (tmp_path / DEST).read_bytes() == DATA

    with pytest.raises(AssetError, match="s3://bucket/none: it is not there"):
        fetch(tmp_path / "x", asset_of("s3://bucket/none"))


def test_without_the_plug_in_the_error_names_it(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="s3fs") as caught:
        fetch(tmp_path, asset_of("s3://bucket/data.bin"))

    assert "pip install" in str(caught.value.fix)


def test_what_stands_for_a_secret_reaches_the_server_but_no_message(site: Site, tmp_path: Path) -> None:
    url = f"{site.url}/${{env.TOKEN}}/data.bin"
    site.files["/s3cret/data.bin"] = DATA
    lines: list[str] = []

    fetch_assets([asset_of(url)], tmp_path, mirror=None, say=lines.append, environ={"TOKEN": "s3cret"})
    (tmp_path / DEST).unlink()
    with pytest.raises(AssetError) as caught:
        fetch_assets([asset_of(url)], tmp_path, mirror=None, say=lines.append, environ={"TOKEN": "wr0ng"})

    assert (site.seen[0][0], site.seen[1][0]) == ("/s3cret/data.bin", "/wr0ng/data.bin")
    said = " ".join([*lines, str(caught.value)])
    assert "${env.TOKEN}" in said
    assert "s3cret" not in said and "wr0ng" not in said


def test_a_source_that_was_changed_in_the_project_file_is_asked(site: Site, tmp_path: Path) -> None:
    site.files["/other.bin"] = b"other"
    memory = Memory(tmp_path / "memory")
    for name in ("data.bin", "other.bin", "other.bin"):
        fetch_assets(
            [asset_of(f"{site.url}/{name}", data=None)], tmp_path, mirror=None, say=lambda line: None, memory=memory
        )

    assert [path for path, _ in site.seen] == ["/data.bin", "/other.bin"]
    assert (tmp_path / DEST).read_bytes() == b"other"


def test_an_empty_file_of_no_checksum_is_a_broken_download(site: Site, tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / DEST).touch()

    fetch(tmp_path, asset_of(f"{site.url}/data.bin", data=None))

    assert (tmp_path / DEST).read_bytes() == DATA


def test_two_processes_do_not_write_one_part(site: Site, tmp_path: Path) -> None:
    import threading

    lines: list[str] = []
    asset = asset_of(f"{site.url}/data.bin")

    def bring() -> None:
        fetch_assets([asset], tmp_path, mirror=None, say=lines.append)

    from frostline.files import held

    with held(tmp_path / "assets") as is_ours:
        assert is_ours
        thread = threading.Thread(target=bring)
        thread.start()
        while not lines:
            pass
        assert "waiting for another process" in lines[0]
        assert site.seen == []
    thread.join()

    assert (tmp_path / DEST).read_bytes() == DATA
