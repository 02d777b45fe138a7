"""One line of JSON for each run of a step: when, where, how long, how much, with which versions, how it ended.

Lines are appended and never changed; a line that a kill has cut short is passed over on reading.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def append_record(file: Path, record: Line) -> None:
    """Add a record, in one write, so that two runners can't mix their lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    data = (json.dumps(record, sort_keys=True, ensure_ascii=False) + "\n").encode()
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        n_bytes = os.fstat(handle).st_size
        if n_bytes and os.pread(handle, 1, n_bytes - 1) != b"\n":
            data = b"\n" + data  # a kill has cut the last line short
        os.write(handle, data)
    finally:
        os.close(handle)


def read_records(file: Path) -> Iterator[Line]:
    """All records, oldest first."""
    try:
        stream = file.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    with stream:
        for line in stream:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield record


def machine() -> Line:
    """The part of a record that is the same for all steps of a run."""
    return {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "platform": sys.platform,
        "n_cpus": os.cpu_count(),
    }
