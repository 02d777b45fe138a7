"""Bring the assets that project.yml declares, and check what is there.

    check.py     what is on disk against the declared checksums
    fetch.py     which sources are tried, in which order, and what becomes an asset
    sources.py   what a url means: http(s), a path, a member of a wheel; and where a mirror has it
    http.py      a download that goes on where it stopped
    wheel.py     a file out of a package

Nothing takes its name before its checksum is right. Whether a step must run is the plan's business, not ours.
"""

from frostline.runner.assets.check import AssetCheck, AssetState, check_assets
from frostline.runner.assets.fetch import fetch_assets

__all__ = ["AssetCheck", "AssetState", "check_assets", "fetch_assets"]
