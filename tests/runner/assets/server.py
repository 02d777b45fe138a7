"""A small web server on this machine that can answer ranges, break off, and be out of order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Site:
    """What the server holds and how it behaves; `seen` records the (path, Range header) of each request."""

    files: dict[str, bytes]
    breaks_after: dict[str, int] = field(default_factory=dict)  # path -> bytes sent before the first answer breaks off
    statuses: dict[str, list[int]] = field(default_factory=dict)  # path -> statuses to answer before the file
    etags: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)  # path -> path of the page after it
    sent_on: dict[str, str] = field(default_factory=dict)  # path -> the address that it sends to
    needs_token: str | None = None
    has_ranges: bool = True
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)  # the Authorization of each request
    url: str = ""


@contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Serve `site` on a free port of 127.0.0.1 for the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith("/"):  # asked as a proxy
                self.path = self.path.partition("://")[2]
            wanted = self.headers.get("Range")
            site.seen.append((self.path, wanted))
            site.tokens.append(self.headers.get("Authorization"))
            if site.needs_token is not None and site.tokens[-1] != f"Bearer {site.needs_token}":
                self.send_error(401)
                return
            if self.path in site.sent_on:
                self.send_response(302)
                self.send_header("Location", site.sent_on[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if self.headers.get("If-Range") not in (None, site.etags.get(self.path)):
                wanted = None
            if site.statuses.get(self.path):
                self.send_error(site.statuses[self.path].pop(0))
                return
            if self.path not in site.files:
                self.send_error(404)
                return
            self._send(site.files[self.path], wanted)

        def _send(self, data: bytes, wanted: str | None) -> None:
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and site.has_ranges else 0
            if start and start >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - start))
            if self.path in site.etags:
                self.send_header("ETag", site.etags[self.path])
            if self.path in site.links:
                self.send_header("Link", f'<{site.url}{site.links[self.path]}>; rel="next"')
            self.end_headers()
            self.wfile.write(data[start : start + site.breaks_after.pop(self.path, len(data))])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
