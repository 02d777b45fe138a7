"""Bring what the project declares under `assets`. What is there as it is declared is left alone.

PROJECT_ASSET_MIRROR names a folder or URL, laid out as HOST/PATH, where a machine can't reach the sources. Proxies come
from HTTP_PROXY, HTTPS_PROXY and NO_PROXY; the token for private Hugging Face repositories from HF_TOKEN.
"""

from __future__ import annotations

import argparse
import json

from frostline.console import has_live_line, live, out, say
from frostline.errors import UsageError
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.cli.tables import count, table
from frostline.runner.project.spec import Asset
from frostline.runner.session import Session

MIRROR = "PROJECT_ASSET_MIRROR"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project assets`."""
    parser.add_argument(
        "--check", action="store_true", help="only look whether they are there and whole; exit with 1 if one is not"
    )
    parser.add_argument("--json", action="store_true", help="with --check: as JSON")
    parser.add_argument("-e", "--extra", action="store_true", help="bring those marked `extra` too")
    parser.add_argument(
        "-S", "--sparse", action="store_true", help="weasel's option; only what is wanted of a repository comes anyway"
    )
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Fetch or check the assets of the profile."""
    session = open_session(values, rest)
    if values.json and not values.check:
        raise UsageError("--json shows what is there.", fix="Add --check.")
    chosen = [asset for asset in session.project.assets if values.extra or not asset.extra]
    if values.check:
        _check(session, chosen, as_json=values.json)
    elif chosen:
        _fetch(session, chosen)
    if not chosen and not values.json:
        n_extra = len(session.project.assets)
        more = f" but {count(n_extra, 'extra one')} (--extra)" if n_extra else ""
        say(f"the profile '{session.project.profile}' declares no assets{more}")


def _fetch(session: Session, assets: list[Asset]) -> None:
    from frostline.runner.assets import Memory, fetch_assets
    from frostline.runner.keeping.setup import prepare

    if prepare(session.root, session.project.directories):
        session.forget_state()
    fetch_assets(
        assets,
        session.root,
        mirror=session.environ.get(MIRROR) or None,
        say=say,
        file_name=session.spec.file_name,
        spare=session.clearing(say).spare,
        live=live if has_live_line() else None,
        memory=Memory(session.places.assets),
        environ=session.environ,
    )
    n_missing = sum(asset.is_private and not (session.root / asset.dest).exists() for asset in assets)
    missing = f", {n_missing} to be brought by hand" if n_missing else ""
    out(f"{count(len(assets) - n_missing, 'asset')} in place{missing}")


def _check(session: Session, assets: list[Asset], *, as_json: bool) -> None:
    """Show the state of each asset. Leaves with 1 when one is not as it should be."""
    from frostline.runner.assets import AssetState, Memory, check_assets

    checks = check_assets(assets, session.root, Memory(session.places.assets))
    if as_json:
        rows = [
            {"asset": str(c.asset.dest), "state": c.state.name.lower(), "mismatch": c.mismatch, "extra": c.asset.extra}
            for c in checks
        ]
        out(json.dumps(rows, indent=2, ensure_ascii=False))
    elif checks:
        out(table([[str(c.asset.dest), c.mismatch or c.state.value] for c in checks], ["asset", "state"]))
    n_bad = sum(check.state in (AssetState.ABSENT, AssetState.WRONG, AssetState.STALE) for check in checks)
    if n_bad:
        say(
            f"{n_bad} of {count(len(checks), 'asset')} not there as declared. "
            "Bring them: project assets. One without a url must be brought by hand."
        )
        raise SystemExit(1)
