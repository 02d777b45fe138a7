"""From a step to the job an executor carries out: command lines, environment, threads, log. Starts nothing."""

from __future__ import annotations

import datetime
import os
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from frostline.errors import StepFailed
from frostline.runner.keeping.places import Places
from frostline.runner.project.references import env_names, shell_line, with_env, words
from frostline.runner.project.spec import Step
from frostline.runner.running.budget import DEVICES
from frostline.runner.running.executors.base import Job

# Every library that may compute with threads of its own has a variable that bounds them.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS", "RAYON_NUM_THREADS",
)  # fmt: skip


def job_of(step: Step, places: Places, environ: Mapping[str, str], *, gpus: tuple[str, ...] | None = None) -> Job:
    """The job of one try of a step.

    Args:
        environ: the caller's environment.
        gpus: the devices that are its own; None: it sees all.
    """
    inner = step_environ(step, places, environ, gpus=gpus)
    commands: list[str | tuple[str, ...]] = []
    shown = []
    for line in step.script:
        command = shell_line(line, shell=True) if step.shell else _own_python(_split(step, line, inner))
        if command:
            commands.append(command)
            shown.append(line)
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S%f")
    return Job(
        step=step.name,
        commands=tuple(commands),
        shown=tuple(shown),
        folder=places.root,
        environ=inner,
        log=places.logs(step.name) / f"{stamp}-{uuid.uuid4().hex[:6]}.log",
        timeout_s=step.timeout_s,
        gpus=gpus,
    )


def step_environ(
    step: Step, places: Places, environ: Mapping[str, str], *, gpus: tuple[str, ...] | None = None
) -> dict[str, str]:
    """The environment of a step: the caller's, the runner's own programs first on PATH, threads bounded."""
    inner = dict(environ)
    programs = str(Path(sys.executable).parent)
    inner["PATH"] = os.pathsep.join([programs, *filter(None, [environ.get("PATH", os.defpath)])])
    inner["PYTHONUNBUFFERED"] = "1"
    inner["FROSTLINE_STEP"] = step.name
    inner["FROSTLINE_PROFILE"] = places.profile
    if step.resources.cpus is not None:
        inner |= dict.fromkeys(THREAD_VARIABLES, str(step.resources.cpus))
    if gpus is not None:
        inner[DEVICES] = ",".join(gpus)
    inner |= {key: with_env(value, environ) for key, value in step.env_values}
    return inner


def _split(step: Step, line: str, environ: Mapping[str, str]) -> list[str]:
    try:
        return words(line, environ, as_weasel=step.as_weasel)
    except ValueError as error:
        raise StepFailed(
            f"A value of the environment can't stand in this command line of '{step.name}': {line} ({error}).",
            fix=f"Look for a quote without its pair in {', '.join(env_names(line))}, or put the reference in quotes.",
        ) from error


def _own_python(argv: list[str]) -> tuple[str, ...]:
    """`python` and `pip` are those that run the runner, also where its folder has no program of that name."""
    if argv[:1] in (["python"], ["python3"]):
        return (sys.executable, *argv[1:])
    if argv[:1] in (["pip"], ["pip3"]):
        return (sys.executable, "-m", "pip", *argv[1:])
    return tuple(argv)
