"""Download over http(s): in pieces, again after a fault, and from where an earlier try stopped.

A part that is gone on with belongs to the same file: the server's mark of it (ETag, or the time of its last change) is
kept beside the part and sent along, so that a file that has changed since comes whole. Proxies come from the
environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY), as httpx reads them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from frostline.errors import AssetError
from frostline.runner.assets.progress import Meter, size
from frostline.runner.assets.sources import HttpSource

WAITS_S = (0.5, 1.0, 2.0)  # before the second, third and fourth try in a row that brings nothing
LONGEST_WAIT_S = 60.0  # that a server may ask for
TIMEOUT = httpx.Timeout(30.0, connect=15.0)
WORTH_A_RETRY = frozenset({408, 425, 429, 500, 502, 503, 504})
NEEDS_A_TOKEN = frozenset({401, 403})


class Sleep(Protocol):
    """Something that waits."""

    def __call__(self, seconds: float, /) -> None: ...


@dataclass(slots=True)
class Downloader:
    """One connection pool for all assets of a call; a host that could not be reached is not tried twice.

    Args:
        meter: is told how far a download is.
        token: the caller's for Hugging Face's hub, asked for when first needed.
    """

    say: Callable[[str], None]
    meter: Meter
    token: Callable[[], str | None] = lambda: None
    sleep: Sleep = time.sleep
    _client: httpx.Client = field(init=False)
    _unreachable: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        headers = {"Accept-Encoding": "identity", "User-Agent": "frostline"}  # ranges count bytes as they are stored
        try:
            self._client = httpx.Client(follow_redirects=True, timeout=TIMEOUT, headers=headers)
        except (ImportError, ValueError) as error:
            fix = "pip install 'httpx[socks]'" if isinstance(error, ImportError) else "Write it as http://host:port."
            raise AssetError(f"The proxy of the environment can't be used: {_cause(error)}", fix=fix) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def download(self, source: HttpSource, part: Path, *, name: str = "") -> None:
        """Append to `part` until it holds the whole file. Raises AssetError; what came so far stays in `part`.

        Args:
            name: for the lines about progress.
        """
        self._retrying(source, lambda: self._try(source, part, name), lambda: _size_of(part))
        mark_of(part).unlink(missing_ok=True)

    def json(self, source: HttpSource) -> tuple[Any, str | None]:
        """The JSON value at an address, and the address of the page after it, if any. Raises AssetError."""
        found: list[tuple[Any, str | None]] = []

        def ask() -> None:
            response = self._client.get(source.url, headers=self._headers(source))
            response.raise_for_status()
            try:
                found.append((response.json(), response.links.get("next", {}).get("url")))
            except ValueError as error:
                raise AssetError(f"{source.url}: the answer is no JSON") from error

        self._retrying(source, ask, lambda: 0)
        return found[-1]

    def _retrying(self, source: HttpSource, action: Callable[[], None], progress: Callable[[], int]) -> None:
        """Try until it works; only tries in a row that bring nothing are counted."""
        if source.host in self._unreachable:
            raise AssetError(f"{source.url}: {self._unreachable[source.host]}")
        n_tried = 0
        while True:
            before = progress()
            wait: float | None = None
            try:
                action()
                return
            except httpx.ConnectError as error:
                if n_tried > 0:
                    self._unreachable[source.host] = f"the host could not be reached ({_cause(error)})"
                    raise AssetError(f"{source.url}: {self._unreachable[source.host]}") from error
            except httpx.HTTPStatusError as error:
                status = error.response.status_code
                if n_tried >= len(WAITS_S) or status not in WORTH_A_RETRY:
                    raise self._refusal(source, status) from error
                wait = _asked_wait(error.response)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if n_tried >= len(WAITS_S) or isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
                    raise AssetError(f"{source.url}: {_cause(error)}") from error
            n_tried = 0 if progress() > before else n_tried
            self.sleep(WAITS_S[n_tried] if wait is None else wait)
            n_tried += 1

    def _refusal(self, source: HttpSource, status: int) -> AssetError:
        fix = None
        if source.of_hub and status in NEEDS_A_TOKEN:
            fix = "The repository is private or asks for consent: give your access token in HF_TOKEN."
        return AssetError(f"{source.url}: the server answered {status}", fix=fix)

    def _headers(self, source: HttpSource) -> dict[str, str]:
        token = self.token() if source.of_hub else None
        return {"Authorization": f"Bearer {token}"} if token else {}  # httpx drops it when sent on to another host

    def _try(self, source: HttpSource, part: Path, name: str) -> None:
        have = _size_of(part)
        headers = self._headers(source)
        if have:
            headers["Range"] = f"bytes={have}-"
            mark = _read_mark(part)
            if mark is not None:
                headers["If-Range"] = mark
        with self._client.stream("GET", source.url, headers=headers) as response:
            if response.status_code == 416:  # there is nothing behind what we have: whole already, or another file
                if _total(response) == have:
                    return
                part.unlink()
                raise httpx.RemoteProtocolError("the part that was here does not fit the file on the server")
            response.raise_for_status()
            resumed = response.status_code == 206 and _starts_at(response) == have
            if have and response.status_code == 206 and not resumed:
                part.unlink()
                raise httpx.RemoteProtocolError("the server sent another part than was asked for")
            self._receive(response, part, have if resumed else 0, name)

    def _receive(self, response: httpx.Response, part: Path, start: int, name: str) -> None:
        is_packed = response.headers.get("Content-Encoding", "identity") != "identity"
        length = "" if is_packed else response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        n_bytes = start
        if start:
            self.say(f"  going on at {size(start)}" + (f" of {size(total)}" if total else ""))
        else:
            part.unlink(missing_ok=True)
            _write_mark(part, None if is_packed else response)
        self.meter.begin(name, start, total)
        with part.open("ab") as stream:
            for chunk in response.iter_bytes() if is_packed else response.iter_raw():
                stream.write(chunk)
                n_bytes += len(chunk)
                self.meter.at(n_bytes)
        if total is not None and n_bytes != total:
            raise httpx.RemoteProtocolError(f"the connection ended after {n_bytes} of {total} bytes")
        self.meter.end(n_bytes)


def mark_of(part: Path) -> Path:
    """Where the server's mark of a part is kept."""
    return part.with_name(part.name + ".mark")


def may_go_on(part: Path) -> bool:
    """Whether a part that an earlier process left can be gone on with, without a checksum to judge by."""
    return part.exists() and _read_mark(part) is not None


def _read_mark(part: Path) -> str | None:
    try:
        return mark_of(part).read_text(encoding="latin-1") or None
    except OSError:
        return None


def _write_mark(part: Path, response: httpx.Response | None) -> None:
    """Keep the strong ETag, or the time of the last change; without either, nothing."""
    headers = {} if response is None else response.headers
    etag, changed = headers.get("ETag", ""), headers.get("Last-Modified", "")
    mark = etag if etag and not etag.startswith("W/") else changed
    if mark:
        mark_of(part).write_text(mark, encoding="latin-1")
    else:
        mark_of(part).unlink(missing_ok=True)


def _size_of(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def _asked_wait(response: httpx.Response) -> float | None:
    """The seconds that the server asks us to wait, within reason."""
    seconds = response.headers.get("Retry-After", "")
    return min(float(seconds), LONGEST_WAIT_S) if seconds.isdigit() else None


def _starts_at(response: httpx.Response) -> int | None:
    """Where the bytes of a 206 answer begin."""
    span = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
    return int(span) if span.isdigit() else None


def _total(response: httpx.Response) -> int | None:
    """The file's size, as a 416 answer gives it."""
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdigit() else None


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__
