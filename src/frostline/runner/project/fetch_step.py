"""The step `fetch`, which a project with assets has without saying so. Pure.

Its command is `project assets`, its outputs are the assets' paths; what the file says of them is digested, so that a
new source or checksum makes it stale.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from frostline.digest import sha256_json
from frostline.runner.project.faults import Faults
from frostline.runner.project.overrides import concerns, setting_of
from frostline.runner.project.spec import FETCH, Asset, Place, Spec, Step


def fetch_step(
    spec: Spec, assets: tuple[Asset, ...], profile: str, overrides: Mapping[str, Any], used: set[str]
) -> Step | None:
    """The step that brings the assets; None when this profile has none to bring."""
    fetched = [asset for asset in assets if not asset.extra and not asset.is_private]
    if not fetched:
        return None
    words = ["project", "assets", "--profile", profile]
    for name in sorted(overrides):
        if any(concerns(name, other) for other in used):
            words += ["--set", setting_of(name, overrides[name])]
    declared = [
        [str(a.dest), a.urls, a.sha256, a.md5, a.git and [a.git.repo, a.git.path, a.git.branch]]
        + ([a.extract] if a.extract is not None else [])
        for a in fetched
    ]
    return Step(
        name=FETCH,
        command=FETCH,
        help="Bring the assets that the project declares",
        script=(shlex.join(words),),
        outputs=tuple(dict.fromkeys(asset.dest for asset in fetched)),
        declared=sha256_json(declared),
        keeps_outputs=True,
        is_elsewhere=any(_owner(spec, asset) != profile for asset in fetched if asset.is_shared),
        line=min(asset.line for asset in fetched),
    )


def _owner(spec: Spec, asset: Asset) -> str:
    """The first profile that brings an asset which several have: in its ledger it stands."""
    texts = {str(other.dest) for other in spec.assets if other.place.line == asset.line}
    sharers = [other.profiles for other in spec.assets if str(other.dest) in texts]
    return next(name for name in spec.profiles if any(not names or name in names for names in sharers))


def check_assets(spec: Spec, assets: tuple[Asset, ...], profile: str, faults: Faults) -> None:
    """Note assets of one profile that go to the same path: each would be fetched into the other's place."""
    chosen = [asset for asset in spec.assets if not asset.profiles or profile in asset.profiles]
    first: dict[PurePosixPath, Place] = {}
    for asset, written in zip(assets, chosen, strict=True):
        place = first.setdefault(asset.dest, written.dest.place)
        if place != written.dest.place:
            message = f"Two assets go to '{asset.dest}': the other stands at {faults.where(place)}."
            faults.add(written.dest.place, message, "Give each a path of its own, or one of them both addresses.")
