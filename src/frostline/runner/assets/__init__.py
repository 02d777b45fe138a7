"""Bring the assets that project.yml declares, and check what is there.

    check.py      what is on disk, against what is declared and what is known of how it came
    memory.py     what is known of how assets came
    fetch.py      which sources are tried, in which order, and what becomes an asset
    sources.py    what a url means, and where a mirror has it
    delivery.py   gets what one source has, into hidden places
    http.py       a download that goes on where it stopped; progress.py tells how far it is
    hub.py        folders of Hugging Face repositories
    git.py        files and folders of git repositories
    wheel.py      a file out of a package; cloud.py, out of s3:// and the like
    archives.py   unpacks, and lets nothing out
    placing.py    gives files and folders their place, in one move

Nothing takes its name before it is whole and right. Whether a step must run is the plan's business, not ours.
"""

from frostline.runner.assets.check import AssetCheck, AssetState, check_assets
from frostline.runner.assets.fetch import fetch_assets
from frostline.runner.assets.memory import Memory

__all__ = ["AssetCheck", "AssetState", "Memory", "check_assets", "fetch_assets"]
