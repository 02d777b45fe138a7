"""What was produced once: DVC's cache of file contents, and its run cache of results by what they were made from.

Contents lie under their MD5, read-only; that mode is DVC's mark of trust. An object is written under a temporary
name and renamed, a folder's listing last. Remotes are DVC's business. Knows nothing of steps.
"""

from __future__ import annotations

import configparser
import contextlib
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from frostline.digest import md5_file, sha256_bytes
from frostline.errors import StoreError
from frostline.files import remove_tree
from frostline.runner.digests.hashing import Digest, listing_bytes
from frostline.runner.keeping.yaml_out import dump_yaml
from frostline.runner.project.yaml_places import YamlError, load_plain

FICLONE = 0x40049409  # Linux: share the blocks of a file until one side is written
LINKS = ("reflink", "hardlink", "symlink", "copy")
Body = dict[str, Any]


class Store:
    """The cache of one project.

    Args:
        root: the project's folder.
        files_of: relative path -> md5 for a folder below root, from the hashing that has just been done.
    """

    def __init__(self, root: Path, files_of: Callable[[str], dict[str, str]]) -> None:
        self.root = root
        self.files_of = files_of
        settings = dvc_settings(root / ".dvc").get("cache", {})
        self.base = _absolute(settings.get("dir"), root / ".dvc") or root / ".dvc" / "cache"
        wanted = [word.strip() for word in settings.get("type", "reflink,copy").split(",")]
        self.links = [word for word in wanted if word in LINKS] or ["copy"]
        self.listings: dict[str, dict[str, str]] = {}

    def object_path(self, md5: str) -> Path:
        """Where the content with this digest lies, if it is there."""
        return self.base / "files" / "md5" / md5[:2] / md5[2:]

    def has(self, md5: str) -> bool:
        """Whether the content is whole: a folder's listing and every file in it."""
        if not self.object_path(md5).is_file():
            return False
        return not md5.endswith(".dir") or all(self.object_path(one).is_file() for one in self.listing(md5).values())

    def listing(self, md5: str) -> dict[str, str]:
        """Relative path -> md5 of a stored folder. Raises StoreError when the listing is spoilt."""
        if md5 not in self.listings:
            try:
                entries = json.loads(self.object_path(md5).read_bytes())
                self.listings[md5] = {str(entry["relpath"]): str(entry["md5"]) for entry in entries}
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise StoreError(
                    f"The store's listing {md5} can't be read: {error}.",
                    where=str(self.object_path(md5)),
                    fix="Remove the file; the step then runs again.",
                ) from error
        return self.listings[md5]

    def keep(self, path: str, digest: Digest) -> None:
        """Put what lies at `path` into the store, then link it there the way `cache.type` says."""
        full = self.root / path
        if digest.is_folder:
            files = self.files_of(path)
            for name, md5 in files.items():
                self._keep_file(full / name, md5)
            listing = listing_bytes(files)
            if not self.object_path(digest.md5).is_file():
                self._add(digest.md5, lambda temporary: _write(temporary, listing))
        else:
            self._keep_file(full, digest.md5)

    def _keep_file(self, file: Path, md5: str) -> None:
        target = self.object_path(md5)
        if not target.is_file():
            self._add(md5, lambda temporary: self._copy_in(file, temporary))
        if self.links[0] in ("hardlink", "symlink"):
            self._link_out(target, file)

    def _add(self, md5: str, write: Callable[[Path], None]) -> None:
        """Bring an object into being under its final name, whole and read-only."""
        target = self.object_path(md5)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            write(temporary)
            temporary.chmod(0o444)
            temporary.replace(target)
        except OSError as error:
            raise StoreError(f"The store can't take {md5}: {error.strerror or error}.", where=str(self.base)) from error
        finally:
            _remove_quietly(temporary)

    def _copy_in(self, file: Path, temporary: Path) -> None:
        if not _reflink(file, temporary):
            shutil.copyfile(file, temporary)

    def _link_out(self, source: Path, target: Path, *, is_exec: bool = False) -> None:
        """Make `target` the stored content, by the first kind of link that works here."""
        if target.exists() and not target.is_symlink() and source.stat().st_ino == target.stat().st_ino:
            return
        temporary = target.with_name(f".{target.name[:100]}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            for kind in [*self.links, "copy"]:
                with contextlib.suppress(OSError):
                    if _copy_as(kind, source, temporary, is_exec=is_exec):
                        temporary.replace(target)
                        return
        finally:
            _remove_quietly(temporary)
        raise StoreError(f"'{target}' can't be written.", fix="Is the disk full, or the folder read-only?")

    def place(self, md5: str, path: str, *, is_exec: bool = False) -> None:
        """Make `path` what the store holds under `md5`, removing whatever is there. Raises StoreError."""
        full = self.root / path
        if not md5.endswith(".dir"):
            self._check(md5)
            if full.is_dir() and not full.is_symlink():
                remove_tree(full)
            full.parent.mkdir(parents=True, exist_ok=True)
            self._link_out(self.object_path(md5), full, is_exec=is_exec)
            return
        files = self.listing(md5)
        for one in files.values():
            self._check(one)
        remove_tree(full)
        full.mkdir(parents=True)
        for name, one in files.items():
            target = full / name
            if ".." in Path(name).parts or Path(name).is_absolute():
                raise StoreError(f"The stored folder {md5} holds a path that leads out of it: '{name}'.")
            target.parent.mkdir(parents=True, exist_ok=True)
            self._link_out(self.object_path(one), target)

    def _check(self, md5: str) -> None:
        """Trust read-only objects as DVC does; hash any other first."""
        stored = self.object_path(md5)
        try:
            mode = stored.stat().st_mode & 0o777
        except FileNotFoundError as error:
            raise StoreError(f"The store no longer holds {md5}.", fix="Run the step again with --force.") from error
        if mode & 0o222:
            if md5_file(stored) != md5:
                stored.unlink()
                raise StoreError(f"The stored object {md5} was spoilt; it has been removed.", fix="Run again.")
            stored.chmod(0o444)

    def results(self, key: str) -> Iterator[tuple[str, Body]]:
        """(name, body) of the stored results for a key, newest first; spoilt ones are passed over."""
        folder = self.base / "runs" / key[:2] / key
        try:
            files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
        except (FileNotFoundError, NotADirectoryError):
            return
        for file in files:
            try:
                body = load_plain(file.read_text(encoding="utf-8"))
            except (OSError, YamlError, UnicodeDecodeError):
                continue
            if isinstance(body, dict) and "cmd" in body and isinstance(body.get("outs"), list):
                yield file.name, body

    def keep_result(self, body: Body) -> str | None:
        """Put a body into the run cache; its name there, or None where DVC's form has no room for it."""
        if not body.get("deps") or not body.get("outs"):
            return None
        key, value = result_key(body), _body_digest(body)
        file = self.base / "runs" / key[:2] / key / value
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary = file.with_name(f".{uuid.uuid4().hex}.tmp")
            try:
                temporary.write_text(dump_yaml(body), encoding="utf-8")
                temporary.replace(file)
            finally:
                _remove_quietly(temporary)
        return value


def result_key(body: Body) -> str:
    """The run cache's key: command, deps, and the outputs' paths."""
    return _body_digest({**body, "outs": [entry["path"] for entry in body.get("outs", ())]})


def result_name(body: Body) -> tuple[str, str]:
    """(key, name) of a body's entry in the run cache."""
    return result_key(body), _body_digest(body)


def _body_digest(body: Body) -> str:
    return sha256_bytes(json.dumps(_without_counts(body), sort_keys=True).encode())


def _without_counts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_counts(item) for key, item in value.items() if key not in ("size", "nfiles")}
    return [_without_counts(item) for item in value] if isinstance(value, list) else value


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _copy_as(kind: str, source: Path, target: Path, *, is_exec: bool) -> bool:
    """Make `target` from a stored file by one kind of link; False where that kind can't be. Raises OSError."""
    if kind in ("hardlink", "symlink"):
        if is_exec:  # its mode would be the stored file's
            return False
        if kind == "hardlink":
            os.link(source, target)
        else:
            target.symlink_to(source)
        return True
    if kind == "copy":
        shutil.copyfile(source, target)
    elif not _reflink(source, target):
        return False
    target.chmod(0o777 & ~_umask() if is_exec else 0o666 & ~_umask())
    return True


def _remove_quietly(temporary: Path) -> None:
    """Leave nothing behind, whatever went wrong before; where that can't be, the first fault matters more."""
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _reflink(source: Path, target: Path) -> bool:
    """Clone a file's blocks where the file system can; False where it can't."""
    try:
        with source.open("rb") as old, target.open("wb") as new:
            fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
    except OSError:
        target.unlink(missing_ok=True)
        return False
    return True


def dvc_settings(dvc: Path) -> dict[str, dict[str, str]]:
    """section -> settings of a project's DVC configuration, the local file winning. Raises StoreError."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    found: list[Path] = [file for file in (dvc / "config", dvc / "config.local") if file.is_file()]
    try:
        parser.read(found, encoding="utf-8")
    except configparser.Error as error:
        raise StoreError(f"DVC's configuration can't be read: {error}.", where=str(dvc / "config")) from error
    return {title: dict(parser[title]) for title in parser.sections()}


def _absolute(path: str | None, base: Path) -> Path | None:
    return None if path is None else (base / Path(path).expanduser()).resolve()


def copy_content(source: Path, target: Path, *, mode: int | None = None) -> None:
    """Copy a file, sharing its blocks where the file system can; times and mode too, or the mode that is given."""
    if not _reflink(source, target):
        shutil.copyfile(source, target)
    shutil.copystat(source, target)
    if mode is not None:
        target.chmod(mode)


def replace_links(paths: Iterable[Path]) -> None:
    """Turn links into the store into files of their own, for a step that works in place."""
    for path in paths:
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        for file in files:
            if file.is_symlink() or file.stat().st_nlink > 1:
                temporary = file.with_name(f".{file.name[:100]}.{uuid.uuid4().hex[:8]}.tmp")
                shutil.copyfile(file, temporary)
                temporary.chmod(0o666 & ~_umask())
                temporary.replace(file)
