"""The report: which variant won, by how much, at what cost, and what the pairs of variants show.

A view, not a step: it reads the files that runs leave behind (metrics.json, timing.json, log.jsonl, saved models) and
writes reports/<profile>/report.html and report.md. It knows neither how a model works nor how a step is run. What is
not there yet is shown as not there; a file that is there and broken is an error.
"""

from __future__ import annotations

from frostline.report.making import ReportPaths, make_report
from frostline.report.spec import ReportSpec, read_spec

__all__ = ["ReportPaths", "ReportSpec", "make_report", "read_spec"]
