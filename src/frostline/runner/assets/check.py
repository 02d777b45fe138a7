"""Compare the assets on disk with what is declared, and with what is known of how they came. Changes no file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from frostline.digest import md5_file, sha256_file
from frostline.runner.assets.memory import Brought, Memory, is_as_brought, told
from frostline.runner.assets.sources import FULL_COMMIT
from frostline.runner.project.spec import Asset
from frostline.runner.project.weasel import weasel_checksum


class AssetState(Enum):
    """What is to be said of an asset on this machine."""

    RIGHT = "is there, as declared"
    UNCHECKED = "is there; no checksum is declared"
    UNKNOWN = "is there; how it came is not on record here"
    WRONG = "is there, but is not what is declared"
    STALE = "is there, but came before its entry in the project file was changed"
    ABSENT = "is not there"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetCheck:
    """One asset and its state; `mismatch` says in what it differs when it is WRONG."""

    asset: Asset
    state: AssetState
    mismatch: str | None = None


def check_assets(assets: Iterable[Asset], root: Path, memory: Memory | None = None) -> tuple[AssetCheck, ...]:
    """The state of every asset, in the given order."""
    return tuple(check_asset(asset, root, memory) for asset in assets)


def check_asset(asset: Asset, root: Path, memory: Memory | None = None) -> AssetCheck:
    """The state of one asset.

    A file's checksum is all that counts. What a checksum can't tell (an unpacked archive, a folder out of a
    repository, a source without one) is judged by what is known of how it came.
    """
    path = root / asset.dest
    if _is_absent(path, asset):
        return AssetCheck(asset=asset, state=AssetState.ABSENT)
    brought = None if memory is None else memory.of(asset.dest)
    state, mismatch = _judge(asset, path, brought)
    return AssetCheck(asset=asset, state=state, mismatch=mismatch)


def is_pinned(asset: Asset) -> bool:
    """Whether the project file says which bytes the asset has: by a checksum, or by the commit they are of."""
    if asset.has_checksum:
        return True
    return asset.git is not None and FULL_COMMIT.fullmatch(asset.git.branch or "") is not None


def mismatch_of(path: Path, asset: Asset) -> str | None:
    """A sentence with both digests if a file, or a folder as weasel sees it, is not as declared; else None."""
    digests = (("sha256", asset.sha256, sha256_file), ("md5", asset.md5, md5_file))
    if path.is_dir():
        digests = (("md5", asset.md5, weasel_checksum),)  # type: ignore[assignment]
    for kind, declared, digest in digests:
        if declared is not None:
            found = digest(path)
            if found != declared:
                return f"its {kind} is {found}, declared is {declared}"
    return None


def _is_absent(path: Path, asset: Asset) -> bool:
    """Nothing, an empty folder, or an empty file that nothing is said of: weasel takes that for a broken download."""
    if path.is_dir():
        return not any(path.iterdir())
    if not path.is_file():
        return True
    return path.stat().st_size == 0 and not asset.has_checksum and not asset.is_private


def _judge(asset: Asset, path: Path, brought: Brought | None) -> tuple[AssetState, str | None]:
    if asset.extract is None and asset.has_checksum:
        if path.is_dir() and brought is not None and _is_whole(path, brought, asset):
            return AssetState.RIGHT, None
        if path.is_dir() and not _may_be_a_folder(asset):
            return AssetState.WRONG, "it is a folder, declared is a file"
        mismatch = mismatch_of(path, asset)
        return (AssetState.WRONG if mismatch else AssetState.RIGHT), mismatch
    if asset.is_private:
        return AssetState.UNCHECKED, None
    if brought is None:
        is_plain = asset.extract is None and asset.git is None
        return (AssetState.UNCHECKED if is_plain else AssetState.UNKNOWN), None
    if brought.told != told(asset):
        return AssetState.STALE, None
    if not _is_whole(path, brought, asset):
        return AssetState.WRONG, "it was changed since it was brought"
    return (AssetState.RIGHT if is_pinned(asset) else AssetState.UNCHECKED), None


def _may_be_a_folder(asset: Asset) -> bool:
    """Whether its source may give a folder; of a private asset's nobody knows."""
    return asset.is_private or asset.git is not None or any(url.startswith("hf://") for url in asset.urls)


def _is_whole(path: Path, brought: Brought, asset: Asset) -> bool:
    """Whether all that came is there as it came, whatever else is there."""
    return brought.told == told(asset) and all(
        is_as_brought(path / name if name else path, entry) for name, entry in brought.files.items()
    )
