"""Compare the assets on disk with their declared checksums. Reads files, changes none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from frostline.digest import md5_file, sha256_file
from frostline.runner.spec import Asset


class AssetState(Enum):
    """What is to be said of an asset on this machine."""

    RIGHT = "is there, with the declared checksum"
    UNCHECKED = "is there; no checksum is declared"
    WRONG = "is there, but its checksum is another"
    ABSENT = "is not there"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetCheck:
    """One asset and its state; `mismatch` names the declared and the found digest when it is WRONG."""

    asset: Asset
    state: AssetState
    mismatch: str | None = None


def check_assets(assets: Iterable[Asset], root: Path) -> tuple[AssetCheck, ...]:
    """The state of every asset, in the given order."""
    return tuple(check_asset(asset, root) for asset in assets)


def check_asset(asset: Asset, root: Path) -> AssetCheck:
    """The state of one asset. A folder counts as there; only files have checksums."""
    path = root / asset.dest
    if path.is_dir():
        return AssetCheck(asset=asset, state=AssetState.UNCHECKED)
    if not path.is_file():
        return AssetCheck(asset=asset, state=AssetState.ABSENT)
    if asset.sha256 is None and asset.md5 is None:
        return AssetCheck(asset=asset, state=AssetState.UNCHECKED)
    mismatch = mismatch_of(path, asset)
    return AssetCheck(asset=asset, state=AssetState.WRONG if mismatch else AssetState.RIGHT, mismatch=mismatch)


def mismatch_of(path: Path, asset: Asset) -> str | None:
    """A sentence with both digests if the file's bytes are not the declared ones, else None."""
    for kind, declared, digest in (("sha256", asset.sha256, sha256_file), ("md5", asset.md5, md5_file)):
        if declared is not None:
            found = digest(path)
            if found != declared:
                return f"its {kind} is {found}, declared is {declared}"
    return None
