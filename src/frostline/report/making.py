"""Make a report: read, summarise, draw, write. The only module here that writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frostline.files import write_text_atomic
from frostline.report.page import build_page, render
from frostline.report.reading import read_runs
from frostline.report.spec import ReportSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPaths:
    """Where a report was written, and the line that names the best variant."""

    html: Path
    markdown: Path
    best: str


def make_report(root: Path, profile: str, spec: ReportSpec) -> ReportPaths:
    """Write reports/<profile>/report.html and report.md from what is below training/<profile>/.

    Raises:
        ResultsError: a file that is there can't be understood.
    """
    page = build_page(read_runs(root, profile), profile, spec)
    folder = root / "reports" / profile
    made = ReportPaths(html=folder / "report.html", markdown=folder / "report.md", best=page.best)
    write_text_atomic(made.html, render("report.html.jinja", page))
    write_text_atomic(made.markdown, render("report.md.jinja", page))
    return made
