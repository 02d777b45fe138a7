"""The step `fetch`, which a project with assets has without saying so. Pure.

Its command is `project assets`, its outputs are the assets' paths; what the file says of them is digested, so that a
new source or checksum makes it stale.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from frostline.digest import sha256_json
from frostline.runner.project.overrides import concerns, setting_of
from frostline.runner.project.spec import FETCH, Asset, Step


def fetch_step(assets: tuple[Asset, ...], profile: str, overrides: Mapping[str, Any], used: set[str]) -> Step | None:
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
        line=min(asset.line for asset in fetched),
    )
