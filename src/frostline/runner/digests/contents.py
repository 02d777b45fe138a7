"""MD5 of many files at once: threads read and hash side by side, as both let go of the interpreter's lock.

A large file is read by one thread while another hashes what was read before, so the disk never waits for the
arithmetic. Remembers nothing.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from frostline.runner.digests.walking import irregular, unreadable

FEW_FILES = 16  # up to so many, and so few bytes, threads cost more than they bring
FEW_BYTES = 1 << 20
AHEAD_BYTES = 64 << 20  # files from this size on are read ahead
BLOCK_BYTES = 2 << 20
BATCH = 32  # small files that a thread takes at once


def md5_of_files(files: Sequence[tuple[Path | str, int]]) -> list[str]:
    """Hex MD5 of each (path, size in bytes), in their order. The sizes only decide who reads what.

    Raises StoreError for a file that can't be read, or is none.
    """
    if len(files) <= FEW_FILES and sum(size for _, size in files) <= FEW_BYTES:
        return [_md5(str(path)) for path, _ in files]
    from concurrent.futures import ThreadPoolExecutor

    found = [""] * len(files)
    order = sorted(range(len(files)), key=lambda index: -files[index][1])
    given_up: list[bool] = []  # filled when nobody waits for an answer any more

    def work(batch: Sequence[int]) -> None:
        for index in batch:
            path, size = files[index]
            found[index] = _md5_read_ahead(str(path), given_up) if size >= AHEAD_BYTES else _md5(str(path), given_up)

    with ThreadPoolExecutor(n_threads()) as pool:
        jobs = [pool.submit(work, batch) for batch in _batches(order, files)]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            given_up.append(True)  # a large file would hold up Ctrl-C for minutes
            pool.shutdown(cancel_futures=True)
            raise
    return found


def n_threads() -> int:
    """A few more than there are cores, as most of the time is waiting for the disk."""
    return min(8, len(os.sched_getaffinity(0)) + 2)


def _batches(order: Sequence[int], files: Sequence[tuple[Path | str, int]]) -> Iterator[Sequence[int]]:
    """Large files one by one, small ones by the dozen; the largest come first."""
    n_large = sum(size > FEW_BYTES for _, size in files)
    yield from ([index] for index in order[:n_large])
    for start in range(n_large, len(order), BATCH):
        yield order[start : start + BATCH]


def _open(path: str) -> tuple[int, int]:
    """(handle of a regular file, its size). What was swapped for a pipe in the meantime does not make us wait."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(handle)
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise irregular(path, status.st_mode)
    return handle, status.st_size


def _md5(path: str, given_up: Sequence[bool] = ()) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    handle, size = _open(path)
    try:
        while not given_up and (data := os.read(handle, min(size + 1, BLOCK_BYTES))):
            digest.update(data)
    except OSError as error:
        raise unreadable(path, error) from error
    finally:
        os.close(handle)
    return digest.hexdigest()


def _md5_read_ahead(path: str, given_up: Sequence[bool]) -> str:
    from concurrent.futures import ThreadPoolExecutor

    digest = hashlib.md5(usedforsecurity=False)
    with open(_open(path)[0], "rb", buffering=0) as stream, ThreadPoolExecutor(1) as reader:  # noqa: PTH123
        spare, current = bytearray(BLOCK_BYTES), bytearray(BLOCK_BYTES)
        try:
            n_bytes = stream.readinto(current)
            while n_bytes and not given_up:
                next_read = reader.submit(stream.readinto, spare)
                digest.update(memoryview(current)[:n_bytes])
                spare, current = current, spare
                n_bytes = next_read.result()
        except OSError as error:
            raise unreadable(path, error) from error
    return digest.hexdigest()
