"""Print the final steps as YAML, with variables, profile and matrix filled in. `${env.X}` stays as it is.

Beside the keys of project.yml: matrix (the cell), imports (deps found in Python code), vars (the variables a step
uses), env_names (environment variables whose change runs it again).
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from frostline.console import out
from frostline.runner.cli.options import add_project_options, open_session
from frostline.runner.project.spec import Step


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `project render`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="steps or workflows (default: every step)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_project_options(parser)


def run(values: argparse.Namespace, rest: list[str]) -> None:
    """Expand, and print."""
    session = open_session(values, rest)
    names = session.select(values.names, only=True).order if values.names else tuple(session.graph.steps)
    steps = [as_plain(session.graph.steps[name]) for name in names]
    if values.json:
        out(json.dumps(steps, indent=2, ensure_ascii=False))
        return
    from frostline.runner.keeping.yaml_out import dump_yaml

    out(dump_yaml({"profile": session.project.profile, "steps": steps}).rstrip("\n"))


def as_plain(step: Step) -> dict[str, Any]:
    """A step as plain values; what is empty is left out.

    The keys are those of project.yml, and: `matrix`, the cell's values; `imports`, deps found in Python code; `vars`,
    the variables it uses with their values; `env_names`, the environment variables whose change runs it again.
    """
    resources = {key: getattr(step.resources, key) for key in ("cpus", "gpus", "memory_mib")}
    plain: dict[str, Any] = {
        "name": step.name,
        "help": step.help,
        "matrix": dict(step.cell),
        "script": list(step.script),
        "deps": [str(path) for path in step.deps if path not in step.imports],
        "imports": [str(path) for path in step.imports],
        "outputs": [str(path) for path in step.outputs],
        "outputs_no_cache": [str(path) for path in step.outputs_no_cache],
        "metrics": [str(path) for path in step.metrics],
        "plots": [str(path) for path in step.plots],
        "checkpoint": [str(path) for path in step.checkpoint],
        "wait_for": list(step.wait_for),
        "env": dict(step.env_values),
        "env_names": list(step.env_names),
        "vars": dict(step.variables),
        "requires": list(step.requires),
        "resources": {key: value for key, value in resources.items() if value is not None},
        "timeout_s": step.timeout_s,
        "retries": step.retries,
        "shell": step.shell,
        "no_skip": step.no_skip,
    }
    return {key: value for key, value in plain.items() if value}
