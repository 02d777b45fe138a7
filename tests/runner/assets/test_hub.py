"""`hf://` addresses: files by their plain address, folders by the hub's own list, at one commit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from tests.runner.assets.server import Site, serve

from frostline.digest import sha256_bytes
from frostline.errors import AssetError, ChecksumError
from frostline.runner.assets import AssetState, Memory, check_assets, fetch_assets
from frostline.runner.assets import http as http_module
from frostline.runner.assets.sources import HttpSource, HubSource, parse_source
from frostline.runner.project.spec import Asset

COMMIT = "c" * 40
OTHER = "d" * 40
SMALL, LARGE = b'{"hidden": 8}', bytes(range(256)) * 300
DEST = PurePosixPath("assets/model")


def blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def listing(*files: tuple[str, bytes, bool]) -> bytes:
    rows: list[dict[str, Any]] = [{"type": "directory", "path": "sub", "oid": "e" * 40, "size": 0}]
    for path, data, is_large in files:
        row: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": blob(data)}
        if is_large:
            row |= {"oid": "f" * 40, "lfs": {"oid": sha256_bytes(data), "size": len(data), "pointerSize": 130}}
        rows.append(row)
    return json.dumps(rows).encode()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A hub with one model repository of three files, listed on two pages."""
    monkeypatch.setattr(http_module, "WAITS_S", (0.0, 0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    repo, tree = "/o/n/resolve", f"/api/models/o/n/tree/{COMMIT}"
    site = Site(
        files={
            f"{repo}/main/config.json": SMALL,
            "/datasets/o/n/resolve/v1/train.txt": b"data",
            "/api/models/o/n/revision/main": json.dumps({"sha": COMMIT}).encode(),
            f"{tree}?recursive=true": listing(("config.json", SMALL, False), ("sub/model.bin", LARGE, True)),
            f"{tree}?recursive=true&cursor=x": listing(("sub/deep/more.txt", b"more", False)),
            f"{tree}/sub?recursive=true": listing(
                ("sub/model.bin", LARGE, True), ("sub/deep/more.txt", b"more", False)
            ),
            f"{repo}/{COMMIT}/config.json": SMALL,
            f"{repo}/{COMMIT}/sub/model.bin": LARGE,
            f"{repo}/{COMMIT}/sub/deep/more.txt": b"more",
        },
        links={f"{tree}?recursive=true": f"{tree}?recursive=true&cursor=x"},
    )
    with serve(site) as running:
        yield running


@pytest.fixture
def bring(hub: Site, tmp_path: Path) -> Callable[..., list[str]]:
    def bring(*urls: str, token: str = "", mirror: Path | None = None, **fields: Any) -> list[str]:
        lines: list[str] = []
        fetch_assets(
            [Asset(dest=DEST, urls=urls, **fields)],
            tmp_path,
            mirror=str(mirror) if mirror else None,
            say=lines.append,
            memory=Memory(tmp_path / "memory"),
            environ={"HF_ENDPOINT": hub.url, "HF_TOKEN": token},
        )
        return lines

    return bring


def tree_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("hf://o/n/a.bin", "https://huggingface.co/o/n/resolve/main/a.bin"),
        ("hf://o/n@v1.0/deep/a b.bin", "https://huggingface.co/o/n/resolve/v1.0/deep/a%20b.bin"),
        ("hf://datasets/o/n@refs/pr/3/a", "https://huggingface.co/datasets/o/n/resolve/refs%2Fpr%2F3/a"),
        ("hf://spaces/o/n@x%2Fy/a", "https://huggingface.co/spaces/o/n/resolve/x%2Fy/a"),
    ],
)
def test_a_file_has_a_plain_address(tmp_path: Path, url: str, expected: str) -> None:
    source = parse_source(url, tmp_path)

    assert isinstance(source, HttpSource)
    assert source.url == expected


@pytest.mark.parametrize("url", ["hf://o/n", "hf://o/n@main/sub/", "hf://datasets/o/n/"])
def test_a_repository_or_a_path_with_a_slash_behind_it_is_a_folder(tmp_path: Path, url: str) -> None:
    assert isinstance(parse_source(url, tmp_path), HubSource)


@pytest.mark.parametrize("url", ["hf://o", "hf://", "hf://datasets/o", "hf://o/n@/a"])
def test_what_names_no_repository_is_an_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(AssetError, match="names no repository"):
        parse_source(url, tmp_path)


def test_files_come_by_their_address(hub: Site, tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    bring("hf://o/n/config.json", sha256=sha256_bytes(SMALL))
    assert (tmp_path / DEST).read_bytes() == SMALL
    (tmp_path / DEST).unlink()

    bring("hf://datasets/o/n@v1/train.txt")

    assert (tmp_path / DEST).read_bytes() == b"data"


def test_a_mirror_has_them_under_the_hubs_own_name(hub: Site, tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    kept = tmp_path / "mirror" / "huggingface.co" / "o" / "n" / "resolve" / "main" / "sub"
    kept.mkdir(parents=True)
    (kept / "model.bin").write_bytes(b"mirrored")

    bring("hf://o/n/sub/model.bin", mirror=tmp_path / "mirror")
    assert (tmp_path / DEST).read_bytes() == b"mirrored"
    (tmp_path / DEST).unlink()
    bring("hf://o/n/sub/", mirror=tmp_path / "mirror")

    assert tree_of(tmp_path / DEST) == {"model.bin": b"mirrored"}
    assert hub.seen == []


def test_a_whole_repository_comes_page_by_page_at_one_commit(
    hub: Site, tmp_path: Path, bring: Callable[..., list[str]]
) -> None:
    bring("hf://o/n")

    assert tree_of(tmp_path / DEST) == {"config.json": SMALL, "sub/model.bin": LARGE, "sub/deep/more.txt": b"more"}
    assert [path.name for path in (tmp_path / "assets").iterdir()] == ["model"]


def test_a_folder_comes_without_the_folders_above_it(tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    bring("hf://o/n/sub/")

    assert tree_of(tmp_path / DEST) == {"model.bin": LARGE, "deep/more.txt": b"more"}


def test_a_revision_that_has_not_moved_costs_one_question(
    hub: Site, tmp_path: Path, bring: Callable[..., list[str]]
) -> None:
    bring("hf://o/n")
    hub.seen.clear()

    assert bring("hf://o/n") == ["1 of 1 assets were there already"]
    assert [path for path, _ in hub.seen] == ["/api/models/o/n/revision/main"]


def test_a_commit_is_not_asked_about(hub: Site, tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    bring(f"hf://o/n@{COMMIT}")
    hub.seen.clear()

    bring(f"hf://o/n@{COMMIT}")

    assert hub.seen == []


def test_a_folder_that_broke_off_goes_on_with_the_files_it_lacks(
    hub: Site, tmp_path: Path, bring: Callable[..., list[str]]
) -> None:
    path = f"/o/n/resolve/{COMMIT}/sub/model.bin"
    whole = hub.files.pop(path)
    with pytest.raises(AssetError, match="the server answered 404"):
        bring("hf://o/n")
    assert not (tmp_path / DEST).exists()
    hub.files[path] = whole
    hub.seen.clear()

    bring("hf://o/n")

    assert f"/o/n/resolve/{COMMIT}/config.json" not in [path for path, _ in hub.seen]
    assert tree_of(tmp_path / DEST)["sub/model.bin"] == LARGE


@pytest.mark.parametrize("path", ["config.json", "sub/model.bin"])
def test_a_file_that_is_not_what_the_hub_says_is_refused(
    hub: Site, tmp_path: Path, bring: Callable[..., list[str]], path: str
) -> None:
    data = hub.files[f"/o/n/resolve/{COMMIT}/{path}"]
    hub.files[f"/o/n/resolve/{COMMIT}/{path}"] = b"X" + data[1:]

    with pytest.raises(ChecksumError, match=path.replace(".", r"\.")):
        bring("hf://o/n")

    assert not (tmp_path / DEST).exists()


def test_a_list_that_leads_out_is_refused(hub: Site, tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    hub.files[f"/api/models/o/n/tree/{COMMIT}?recursive=true"] = listing(("../../evil", b"x", False))

    with pytest.raises(AssetError, match="leads out"):
        bring("hf://o/n")


def test_a_token_is_given_to_the_hub_alone(hub: Site, tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    hub.needs_token = "secret-token"
    with pytest.raises(AssetError, match="401") as caught:
        bring("hf://o/n/config.json")
    assert "HF_TOKEN" in str(caught.value.fix)

    with serve(Site(files={"/elsewhere": SMALL})) as other:
        hub.sent_on["/o/n/resolve/main/config.json"] = f"{other.url}/elsewhere".replace("127.0.0.1", "localhost")
        bring("hf://o/n/config.json", token="secret-token")

        assert hub.tokens[-1] == "Bearer secret-token"
        assert other.tokens == [None]
    assert (tmp_path / DEST).read_bytes() == SMALL


def test_a_revision_with_another_commit_is_brought_anew(
    hub: Site, tmp_path: Path, bring: Callable[..., list[str]]
) -> None:
    bring("hf://o/n")
    hub.files["/api/models/o/n/revision/main"] = json.dumps({"sha": OTHER}).encode()
    hub.files[f"/api/models/o/n/tree/{OTHER}?recursive=true"] = listing(("new.txt", b"new", False))
    hub.files[f"/o/n/resolve/{OTHER}/new.txt"] = b"new"

    assert "has moved from" in bring("hf://o/n")[0]
    assert tree_of(tmp_path / DEST) == {"new.txt": b"new"}
    asset = Asset(dest=DEST, urls=("hf://o/n",))
    assert check_assets([asset], tmp_path, Memory(tmp_path / "memory"))[0].state is AssetState.UNCHECKED
