"""Download over http(s): in pieces, again after a fault, and from where an earlier try stopped.

Proxies come from the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), as httpx reads them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx

from frostline.errors import AssetError
from frostline.runner.assets.sources import HttpSource

SECONDS_BETWEEN_LINES = 2.0
WAITS_S = (0.5, 1.0, 2.0)  # before the second, third and fourth try
TIMEOUT = httpx.Timeout(30.0, connect=15.0)
WORTH_A_RETRY = frozenset({408, 425, 429, 500, 502, 503, 504})


class Sleep(Protocol):
    """Something that waits."""

    def __call__(self, seconds: float, /) -> None: ...


@dataclass(slots=True)
class Downloader:
    """One connection pool for all assets of a call; a host that could not be reached is not tried twice."""

    say: Callable[[str], None]
    sleep: Sleep = time.sleep
    _client: httpx.Client = field(init=False)
    _unreachable: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        headers = {"Accept-Encoding": "identity", "User-Agent": "frostline"}  # ranges count bytes as they are stored
        self._client = httpx.Client(follow_redirects=True, timeout=TIMEOUT, headers=headers)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def download(self, source: HttpSource, part: Path) -> None:
        """Append to `part` until it holds the whole file. Raises AssetError; what came so far stays in `part`."""
        if source.host in self._unreachable:
            raise AssetError(f"{source.url}: {self._unreachable[source.host]}")
        for n_tried, wait in enumerate((*WAITS_S, None), start=1):
            try:
                self._try(source, part)
                return
            except httpx.ConnectError as error:
                if wait is None or n_tried > 1:
                    self._unreachable[source.host] = f"the host could not be reached ({_cause(error)})"
                    raise AssetError(f"{source.url}: {self._unreachable[source.host]}") from error
            except httpx.HTTPStatusError as error:
                status = error.response.status_code
                if wait is None or status not in WORTH_A_RETRY:
                    raise AssetError(f"{source.url}: the server answered {status}") from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if wait is None or isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
                    raise AssetError(f"{source.url}: {_cause(error)}") from error
            self.sleep(wait)

    def _try(self, source: HttpSource, part: Path) -> None:
        have = part.stat().st_size if part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
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
            self._receive(response, part, have if resumed else 0)

    def _receive(self, response: httpx.Response, part: Path, start: int) -> None:
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        told, n_bytes = time.monotonic(), start
        if start:
            self.say(f"  going on at {_mib(start, total)}")
        with part.open("ab" if start else "wb") as stream:
            for chunk in response.iter_raw():
                stream.write(chunk)
                n_bytes += len(chunk)
                if time.monotonic() - told > SECONDS_BETWEEN_LINES:
                    told = time.monotonic()
                    self.say(f"  {_mib(n_bytes, total)}")
        if total is not None and n_bytes != total:
            raise httpx.RemoteProtocolError(f"the connection ended after {n_bytes} of {total} bytes")


def _starts_at(response: httpx.Response) -> int | None:
    """Where the bytes of a 206 answer begin."""
    span = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
    return int(span) if span.isdigit() else None


def _total(response: httpx.Response) -> int | None:
    """The file's size, as a 416 answer gives it."""
    size = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(size) if size.isdigit() else None


def _mib(n_bytes: int, total: int | None) -> str:
    if total is None:
        return f"{n_bytes / 2**20:.1f} MiB"
    return f"{n_bytes / 2**20:.1f} of {total / 2**20:.1f} MiB ({100 * n_bytes // max(total, 1)} %)"


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__
