"""Folders of Hugging Face repositories: their files are listed at one commit and downloaded one by one.

A single file needs none of this: its address is that of any file on the web.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from frostline.digest import CHUNK_BYTES, sha256_file
from frostline.errors import AssetError, ChecksumError
from frostline.runner.assets.archives import safe_name
from frostline.runner.assets.http import Downloader
from frostline.runner.assets.sources import HttpSource, HubSource


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """One file of a repository."""

    path: str  # in the repository
    n_bytes: int
    sha256: str | None  # of a large file
    blob: str | None  # git's id of a small one


def token_of(environ: Mapping[str, str]) -> str | None:
    """The caller's access token: HF_TOKEN, or the one that a login has left."""
    if environ.get("HF_TOKEN"):
        return environ["HF_TOKEN"]
    try:
        from huggingface_hub import get_token
    except ImportError:
        return None
    return get_token()


def commit_of(source: HubSource, downloader: Downloader) -> str:
    """The commit that a revision stands for today. Raises AssetError."""
    if source.is_pinned:
        return source.revision
    url = f"{source.endpoint}/api/{source.kind}/{source.repo}/revision/{quote(source.revision, safe='')}"
    answer, _ = downloader.json(HttpSource(url=url, of_hub=True))
    commit = answer.get("sha") if isinstance(answer, dict) else None
    if not isinstance(commit, str):
        raise AssetError(f"{source.url}: the hub names no commit for '{source.revision}'")
    return commit


def bring_folder(
    source: HubSource, commit: str, folder: Path, downloader: Downloader, say: Callable[[str], None]
) -> None:
    """Fill `folder` with a repository's folder; files that an earlier try has left whole are kept.

    Raises:
        ChecksumError: a file is not what the hub says it is.
        AssetError: it can't be had.
    """
    files = _list(source, commit, downloader)
    if not files:
        raise AssetError(f"{source.url}: there is no such folder, or it is empty")
    for number, file in enumerate(files, start=1):
        relative = file.path[len(source.path) :].strip("/") if source.path else file.path
        target = folder / safe_name(relative)
        if target.is_file() and target.stat().st_size == file.n_bytes:
            continue
        say(f"  {relative} ({number} of {len(files)})")
        part = target.with_name(target.name + ".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        downloader.download(HttpSource(url=source.file_url(commit, file.path), of_hub=True), part, name=relative)
        fault = _fault(part, file)
        if fault is not None:
            part.unlink()
            raise ChecksumError(f"{source.url}: '{relative}' {fault}")
        part.replace(target)


def _list(source: HubSource, commit: str, downloader: Downloader) -> list[HubFile]:
    tree = f"{source.endpoint}/api/{source.kind}/{source.repo}/tree/{quote(commit, safe='')}"
    page: str | None = (f"{tree}/{quote(source.path)}" if source.path else tree) + "?recursive=true"
    found = []
    while page is not None:
        answer, page = downloader.json(HttpSource(url=page, of_hub=True))
        if not isinstance(answer, list):
            raise AssetError(f"{source.url}: the hub's answer is no list of files")
        found += [_file(source, entry) for entry in answer if isinstance(entry, dict) and entry.get("type") == "file"]
    return found


def _file(source: HubSource, entry: dict[str, Any]) -> HubFile:
    lfs = entry.get("lfs") or {}
    path, n_bytes = entry.get("path"), entry.get("size")
    if not isinstance(path, str) or not isinstance(n_bytes, int):
        raise AssetError(f"{source.url}: the hub's list of files can't be read")
    return HubFile(path=path, n_bytes=n_bytes, sha256=lfs.get("oid"), blob=None if lfs else entry.get("oid"))


def _fault(part: Path, file: HubFile) -> str | None:
    """How a file differs from what the hub says of it."""
    if part.stat().st_size != file.n_bytes:
        return f"has {part.stat().st_size} bytes, not {file.n_bytes}"
    if file.sha256 is not None:
        found = sha256_file(part)
        return None if found == file.sha256 else f"has the sha256 {found}, not {file.sha256}"
    if file.blob is not None and len(file.blob) == 40 and _blob_id(part) != file.blob:
        return f"is not the file with git's id {file.blob}"
    return None


def _blob_id(path: Path) -> str:
    """Git's id of a file's content."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
