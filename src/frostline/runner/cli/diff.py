"""Compare the project with a git revision: the steps that are not as they were there, and why; and the metrics.

Needs no data: the ledgers say what changed. Metrics files are read from git, the disk or the store; with --fetch, those
that are not at hand are fetched from the remote.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from frostline.console import out, say
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.cli.tables import count, table
from frostline.runner.proof.differing import Comparison, MetricChange, compare, read_revision

HERE = "here"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project diff`."""
    parser.add_argument(
        "revision", metavar="REV", nargs="?", default="HEAD", help="branch, tag or commit (default: HEAD)"
    )
    parser.add_argument(
        "--all", action="store_true", dest="all_metrics", help="metrics that are equal, and by label, too"
    )
    parser.add_argument("--fetch", action="store_true", help="fetch metrics files that are not at hand")
    parser.add_argument("-r", "--remote", metavar="R", help="with --fetch: which remote")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--markdown", action="store_true", help="as Markdown, for a job's summary")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Read the revision's ledger, compare, print."""
    session = open_session(values, rest)
    revision = read_revision(session, values.revision)
    found = compare(session, revision)
    if found.not_at_hand and values.fetch:
        from frostline.runner.proof.metrics_fetch import fetch_metrics

        fetch_metrics(session, found, values.remote)
        found = compare(session, revision)
    session.hasher.save()
    shown, n_left_out = _shown(found, everything=values.all_metrics)
    if values.json:
        out(json.dumps(_as_json(found, shown), indent=2, ensure_ascii=False))
    elif values.markdown:
        out(_as_markdown(found, shown))
    else:
        out(_as_text(found, shown))
    if n_left_out and not values.json:
        say(f"{count(n_left_out, 'metric')} equal or by label left out: --all shows them")
    if found.not_at_hand:
        paths = ", ".join(found.not_at_hand[:5]) + (" …" if len(found.not_at_hand) > 5 else "")
        say(f"warning: {count(len(found.not_at_hand), 'metrics file')} not at hand: {paths}")
        if not values.fetch:
            say("  they may come with: --fetch")


def _shown(found: Comparison, *, everything: bool) -> tuple[list[MetricChange], int]:
    """(the metrics to show, how many are left out); `las/nsubj` is a breakdown by label."""
    if everything:
        return found.metrics, 0
    shown = [one for one in found.metrics if one.old != one.new and "/" not in one.metric]
    return shown, len(found.metrics) - len(shown)


def _as_json(found: Comparison, shown: list[MetricChange]) -> dict[str, Any]:
    return {
        "revision": found.revision.name,
        "commit": found.revision.commit,
        "steps": [{"step": one.step, "change": one.change, "reasons": list(one.reasons)} for one in found.steps],
        "metrics": [
            {"path": one.path, "metric": one.metric, "old": one.old, "new": one.new, "difference": one.difference}
            for one in shown
        ],
        "not_at_hand": found.not_at_hand,
    }


def _as_text(found: Comparison, shown: list[MetricChange]) -> str:
    parts = []
    if found.steps:
        rows = [(one.change, one.step, one.reasons[0] + _more(one.reasons)) for one in found.steps]
        parts.append(table(rows, ("change", "step", f"against {_title(found)}")))
    else:
        parts.append(f"no step is other than in {_title(found)}")
    if shown:
        parts.append(table([_row(one) for one in shown], ("file", "metric", found.revision.name, HERE, "difference")))
    else:
        parts.append("no metric is other")
    return "\n\n".join(parts)


def _more(reasons: tuple[str, ...]) -> str:
    return f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""


def _title(found: Comparison) -> str:
    short = found.revision.commit[:8]
    return (
        found.revision.name
        if found.revision.commit.startswith(found.revision.name)
        else f"{found.revision.name} ({short})"
    )


def _row(one: MetricChange) -> tuple[str, str, str, str, str]:
    difference = "" if one.difference is None else f"{one.difference:+.6g}"
    return one.path, one.metric, _value(one.old), _value(one.new), difference


def _value(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _as_markdown(found: Comparison, shown: list[MetricChange]) -> str:
    lines = [f"### Metrics against {_title(found)}", ""]
    if shown:
        name = _cell(found.revision.name)
        lines += [f"| file | metric | {name} | {HERE} | difference |", "| --- | --- | ---: | ---: | ---: |"]
        lines += ["| " + " | ".join(map(_cell, _row(one))) + " |" for one in shown]
    else:
        lines.append("No metric is other.")
    lines += ["", f"### Steps against {_title(found)}", ""]
    if found.steps:
        lines += ["| step | change | why |", "| --- | --- | --- |"]
        lines += [
            f"| {_cell(one.step)} | {one.change} | {_cell('; '.join(one.reasons[:3]) + _rest(one.reasons))} |"
            for one in found.steps
        ]
    else:
        lines.append("No step is other.")
    if found.not_at_hand:
        lines += ["", f"Not at hand: {', '.join(f'`{path}`' for path in found.not_at_hand)}"]
    return "\n".join(lines)


def _rest(reasons: tuple[str, ...]) -> str:
    return f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
