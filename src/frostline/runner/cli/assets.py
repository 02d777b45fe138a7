"""Bring the files that the project declares under `assets`. What is there with the right checksum is left alone.

PROJECT_ASSET_MIRROR names a folder or URL, laid out as HOST/PATH, where a machine can't reach the sources.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from frostline.console import out, say
from frostline.errors import AssetError
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.cli.tables import count
from frostline.runner.references import with_env
from frostline.runner.spec import Asset

if TYPE_CHECKING:
    from frostline.runner.assets.check import AssetCheck

MIRROR = "PROJECT_ASSET_MIRROR"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project assets`."""
    parser.add_argument("--check", action="store_true", help="only look whether they are there and whole")
    parser.add_argument("--extra", action="store_true", help="bring those marked `extra` too")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Fetch or check the assets of the profile."""
    session = open_session(values, rest)
    chosen = [asset for asset in session.project.assets if values.extra or not asset.extra]
    if not chosen:
        say(f"the profile '{session.project.profile}' declares no assets")
        return
    from frostline.runner.assets import check_assets, fetch_assets

    assets = [_with_secrets(asset, session.environ) for asset in chosen]
    if values.check:
        _report(check_assets(assets, session.root))
    else:
        fetch_assets(
            assets,
            session.root,
            mirror=session.environ.get(MIRROR) or None,
            say=say,
            spare=session.clearing(say).spare,
        )
    out(f"{count(len(assets), 'asset')} in place")


def _report(checks: tuple[AssetCheck, ...]) -> None:
    """Say which assets are not as declared. Raises AssetError when there are any."""
    from frostline.runner.assets.check import AssetState

    wrong = [check for check in checks if check.state in (AssetState.ABSENT, AssetState.WRONG)]
    if wrong:
        lines = [f"{check.asset.dest} {check.mismatch or check.state.value}" for check in wrong]
        raise AssetError(
            f"{count(len(wrong), 'asset')} of {len(checks)} not as declared:\n  " + "\n  ".join(lines),
            fix="Bring them: project assets. One without a url must be brought by hand.",
        )


def _with_secrets(asset: Asset, environ: dict[str, str]) -> Asset:
    """`${env.X}` in a source is put in only now."""
    git = asset.git and replace(asset.git, repo=with_env(asset.git.repo, environ))
    return replace(asset, urls=tuple(with_env(url, environ) for url in asset.urls), git=git)
