"""Unpack zip and tar archives into a fresh folder, from which nothing can lead out.

Names are checked before anything is written. Files come first, into folders that hold no link yet, so that no name can
pass through one; hard links become copies; symbolic links come last, and only those that stay inside. What is
written is counted as it is written, not as the archive promises.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from frostline.digest import CHUNK_BYTES
from frostline.errors import AssetError

MIB = 1 << 20
LEAST_BOUND_MIB = 2048  # an archive may always become this large
MOST_GROWTH = 200  # beyond that, so many times its own size: what compresses better is made to fill disks
MOST_ENTRIES = 2_000_000
MOST_HEADER_BYTES = 16 * MIB  # of a tar's own records between the files
LARGER_VARIABLE = "PROJECT_EXTRACT_MAX_MIB"

FORMATS = "zip, tar, tar.gz, tar.bz2, tar.xz"


@dataclass(slots=True)
class Bounds:
    """What may still be written."""

    n_bytes: int
    told: str
    n_entries: int = MOST_ENTRIES

    @classmethod
    def of(cls, archive: Path, most_mib: int | None = None) -> Bounds:
        """The bounds for one archive, by its size, unless somebody has said how large it may become."""
        if most_mib is not None:
            return cls(most_mib * MIB, f"to more than the {most_mib} MiB of {LARGER_VARIABLE}")
        told = f"to more than {MOST_GROWTH} times its own size (and over {LEAST_BOUND_MIB} MiB)"
        return cls(max(LEAST_BOUND_MIB * MIB, MOST_GROWTH * archive.stat().st_size), told)

    def take(self, n_bytes: int) -> None:
        """Count bytes. Raises AssetError when there are too many."""
        self.n_bytes -= n_bytes
        if self.n_bytes < 0:
            raise AssetError(
                f"it unpacks {self.told}",
                fix=f"If it is meant to be so, set {LARGER_VARIABLE} to the MiB that it may become.",
            )

    def count_entry(self) -> None:
        """Count a file. Raises AssetError when there are too many."""
        self.n_entries -= 1
        if self.n_entries < 0:
            raise AssetError(f"it holds more than {MOST_ENTRIES} files")


@dataclass(slots=True)
class _Tree:
    """The folder that is filled, and the links that are still to be made."""

    folder: Path
    inner: str  # only what lies in this folder of the archive is taken; "" for all
    bounds: Bounds
    links: dict[str, str] = field(default_factory=dict)  # path -> target as the archive has it
    copies: dict[str, str] = field(default_factory=dict)  # path -> path of a file in the archive
    left_out: list[str] = field(default_factory=list)
    n_taken: int = 0

    def place_of(self, name: str) -> Path | None:
        """Where an entry goes; None: it lies outside the folder that is wanted. Raises AssetError."""
        path = safe_name(name)
        if self.inner:
            if path != self.inner and not path.startswith(self.inner + "/"):
                return None
            path = path[len(self.inner) + 1 :]
        self.bounds.count_entry()
        self.n_taken += 1
        return self.folder / path

    def add_folder(self, name: str) -> None:
        place = self.place_of(name)
        if place is not None:
            place.mkdir(parents=True, exist_ok=True)

    def add_file(self, name: str, stream: IO[bytes], *, is_executable: bool) -> None:
        place = self.place_of(name)
        if place is None:
            return
        if place == self.folder:
            raise AssetError(f"'{self.inner}' is a file in it, not a folder")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)  # an entry that stands twice: the last one counts
        with place.open("xb") as target:
            while chunk := stream.read(CHUNK_BYTES):
                self.bounds.take(len(chunk))
                target.write(chunk)
        if is_executable:
            mode = place.stat().st_mode
            place.chmod(mode | (mode & 0o444) >> 2)  # who may read may run

    def finish(self) -> None:
        """Make copies and links. Raises AssetError for a link that leads out."""
        for name, target in self.copies.items():
            place, source = self.place_of(name), self._inside(target)
            if place is None:
                continue
            if source is None or not source.is_file():
                raise AssetError(f"its entry '{name}' is a hard link to '{target}', which is not there")
            self.bounds.take(source.stat().st_size)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place)
        places = {name: place for name in self.links if (place := self.place_of(name)) is not None}
        for name, place in places.items():
            self._link(place, name, self.links[name])
        for name, place in places.items():  # a later link may have bent an earlier one
            self._check_link(place, name)
        if self.inner and not self.n_taken:
            raise AssetError(f"it holds no folder '{self.inner}'")

    def _inside(self, name: str) -> Path | None:
        path = safe_name(name)
        if self.inner:
            path = path[len(self.inner) + 1 :] if path.startswith(self.inner + "/") else ""
        return self.folder / path if path else None

    def _link(self, place: Path, name: str, target: str) -> None:
        if posixpath.isabs(target) or "\0" in target or not target or not is_inside(place.parent, self.folder):
            raise AssetError(f"its entry '{name}' is a link to '{target}', which leads out of it")
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(place):
            raise AssetError(f"its entry '{name}' stands twice, once as a link")
        place.symlink_to(target)
        self._check_link(place, name, may_dangle=True)

    def _check_link(self, place: Path, name: str, *, may_dangle: bool = False) -> None:
        target = place.readlink()
        if not is_inside(place, self.folder):
            raise AssetError(f"its entry '{name}' is a link to '{target}', which leads out of it")
        if not may_dangle and not place.exists():
            place.unlink()
            self.left_out.append(f"the link '{name}', as it holds no '{target}'")


def unpack(archive: Path, folder: Path, *, inner: str = "", most_mib: int | None = None) -> list[str]:
    """Unpack an archive into a folder that is made here, and say what was left out of it.

    After an error the folder may be half full.

    Args:
        inner: the folder of the archive that becomes `folder`; "" for all of it.
        most_mib: how large it may become; None: by the archive's own size.
    Raises:
        AssetError: no archive, a spoilt one, one that leads out of the folder, or one that grows beyond measure.
    """
    folder.mkdir(parents=True)
    tree = _Tree(folder, inner, Bounds.of(archive, most_mib))
    try:
        (_unpack_zip if _is_zip(archive) else _unpack_tar)(archive, tree)
        tree.finish()
        return tree.left_out
    except (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, RuntimeError) as error:
        raise AssetError(f"it can't be unpacked: {error}") from error
    except NotImplementedError as error:
        raise AssetError(f"it can't be unpacked: {error}", fix=f"Known formats: {FORMATS}.") from error


def safe_name(name: str) -> str:
    """An entry's name, normalised. Raises AssetError for one that leads out of the archive."""
    path = posixpath.normpath(name.replace("\\", "/") if "\\" in name else name)
    is_drive = len(path) > 1 and path[1] == ":" and path[0].isalpha()
    if posixpath.isabs(path) or path.split("/")[0] == ".." or is_drive or "\0" in path:
        raise AssetError(f"its entry '{name}' leads out of it")
    return "" if path == "." else path


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path ends up in `folder`, by way of any links."""
    inside = os.path.realpath(folder)
    return os.path.commonpath([inside, os.path.realpath(path)]) == inside


def _is_zip(archive: Path) -> bool:
    with archive.open("rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _unpack_zip(archive: Path, tree: _Tree) -> None:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            if info.flag_bits & 0x1:
                raise AssetError("it is encrypted")
            mode = info.external_attr >> 16
            if info.is_dir():
                tree.add_folder(info.filename)
            elif stat.S_ISLNK(mode):
                safe_name(info.filename)
                with opened.open(info) as stream:
                    tree.links[info.filename] = stream.read(4096).decode("utf-8", "surrogateescape")
            else:
                with opened.open(info) as stream:
                    tree.add_file(info.filename, stream, is_executable=bool(mode & 0o100))


def _unpack_tar(archive: Path, tree: _Tree) -> None:
    with _decompressed(archive, tree.bounds) as stream, _opened_tar(stream) as opened:
        while (entry := opened.next()) is not None:
            opened.members = []  # type: ignore[attr-defined]  # it would grow with the archive
            _add_tar_entry(opened, entry, tree)


def _add_tar_entry(opened: tarfile.TarFile, entry: tarfile.TarInfo, tree: _Tree) -> None:
    name = safe_name(entry.name)
    if entry.isdir():
        tree.add_folder(name)
    elif entry.issym():
        tree.links[name] = entry.linkname
    elif entry.islnk():
        tree.copies[name] = safe_name(entry.linkname)
    else:
        _add_tar_file(opened, entry, tree)


def _add_tar_file(opened: tarfile.TarFile, entry: tarfile.TarInfo, tree: _Tree) -> None:
    """A plain file; devices and pipes are refused. `add_file` makes the path and the rights itself."""
    if not entry.isreg():
        raise AssetError(f"its entry '{entry.name}' is refused: it is a special file")
    stream = opened.extractfile(entry)
    if stream is not None:
        with stream:
            tree.add_file(entry.name, stream, is_executable=bool(entry.mode & 0o100))


def _opened_tar(stream: Any) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=stream, mode="r:")
    except tarfile.ReadError as error:
        raise AssetError(f"it is no archive of a known kind ({error})", fix=f"Known formats: {FORMATS}.") from error


@contextmanager
def _decompressed(archive: Path, bounds: Bounds) -> Iterator[Any]:
    """The tar itself, whatever it is packed with, behind bounds of its own."""
    with archive.open("rb") as stream:
        start = stream.read(6)
    opener: Callable[[Path], Any]
    if start.startswith(b"\x1f\x8b"):
        opener = gzip.open
    elif start.startswith(b"BZh"):
        opener = bz2.open
    elif start == b"\xfd7zXZ\x00":
        opener = lzma.open
    else:
        opener = _plain
    with opener(archive) as unpacked:
        yield _Bounded(unpacked, bounds.n_bytes + MOST_ENTRIES * 1024)


def _plain(path: Path) -> IO[bytes]:
    return path.open("rb")


class _Bounded(io.RawIOBase):
    """A stream that gives no more than it should: neither in all, nor at once, as a faked header may ask for."""

    def __init__(self, stream: Any, n_bytes: int) -> None:
        super().__init__()
        self._stream = stream
        self._n_bytes = n_bytes

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        position: int = self._stream.tell()
        return position

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET and position > self._n_bytes:
            raise AssetError("it unpacks to far more than its own size")
        found: int = self._stream.seek(position, whence)
        return found

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > MOST_HEADER_BYTES:
            raise AssetError("its own records are larger than any file's need to be")
        if self._stream.tell() > self._n_bytes:
            raise AssetError("it unpacks to far more than its own size")
        data: bytes = self._stream.read(size)
        return data
